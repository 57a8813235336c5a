"""Sticky-trap insects from folders of PNG files.

    <root>/<class>/<number>.png      exported by the annotation tool, one folder per class;
                                     "doubtful" holds what the annotators could not agree upon
"""
import logging
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, Subset

logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO, stream=sys.stdout)
log = logging.getLogger("traps")
SIDE = 30


# ---------------------------------------------------------------- the export (a stand-in for the tool)
def insect(kind, rng):
    s = 3 * SIDE
    glue = tuple(int(v) for v in np.array([205, 190, 70]) + rng.normal(0, 14, 3))
    im = Image.new("RGB", (s, s), glue)
    d = ImageDraw.Draw(im)
    cx, cy = s / 2 + rng.uniform(-12, 12, 2)
    a, k = rng.uniform(0, 2 * np.pi), rng.uniform(.85, 1.2)
    dark = tuple(int(v) for v in rng.integers(15, 75) + rng.normal(0, 6, 3))
    wing = tuple(int(.55 * g + 100) for g in glue)

    def blob(u, v, ru, rv, fill, turn=0.):
        t = np.linspace(0, 2 * np.pi, 20)
        c, q = np.cos(turn), np.sin(turn)
        x, y = u + ru * np.cos(t) * c - rv * np.sin(t) * q, v + ru * np.cos(t) * q + rv * np.sin(t) * c
        d.polygon([(cx + k * (p * np.cos(a) - r * np.sin(a)), cy + k * (p * np.sin(a) + r * np.cos(a)))
                   for p, r in zip(x, y)], fill=fill)

    if kind == "aphid":
        blob(0, 0, 9, 7, dark)
    elif kind == "beetle":
        blob(0, 0, 19, 13, dark), blob(20, 0, 6, 8, dark)
    elif kind == "fly":
        blob(-10, 13, 15, 6, wing, 2.5), blob(-10, -13, 15, 6, wing, -2.5), blob(0, 0, 16, 8, dark), blob(16, 0, 7, 8, dark)
    elif kind == "moth":
        blob(-4, 16, 19, 12, dark, .9), blob(-4, -16, 19, 12, dark, -.9), blob(0, 0, 18, 4, dark)
    else:
        blob(-16, 0, 15, 7, dark), blob(6, 0, 9, 6, dark), blob(2, 14, 5, 15, wing), blob(2, -14, 5, 15, wing)
    im = im.filter(ImageFilter.GaussianBlur(rng.uniform(1, 2.4))).resize((SIDE, SIDE), Image.BOX)
    return Image.fromarray(np.clip(np.asarray(im) + rng.normal(0, 13, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8))


def export(root, per_class, rng, doubtful=0):
    kinds = ["aphid", "beetle", "fly", "moth", "wasp"]
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for n in range(per_class):
            insect(kind, rng).save(root / kind / f"{n:04d}.png")
    if doubtful:
        (root / "doubtful").mkdir()
        for n in range(doubtful):
            insect(kinds[rng.integers(5)], rng).save(root / "doubtful" / f"{n:04d}.png")


# ---------------------------------------------------------------- reading
class TrapFolder(Dataset):
    def __init__(self, root, augment=False):
        self.augment, self.pixels, self.targets, self.names = augment, [], [], {}
        for code, folder in enumerate(sorted(root.iterdir())):
            if folder.name == "doubtful":
                continue
            self.names[code] = folder.name
            for file in sorted(folder.glob("*.png")):
                self.pixels.append(np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1))
                self.targets.append(code)
        self.pixels = torch.from_numpy(np.stack(self.pixels))
        log.info("%s: %d files, %s", root.name, len(self), ", ".join(self.names.values()))

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        x = self.pixels[i].float() / 255
        if self.augment:
            x = torch.rot90(x, int(torch.randint(4, (1,))), (1, 2))
            if torch.rand(1) < .5:
                x = x.flip(2)
        return (x - .5) / .25, self.targets[i]


# ---------------------------------------------------------------- network, training
def network(classes):
    layers, width = [], 3
    for out in (20, 40, 64):
        layers += [nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(), nn.MaxPool2d(2)]
        width = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(.2), nn.Linear(width * 4, classes))


def accuracy(model, loader):
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(x).argmax(1) == y for x, y in loader]).float().mean().item()


def main():
    torch.set_num_threads(1)
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as tmp:
        export(Path(tmp, "train"), 240, rng, doubtful=60)
        export(Path(tmp, "test"), 80, rng)
        train, plain, test = TrapFolder(Path(tmp, "train"), True), TrapFolder(Path(tmp, "train")), TrapFolder(Path(tmp, "test"))

    order = torch.randperm(len(train)).tolist()
    train_loader = DataLoader(Subset(train, order[200:]), 50, shuffle=True)
    val_loader = DataLoader(Subset(plain, order[:200]), 100)
    test_loader = DataLoader(test, 100)

    model = network(max(train.targets) + 1)
    criterion, optimizer = nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(7):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        log.info("epoch %d: last loss %.3f, validation %.3f", epoch + 1, loss.item(), accuracy(model, val_loader))
        for group in optimizer.param_groups:
            group["lr"] *= .75
    log.info("test accuracy %.4f", accuracy(model, test_loader))


if __name__ == "__main__":
    main()
