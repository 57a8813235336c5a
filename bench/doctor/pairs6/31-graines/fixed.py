"""Tri de graines : petit modèle à la Keras (compile / fit / evaluate) au-dessus de torch."""
import math
from collections import defaultdict

import numpy as np
import torch
from torch import nn

ESPECES = ("blé", "orge", "lentille", "colza", "tournesol", "maïs")
# (demi-longueur, allongement, pointe, clarté)
FORME = {"blé": (6.2, 1.6, 0.10, 0.62), "orge": (8.6, 2.4, 0.15, 0.66), "lentille": (5.5, 1.1, 0.0, 0.52),
         "colza": (3.6, 1.05, 0.0, 0.38), "tournesol": (8.3, 1.8, 0.45, 0.42), "maïs": (7.6, 1.25, 0.45, 0.66)}


# ------------------------------------------------------------------ données
def graine(rng, espece, cote=32):
    long, ratio, pointe, clair = FORME[espece]
    long *= rng.normal(1, 0.06)
    larg = long / (ratio * rng.normal(1, 0.06))
    yy, xx = np.mgrid[:cote, :cote]
    phi = rng.uniform(0, 2 * np.pi)
    dx, dy = xx - cote / 2 - rng.normal(0, 2), yy - cote / 2 - rng.normal(0, 2)
    u, v = dx * np.cos(phi) + dy * np.sin(phi), -dx * np.sin(phi) + dy * np.cos(phi)
    profil = larg * (1 - pointe * u / long)
    dedans = 1 / (1 + np.exp(((u / long) ** 2 + (v / np.maximum(profil, 0.5)) ** 2 - 1).clip(max=15) * 4))
    fond = rng.uniform(0.05, 0.25)
    img = fond + dedans * (clair + rng.normal(0, 0.08) - fond)
    if espece in ("blé", "orge"):                                   # sillon
        img -= dedans * rng.uniform(0.0, 0.2) * np.exp(-(v / 0.8) ** 2)
    return img * rng.uniform(0.8, 1.2) + rng.normal(0, 0.05, img.shape)


def tirage(rng, n):
    y = rng.integers(0, len(ESPECES), n)
    return np.stack([graine(rng, ESPECES[k]) for k in y])[:, None].astype(np.float32), y


# ------------------------------------------------------------------ modèle
class Model:
    def __init__(self, *couches):
        self.net = nn.Sequential(*couches)
        self.history = defaultdict(list)

    def compile(self, optimizer, loss, **options):
        self.optimizer = optimizer(self.net.parameters(), **options)
        self.loss = loss

    def normalise(self, x):
        return (torch.as_tensor(x) - self.mean) / self.std

    def fit(self, x, y, validation_data, epochs, batch_size=32, patience=4):
        self.mean, self.std = float(x.mean()), float(x.std())
        xt, yt = self.normalise(x), torch.as_tensor(y)
        best, attente, poids = math.inf, 0, None
        for epoch in range(epochs):
            self.net.train()
            total = 0.0
            for idx in torch.randperm(len(xt)).split(batch_size):
                self.optimizer.zero_grad()
                loss = self.loss(self.net(xt[idx]), yt[idx])
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(idx)
            val_loss, val_acc = self.evaluate(*validation_data)
            for nom, valeur in (("loss", total / len(xt)), ("val_loss", val_loss), ("val_accuracy", val_acc)):
                self.history[nom].append(valeur)
            print(f"Epoch {epoch + 1}/{epochs} - " + " - ".join(f"{k}: {v[-1]:.4f}" for k, v in self.history.items()))
            if val_loss < best:
                best, attente = val_loss, 0
                poids = {k: v.clone() for k, v in self.net.state_dict().items()}
            else:
                attente += 1
                if attente >= patience:
                    break
        self.net.load_state_dict(poids)
        return self.history

    def predict_on_batch(self, x):
        self.net.eval()
        with torch.no_grad():
            return self.net(self.normalise(x))

    def evaluate(self, x, y, batch_size=128):
        y = torch.as_tensor(y)
        steps = math.ceil(len(x) / batch_size)
        loss, correct = 0.0, 0
        for i in range(steps):
            part = slice(i * batch_size, (i + 1) * batch_size)
            logits = self.predict_on_batch(x[part])
            loss += self.loss(logits, y[part]).item() * len(logits)
            correct += (logits.argmax(1) == y[part]).sum().item()
        return loss / len(x), correct / len(x)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(13)
    rng = np.random.default_rng(13)
    x, y = tirage(rng, 1600)
    x_val, y_val = tirage(rng, 320)
    x_test, y_test = tirage(rng, 420)

    model = Model(
        nn.Conv2d(1, 12, 5, padding=2, bias=False), nn.BatchNorm2d(12), nn.GELU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.GELU(), nn.MaxPool2d(2),
        nn.Conv2d(20, 28, 3, padding=1, bias=False), nn.BatchNorm2d(28), nn.GELU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.3), nn.Linear(28 * 4 * 4, len(ESPECES)))
    model.compile(torch.optim.Adam, nn.CrossEntropyLoss(), lr=2e-3)
    model.fit(x, y, validation_data=(x_val, y_val), epochs=9, batch_size=50)
    loss, acc = model.evaluate(x_test, y_test)
    print(f"test : perte {loss:.4f}, exactitude {acc:.4f}")


if __name__ == "__main__":
    main()
