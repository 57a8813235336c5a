"""Naming constellations in small all-sky camera cut-outs."""
import os
import shutil
import tempfile

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

STARS = {  # rough star positions, x right and y down, in units of half the frame
    "bootes": [(0, .7), (-.3, .1), (.3, .2), (-.25, -.4), (.3, -.35), (0, -.75)],
    "cassiopeia": [(-.8, -.2), (-.4, .35), (0, -.1), (.4, .4), (.8, -.3)],
    "cygnus": [(0, -.8), (0, -.2), (0, .3), (0, .8), (-.6, -.1), (.6, -.3)],
    "leo": [(-.8, .2), (-.3, .3), (.4, .35), (.45, -.05), (.2, -.4), (.45, -.7), (.75, -.6), (-.4, -.1)],
    "lyra": [(.1, -.75), (-.15, -.4), (.25, -.35), (-.3, .4), (.1, .45)],
    "orion": [(-.5, -.7), (.4, -.6), (-.15, .05), (0, 0), (.15, -.05), (-.4, .7), (.5, .65)],
}
SIDE = 28


def spot(canvas, x, y, flux, width):
    gy, gx = np.mgrid[0:SIDE, 0:SIDE]
    canvas += flux * np.exp(-((gx - x) ** 2 + (gy - y) ** 2) / (2 * width ** 2))


def expose(name, rng):
    sky = np.full((SIDE, SIDE), rng.uniform(0.05, 0.2))
    turn, zoom = rng.normal(0, 0.3), rng.uniform(8.5, 12)
    c, s = np.cos(turn), np.sin(turn)
    ox, oy = SIDE / 2 + rng.uniform(-2, 2, 2)
    seeing = rng.uniform(0.7, 1.0)
    for x, y in STARS[name]:
        if rng.random() < 0.08:
            continue
        x, y = np.array([x, y]) + rng.normal(0, 0.03, 2)
        spot(sky, ox + zoom * (c * x - s * y), oy + zoom * (s * x + c * y), rng.uniform(0.45, 1.0), seeing)
    for _ in range(rng.integers(2, 7)):
        spot(sky, *rng.uniform(0, SIDE, 2), rng.uniform(0.1, 0.45), seeing)
    return sky + rng.normal(0, 0.04, sky.shape)


def clouded(rng):
    gy, gx = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    return 0.4 + 0.2 * np.sin(5 * gx + rng.uniform(0, 6)) * np.sin(4 * gy + rng.uniform(0, 6)) + rng.normal(0, 0.04, gx.shape)


def save(folder, n, picture, rng):
    os.makedirs(folder)
    for i in range(n):
        Image.fromarray((np.clip(picture(rng), 0, 1) * 255).astype(np.uint8)).save(os.path.join(folder, f"{i:04d}.png"))


def collect(root, rng):
    for name in STARS:
        save(os.path.join(root, "train", name), 220, lambda r: expose(name, r), rng)
        save(os.path.join(root, "val", name), 70, lambda r: expose(name, r), rng)
    save(os.path.join(root, "val", "clouded"), 12, clouded, rng)


class SkyFolder(Dataset):
    """<root>/<class>/*.png, everything read at once."""

    def __init__(self, root, classes=None, stats=None):
        self.classes = classes or sorted(e.name for e in os.scandir(root) if e.is_dir())
        images, labels = [], []
        for label, name in enumerate(self.classes):
            for file in sorted(os.listdir(os.path.join(root, name))):
                with Image.open(os.path.join(root, name, file)) as im:
                    images.append(np.asarray(im, dtype=np.float32) / 255)
                labels.append(label)
        self.x = torch.from_numpy(np.stack(images))[:, None]
        self.y = torch.tensor(labels)
        self.stats = stats or (self.x.mean().item(), self.x.std().item())
        self.x = (self.x - self.stats[0]) / self.stats[1]

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class SkyNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        widths = [1, 16, 32, 48]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True), nn.MaxPool2d(2))
            for i, o in zip(widths, widths[1:]))
        self.classifier = nn.Linear(48 * 3 * 3, n_classes)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.classifier(x.flatten(1))


class Trainer:
    def __init__(self, model, train_set, val_set, epochs=8, lr=0.05):
        self.model, self.epochs = model, epochs
        self.train_loader = DataLoader(train_set, batch_size=60, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val_set, batch_size=256)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs * len(self.train_loader))

    def train_epoch(self):
        self.model.train()
        losses = []
        for x, y in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    @torch.inference_mode()
    def validate(self):
        self.model.eval()
        hits = n = 0
        for x, y in self.val_loader:
            hits += (self.model(x).argmax(dim=1) == y).sum().item()
            n += len(y)
        return hits / n

    def run(self):
        for epoch in range(1, self.epochs + 1):
            print(f"[{epoch}/{self.epochs}] loss={self.train_epoch():.4f} val accuracy={self.validate():.4f}")


def main():
    torch.manual_seed(0)
    root = tempfile.mkdtemp(prefix="sky_")
    try:
        collect(root, np.random.default_rng(77))
        train_set = SkyFolder(os.path.join(root, "train"))
        val_set = SkyFolder(os.path.join(root, "val"), classes=train_set.classes, stats=train_set.stats)
    finally:
        shutil.rmtree(root)
    print(f"{len(train_set)} training frames, {len(val_set)} validation frames")
    Trainer(SkyNet(len(train_set.classes)), train_set, val_set).run()


if __name__ == "__main__":
    main()
