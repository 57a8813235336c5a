"""Pollen grain classifier (four taxa) on synthetic bright-field crops."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

TAXA = ("betula", "alnus", "pinus", "poaceae")


@dataclass
class Config:
    seed: int = 11
    size: int = 28
    n_train: int = 1200
    n_val: int = 300
    n_test: int = 400
    batch_size: int = 25
    epochs: int = 6
    lr: float = 2e-3


def draw_grain(rng, taxon, size):
    """One crop, float RGB in [0, 1], channels first."""
    yy, xx = np.mgrid[:size, :size].astype(np.float32)
    cy, cx = size / 2 + rng.uniform(-3, 3, 2)
    r0 = rng.uniform(6.0, 9.0)
    phi = rng.uniform(0, 2 * np.pi)
    dy, dx = yy - cy, xx - cx
    r, theta = np.hypot(dy, dx), np.arctan2(dy, dx) - phi
    if taxon == 0:      # three pores
        edge = r0 * (1 + 0.22 * np.cos(3 * theta))
    elif taxon == 1:    # five pores
        edge = r0 * (1 + 0.19 * np.cos(5 * theta))
    elif taxon == 2:    # body with two air sacs
        edge = r0 * (0.8 + 0.38 * np.cos(theta) ** 2)
    else:               # smooth sphere, one pore
        edge = r0 * np.ones_like(r)
    body = 1 / (1 + np.exp(np.clip(2.0 * (r - edge), -30, 30)))
    rim = np.exp(-((r - edge) / 1.2) ** 2)
    if taxon == 3:
        py, px = cy + 0.55 * r0 * np.sin(phi), cx + 0.55 * r0 * np.cos(phi)
        body = body - 0.5 * np.exp(-((yy - py) ** 2 + (xx - px) ** 2) / 3.0)
    stain = np.array([0.10, 0.45, 0.30]) * rng.uniform(0.6, 1.3)
    light = rng.uniform(0.75, 0.95) + 0.006 * rng.normal() * (xx - cx)
    img = light[None] - stain[:, None, None] * (0.6 * body + 0.7 * rim)[None]
    img = img + rng.normal(0, 0.05, img.shape)
    return np.clip(img, 0, 1)


def make_split(rng, n, size):
    labels = rng.permutation(np.arange(n) % len(TAXA))
    images = np.stack([draw_grain(rng, t, size) for t in labels])
    return images.astype(np.float32), labels.astype(np.int64)


class GrainDataset(Dataset):
    """Standardises the crops with the channel statistics of the training set."""

    def __init__(self, images, labels, mean, std):
        x = torch.tensor(images)
        x -= torch.as_tensor(mean).view(1, 3, 1, 1)
        x /= torch.as_tensor(std).view(1, 3, 1, 1)
        self.x, self.y = x, torch.from_numpy(labels)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def conv_block(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


def build_model():
    return nn.Sequential(
        conv_block(3, 16),
        conv_block(16, 32),
        conv_block(32, 48),
        nn.Flatten(),
        nn.Linear(48 * 3 * 3, len(TAXA)),
    )


@torch.no_grad()
def evaluate(model, images, labels, stats, batch_size=100):
    model.eval()
    loader = DataLoader(GrainDataset(images, labels, *stats), batch_size=batch_size)
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(labels)


def main(cfg):
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(cfg.seed)
    x_train, y_train = make_split(rng, cfg.n_train, cfg.size)
    x_val, y_val = make_split(rng, cfg.n_val, cfg.size)
    x_test, y_test = make_split(rng, cfg.n_test, cfg.size)

    stats = (x_train.mean((0, 2, 3)), x_train.std((0, 2, 3)))
    print("channel mean", stats[0].round(3), "std", stats[1].round(3))
    loader = DataLoader(GrainDataset(x_train, y_train, *stats),
                        batch_size=cfg.batch_size, shuffle=True)

    model = build_model()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)

    best_acc, best_state = -1.0, None
    for epoch in range(1, cfg.epochs + 1):
        model.train()
        running = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            running += loss.item() * len(y)
        acc = evaluate(model, x_val, y_val, stats)
        print(f"epoch {epoch}: train loss {running / cfg.n_train:.3f}  val acc {acc:.3f}")
        if acc > best_acc:
            best_acc = acc
            best_state = {k: v.clone() for k, v in model.state_dict().items()}

    model.load_state_dict(best_state)
    print(f"test accuracy {evaluate(model, x_test, y_test, stats):.4f}")


if __name__ == "__main__":
    main(Config())
