"""Vessel types from a turntable: three photographs of every pot, one label per pot."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)

# radius of the wall from foot to rim, in units of the half width
PROFILES = {
    "amphora": [.25, .55, .85, .90, .45, .40],
    "bowl":    [.40, .60, .78, .88, .95, 1.0],
    "jug":     [.55, .80, .90, .75, .50, .60],
    "beaker":  [.55, .58, .62, .68, .74, .82],
    "lekythos": [.50, .62, .64, .60, .28, .42],
    "urn":     [.45, .70, .92, .96, .88, .70],
    "goblet":  [.60, .22, .25, .60, .75, .78],
    "cup":     [.50, .72, .85, .88, .88, .86],
}
WITH_HANDLE = {"amphora": 2, "jug": 1, "lekythos": 1, "cup": 1}
SIZE, VIEWS = 22, 3


def photograph(name, wall, height, angle, rng):
    rows, cols = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    foot = SIZE / 2 + height / 2 + rng.uniform(-1.5, 1.5)
    axis = SIZE / 2 + rng.uniform(-2, 2)
    t = (foot - rows) / height                       # 0 at the foot, 1 at the rim
    r = np.interp(t, np.linspace(0, 1, len(wall)), wall) * height * 0.48
    inside = (t > 0) & (t < 1) & (np.abs(cols - axis) < r)
    lamp = rng.uniform(-.6, .6)
    shade = 0.75 - 0.35 * np.abs((cols - axis) / np.maximum(r, 1) - lamp)
    img = np.full((SIZE, SIZE), rng.uniform(.05, .35), np.float32)
    img[inside] = shade[inside] * rng.uniform(.7, 1.2)
    for k in range(WITH_HANDLE.get(name, 0)):
        side = np.cos(angle + k * np.pi)
        cy, cx = foot - .68 * height, axis + side * height * .42
        ring = np.abs(np.hypot(rows - cy, (cols - cx) * 1.3) - height * .15) < .8
        img[ring & ~inside] = .55
    return img + rng.normal(0, .13, img.shape)


def make_pots(n, rng):
    names = list(PROFILES)
    labels = rng.integers(0, len(names), n)
    pots = np.zeros((n, VIEWS, 1, SIZE, SIZE), np.float32)
    for i, c in enumerate(labels):
        wall = np.clip(np.array(PROFILES[names[c]]) + rng.normal(0, .05, 6), .12, 1.05)
        height, start = rng.uniform(12, 17), rng.uniform(0, 2 * np.pi)
        for v in range(VIEWS):
            pots[i, v, 0] = photograph(names[c], wall, height, start + v * 2.1, rng)
    return torch.from_numpy(pots), torch.from_numpy(labels)


class TurntableNet(nn.Module):
    """One trunk looks at every view; the pot's score is the average over its views."""

    def __init__(self, n_types, width=16):
        super().__init__()

        def stage(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o),
                                 nn.ReLU(inplace=True), nn.MaxPool2d(2))

        self.trunk = nn.Sequential(stage(1, width), stage(width, 2 * width), stage(2 * width, 3 * width))
        self.score = nn.Linear(3 * width * 2 * 2, n_types)

    def forward(self, pots):
        b, v = pots.shape[:2]
        feats = self.trunk(pots.flatten(0, 1)).flatten(1)
        per_view = self.score(feats).view(b, v, -1).softmax(dim=-1)
        return per_view.mean(dim=1)


def train(model, loader, optimizer, scheduler):
    model.train()
    running = 0.0
    for pots, target in loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(pots), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(target)
    return running / len(loader.dataset)


@torch.no_grad()
def test(model, loader):
    model.eval()
    hits = sum((model(pots).argmax(1) == target).sum().item() for pots, target in loader)
    return hits / len(loader.dataset)


def main():
    torch.manual_seed(11)
    rng = np.random.default_rng(11)
    (xtr, ytr), (xva, yva), (xte, yte) = make_pots(960, rng), make_pots(240, rng), make_pots(400, rng)
    mean, std = xtr.mean(), xtr.std()
    xtr, xva, xte = ((x - mean) / std for x in (xtr, xva, xte))
    train_loader = DataLoader(TensorDataset(xtr, ytr), batch_size=32, shuffle=True)
    val_loader = DataLoader(TensorDataset(xva, yva), batch_size=80)
    test_loader = DataLoader(TensorDataset(xte, yte), batch_size=80)

    model = TurntableNet(len(PROFILES))
    epochs = 6
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=epochs * len(train_loader))
    for epoch in range(1, epochs + 1):
        loss = train(model, train_loader, optimizer, scheduler)
        print(f"Epoch {epoch}: train loss {loss:.4f}  val accuracy {test(model, val_loader):.3f}")
    print(f"Test accuracy: {test(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
