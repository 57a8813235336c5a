"""Galaxy morphology on small survey cutouts.

A thin Keras-flavoured wrapper (fit / predict / evaluate) around a torch module.
All public methods take raw 8-bit images.
"""
import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["elliptical", "spiral", "ring", "edge_on"]


def draw_galaxy(kind, rng, size=28):
    yy, xx = np.mgrid[:size, :size].astype(float)
    cy, cx = size / 2 + rng.uniform(-3, 3, 2)
    angle = rng.uniform(0, np.pi)
    u = (xx - cx) * np.cos(angle) + (yy - cy) * np.sin(angle)
    v = -(xx - cx) * np.sin(angle) + (yy - cy) * np.cos(angle)
    q = rng.uniform(0.2, 0.4) if kind == "edge_on" else rng.uniform(0.6, 1.0)
    r = np.hypot(u, v / q)
    theta = np.arctan2(v / q, u)
    scale = rng.uniform(3.0, 4.6)
    if kind == "elliptical":
        light = np.exp(-r / scale)
    elif kind == "edge_on":
        light = np.exp(-r / (1.5 * scale))
    elif kind == "ring":
        light = 0.7 * np.exp(-((r - 1.7 * scale) / 1.6) ** 2) + 0.8 * np.exp(-((r / 2.0) ** 2))
    else:
        hand = rng.choice([-1, 1])
        light = np.exp(-r / (1.4 * scale)) * (1 + 0.8 * np.cos(2 * theta - 3.0 * hand * np.log1p(r)))
    img = rng.uniform(25, 60) + rng.uniform(80, 160) * light + rng.normal(0, 9, (size, size))
    return np.clip(img, 0, 255).astype(np.uint8)


def make_survey(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n) % len(KINDS))
    images = np.stack([draw_galaxy(KINDS[k], rng) for k in labels])
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels)


class Standardizer:
    """Maps raw counts to zero mean and unit variance, with the statistics of the training set."""

    def __init__(self, images):
        x = images.float() / 255
        self.mean, self.std = x.mean().item(), x.std().item()

    def __call__(self, images):
        return (images.float() / 255 - self.mean) / self.std


class Classifier:
    def __init__(self, net, standardizer):
        self.net = net
        self.standardizer = standardizer

    def compile(self, optimizer, loss, scheduler):
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.loss = loss
        return self

    def fit(self, images, labels, epochs, batch_size, validation_data):
        data = TensorDataset(self.standardizer(images), labels)
        loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
        history, best, best_acc = [], None, -1.0
        for epoch in range(1, epochs + 1):
            self.net.train()
            hits = total = 0
            for x, y in loader:
                self.optimizer.zero_grad()
                logits = self.net(x)
                self.loss(logits, y).backward()
                self.optimizer.step()
                hits += (logits.argmax(1) == y).sum().item()
                total += len(y)
            self.scheduler.step()
            val_acc = self.evaluate(*validation_data)
            history.append((hits / total, val_acc))
            print(f"epoch {epoch:2d}/{epochs} - accuracy: {hits / total:.3f} - val_accuracy: {val_acc:.3f}")
            if val_acc > best_acc:
                best, best_acc = copy.deepcopy(self.net.state_dict()), val_acc
        self.net.load_state_dict(best)
        return history

    @torch.no_grad()
    def predict(self, images, batch_size=200):
        self.net.eval()
        x = self.standardizer(images)
        return torch.cat([self.net(part) for part in x.split(batch_size)])

    def evaluate(self, images, labels):
        logits = self.predict(self.standardizer(images))
        return (logits.argmax(1) == labels).float().mean().item()


def build_net(n_classes):
    def stage(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)]

    return nn.Sequential(
        *stage(1, 12), nn.MaxPool2d(2),
        *stage(12, 24), nn.MaxPool2d(2),
        *stage(24, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, n_classes),
    )


if __name__ == "__main__":
    torch.manual_seed(11)
    x_train, y_train = make_survey(1200, seed=1)
    x_val, y_val = make_survey(300, seed=2)
    x_test, y_test = make_survey(400, seed=3)

    net = build_net(len(KINDS))
    model = Classifier(net, Standardizer(x_train))
    epochs = 10
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    model.compile(optimizer, nn.CrossEntropyLoss(), scheduler)
    model.fit(x_train, y_train, epochs=epochs, batch_size=40, validation_data=(x_val, y_val))
    print(f"test accuracy {model.evaluate(x_test, y_test):.4f}")
