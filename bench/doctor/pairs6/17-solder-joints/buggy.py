"""Inspection of solder joints: most joints are fine, the three kinds of defect are rare."""
from collections import Counter

import numpy as np
import torch
from torch import nn

KINDS = ["bridge", "dewetted", "good", "void"]
SHARES = [0.05, 0.12, 0.75, 0.08]


# ---- a small Keras-like layer around torch --------------------------------------------------

class Model(nn.Module):
    def __init__(self, *layers):
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return self.layers(x)

    def compile_for(self, optimizer, loss, metrics):
        self.optimizer, self.loss, self.metrics = optimizer, loss, metrics

    def fit(self, x, y, epochs, batch_size, validation_data):
        for epoch in range(1, epochs + 1):
            self.train()
            total = steps = 0
            for idx in torch.randperm(len(x)).split(batch_size):
                if len(idx) < batch_size:
                    continue
                self.optimizer.zero_grad()
                loss = self.loss(self(x[idx]), y[idx])
                loss.backward()
                self.optimizer.step()
                total, steps = total + loss.item(), steps + 1
            report = self.evaluate(*validation_data)
            print(f"Epoch {epoch}/{epochs} - loss: {total / steps:.4f} - "
                  + " - ".join(f"val_{k}: {v:.4f}" for k, v in report.items()))

    def predict(self, x, batch_size=256):
        self.eval()
        with torch.no_grad():
            return torch.cat([self(part) for part in x.split(batch_size)])

    def evaluate(self, x, y):
        out = self.predict(x).argmax(1)
        return {name: metric(out, y) for name, metric in self.metrics.items()}


def accuracy(out, y):
    return (out == y).float().mean().item()


def mean_recall(out, y):
    return float(np.mean([(out[y == c] == c).float().mean().item() for c in y.unique().tolist()]))


# ---- images ---------------------------------------------------------------------------------

def joint(kind, rng, side=24):
    yy, xx = np.mgrid[0:side, 0:side]
    img = 0.25 + 0.05 * np.sin(xx * rng.uniform(0.3, 0.6) + rng.uniform(0, 6))
    cy, cx = rng.uniform(10, 14, 2)
    ry, rx = rng.uniform(5, 7.5, 2)
    rad = np.hypot((yy - cy) / ry, (xx - cx) / rx)
    shine = np.clip(1.1 - rad ** 2, 0, 1) * rng.uniform(0.5, 0.8)
    if kind == "dewetted":                                    # part of the pad stays bare
        t = rng.uniform(0, 2 * np.pi)
        shine *= ((yy - cy) * np.sin(t) + (xx - cx) * np.cos(t)) < rng.uniform(0.5, 3)
    if kind == "void":
        vy, vx = cy + rng.uniform(-2, 2), cx + rng.uniform(-2, 2)
        shine *= 1 - 0.75 * (np.hypot(yy - vy, xx - vx) < rng.uniform(1.3, 2.4))
    if kind == "bridge":                                      # a thread of solder to the neighbour
        row = cy + rng.uniform(-3, 3)
        half = (xx > cx) if rng.random() < 0.5 else (xx < cx)
        shine = np.maximum(shine, 0.45 * half * (np.abs(yy - row) < rng.uniform(1.0, 1.9)))
    return img + shine + rng.normal(0, 0.13, img.shape)


def inspection_run(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.choice(len(KINDS), size=n, p=SHARES)
    x = np.stack([joint(KINDS[c], rng) for c in y])
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.from_numpy(y)


# ---- experiment -----------------------------------------------------------------------------

def main():
    torch.manual_seed(21)
    x_train, y_train = inspection_run(1600, seed=210)
    x_val, y_val = inspection_run(600, seed=211)
    x_test, y_test = inspection_run(800, seed=212)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_val, x_test = ((x - mean) / std for x in (x_train, x_val, x_test))

    counts = Counter(y_train.tolist())
    print("joints per kind:", {KINDS[c]: counts[c] for c in sorted(counts)})
    weights = torch.tensor([len(y_train) / (len(KINDS) * n) for n in counts.values()])

    model = Model(
        nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.LeakyReLU(0.1), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.25), nn.Linear(24 * 36, len(KINDS)),
    )
    model.compile_for(
        optimizer=torch.optim.Adam(model.parameters(), lr=1e-3),
        loss=nn.CrossEntropyLoss(weight=weights),
        metrics={"accuracy": accuracy, "mean_recall": mean_recall},
    )
    model.fit(x_train, y_train, epochs=8, batch_size=64, validation_data=(x_val, y_val))

    out = model.predict(x_test).argmax(1)
    for c, kind in enumerate(KINDS):
        print(f"{kind:>9}: recall {(out[y_test == c] == c).float().mean():.3f}")
    print(f"test accuracy {accuracy(out, y_test):.4f}, mean recall {mean_recall(out, y_test):.4f}")


if __name__ == "__main__":
    main()
