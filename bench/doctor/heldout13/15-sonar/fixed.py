"""Side-scan sonar: what lies on the sea floor? Patches of 28 x 28 pixels, multiplicative speckle."""
import logging
import sys

import numpy as np
import torch
from scipy.signal.windows import tukey
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(levelname)s %(message)s")
log = logging.getLogger("sonar")

OBJECTS = ("sand", "ripples", "rock", "mine", "pipeline", "wreck")
N = 28
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def patch(obj, rng):
    """Echo strength; everything that stands up throws a shadow away from the towfish (to the right)."""
    y, x = np.mgrid[0:N, 0:N].astype(float)
    cy, cx = rng.uniform(9, N - 9), rng.uniform(8, N - 13)
    floor = np.full((N, N), rng.uniform(0.35, 0.55))
    if obj == "ripples":
        a = rng.uniform(-0.6, 0.6)
        floor += 0.2 * np.sin(rng.uniform(1.1, 1.6) * (x * np.cos(a) + y * np.sin(a)))
    elif obj == "rock":
        r = rng.uniform(2.5, 4) * (1 + 0.25 * np.sin(3 * np.arctan2(y - cy, x - cx) + rng.uniform(0, 6)))
        floor[(np.abs(y - cy) < 2.5) & (x > cx) & (x < cx + rng.uniform(5, 8))] *= 0.35
        floor[np.hypot(x - cx, y - cy) < r] = 0.9
    elif obj == "mine":
        floor[(np.abs(y - cy) < 1.6) & (x > cx) & (x < cx + rng.uniform(9, 13))] *= 0.25
        floor[np.hypot(x - cx, y - cy) < 1.9] = 1.2
    elif obj == "pipeline":
        slope = rng.uniform(-0.5, 0.5)
        d = x - cx - slope * (y - N / 2)
        floor[(d > 0) & (d < 4)] *= 0.4
        floor[np.abs(d) < 1.1] = 0.95
    elif obj == "wreck":
        a = rng.uniform(-0.7, 0.7)
        p, q = (x - cx) * np.cos(a) + (y - cy) * np.sin(a), -(x - cx) * np.sin(a) + (y - cy) * np.cos(a)
        shade = ((p - 4) / 4) ** 2 + (q / 7) ** 2 < 1
        floor[shade] *= 0.35
        floor[((p / 2.6) ** 2 + (q / 8) ** 2 < 1) & (np.sin(1.3 * q) > -0.4)] = 0.95
    floor *= 1 + rng.uniform(-0.25, 0.25) * (x - N / 2) / N
    return np.log(floor.clip(0.05) * rng.gamma(6.0, 1 / 6.0, floor.shape) + 0.02)


def survey(n, rng):
    labels = np.arange(n) % len(OBJECTS)
    echoes = np.stack([patch(OBJECTS[k], rng) for k in labels])[:, None]
    return echoes.astype(np.float32), labels


class Taper(nn.Module):
    """Fades the margins of the patch, where neighbouring tracks overlap."""

    def __init__(self, size, alpha=0.3):
        super().__init__()
        profile = tukey(size + 2, alpha)[1:-1]
        self.register_buffer("window", torch.from_numpy(np.outer(profile, profile)).float())

    def forward(self, x):
        return x * self.window


class SonarNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.taper = Taper(N)
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.Mish(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.Mish(), nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.Mish())
        self.classifier = nn.Sequential(nn.AdaptiveMaxPool2d(2), nn.Flatten(), nn.Linear(48 * 4, n_classes))

    def forward(self, x):
        return self.classifier(self.encoder(self.taper(x)))


def evaluate(model, loader):
    model.eval()
    confusion = torch.zeros(len(OBJECTS), len(OBJECTS), dtype=torch.long)
    with torch.no_grad():
        for x, y in loader:
            guess = model(x.to(device)).argmax(1).cpu()
            confusion += torch.bincount(y * len(OBJECTS) + guess, minlength=confusion.numel()).view_as(confusion)
    return (confusion.diag().sum() / confusion.sum()).item(), confusion


def main():
    torch.manual_seed(23)
    rng = np.random.default_rng(23)
    train, val, test = survey(1200, rng), survey(240, rng), survey(480, rng)
    mean, std = train[0].mean(), train[0].std()

    def loader(split, **kw):
        return DataLoader(TensorDataset(torch.from_numpy((split[0] - mean) / std), torch.from_numpy(split[1])), **kw)

    train_loader = loader(train, batch_size=48, shuffle=True)
    val_loader, test_loader = loader(val, batch_size=120), loader(test, batch_size=120)
    log.info("%d patches for training, device %s", len(train[0]), device)

    model = SonarNet(len(OBJECTS)).to(device)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    optimizer = torch.optim.RAdam(model.parameters(), lr=4e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=8)
    best_acc, best_state = -1.0, None
    for epoch in range(8):
        model.train()
        for x, y in train_loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        scheduler.step()
        acc, _ = evaluate(model, val_loader)
        log.info("epoch %d: loss %.3f, validation %.3f", epoch + 1, loss.item(), acc)
        if acc > best_acc:
            best_acc, best_state = acc, {k: v.clone() for k, v in model.state_dict().items()}

    model.load_state_dict(best_state)
    acc, confusion = evaluate(model, test_loader)
    for name, row in zip(OBJECTS, confusion.tolist()):
        log.info("%-9s %s", name, row)
    log.info("test accuracy %.3f", acc)


if __name__ == "__main__":
    main()
