"""Sorting loose fasteners by photograph.

The training pictures were sorted into folders by the workshop, the test pictures by the incoming-goods
department, which photographs under its own lamp:

    parts/workshop/<fastener>/*.png        (training and validation)
    parts/incoming/<fastener>/*.png        (test)
"""
import copy
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, Subset

SIZE = 28


# ---------------------------------------------------------------------------------------------- pictures
def photograph(kind, rng, light):
    s = SIZE * 4
    ground, metal = int(rng.integers(40, 90) * light), int(rng.integers(120, 220) * light)
    im = Image.new("L", (s, s), ground)
    d = ImageDraw.Draw(im)
    c, k = s // 2, rng.uniform(0.8, 1.15)
    length, w = int(40 * k), int(8 * k)
    if kind == "nut":
        d.regular_polygon((c, c, int(26 * k)), 6, fill=metal)
        d.ellipse([c - w - 4, c - w - 4, c + w + 4, c + w + 4], fill=ground)
    elif kind == "washer":
        r = int(26 * k)
        d.ellipse([c - r, c - r, c + r, c + r], fill=metal)
        d.ellipse([c - w - 4, c - w - 4, c + w + 4, c + w + 4], fill=ground)
    elif kind == "pin":
        d.rounded_rectangle([c - w, c - length, c + w, c + length], radius=w, fill=metal)
    elif kind == "spring":
        zigzag = [(c + (w + 8) * (-1) ** i, c - length + i * length // 5) for i in range(11)]
        d.line(zigzag, fill=metal, width=7, joint="curve")
    else:  # bolt: flat end and hexagonal head; screw: pointed end and countersunk head
        if kind == "bolt":
            d.rectangle([c - w, c - length, c + w, c + length], fill=metal)
            d.rectangle([c - 22 * k, c - length - 4, c + 22 * k, c - length + 14 * k], fill=metal)
        else:
            d.polygon([(c - w, c - length), (c + w, c - length), (c + w, c + length // 3), (c, c + length + 8),
                       (c - w, c + length // 3)], fill=metal)
            d.polygon([(c - 20 * k, c - length - 4), (c + 20 * k, c - length - 4), (c, c - length + 22 * k)], fill=metal)
    im = im.rotate(float(rng.uniform(-40, 40)), resample=Image.BILINEAR, fillcolor=ground,
                   translate=tuple(int(v) for v in rng.integers(-12, 13, 2)))
    x = np.asarray(im.resize((SIZE, SIZE), Image.BOX), dtype=np.float32)
    x = x + np.linspace(-1, 1, SIZE)[None] * rng.uniform(-25, 25) + rng.normal(0, 15, x.shape)
    return Image.fromarray(np.uint8(np.clip(x, 0, 255)))


def fill_folders(root):
    rng = np.random.default_rng(17)
    plan = {"workshop": (["bolt", "nut", "Pin", "screw", "spring", "washer"], 230, 1.0),
            "incoming": (["bolt", "nut", "pin", "screw", "spring", "washer"], 70, 0.92)}
    for source, (folders, count, light) in plan.items():
        for folder in folders:
            os.makedirs(os.path.join(root, source, folder))
            for i in range(count):
                photograph(folder.lower(), rng, light).save(os.path.join(root, source, folder, f"{i:04d}.png"))


class FolderOfClasses(Dataset):
    """One sub-folder per class, pictures decoded once."""

    def __init__(self, root, transform=None):
        entries = [e for e in os.listdir(root) if os.path.isdir(os.path.join(root, e))]
        self.classes = sorted(entries, key=str.lower)
        self.samples = [(os.path.join(root, folder, name), label)
                        for label, folder in enumerate(self.classes)
                        for name in sorted(os.listdir(os.path.join(root, folder)))]
        self.pictures = [torch.from_numpy(np.array(Image.open(path))).float().div(255)[None] for path, _ in self.samples]
        self.transform = transform

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        picture = self.pictures[index]
        if self.transform:
            picture = self.transform(picture)
        return picture, self.samples[index][1]


class Standardize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, picture):
        return (picture - self.mean) / self.std


# ---------------------------------------------------------------------------------------------- training
class Callback:
    def on_epoch_end(self, trainer, logs):
        pass


class Report(Callback):
    def on_epoch_end(self, trainer, logs):
        print("  ".join(f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value:2d}"
                        for key, value in logs.items()))


class KeepBest(Callback):
    def __init__(self):
        self.score, self.weights = -1.0, None

    def on_epoch_end(self, trainer, logs):
        if logs["val_acc"] > self.score:
            self.score, self.weights = logs["val_acc"], copy.deepcopy(trainer.model.state_dict())


class Trainer:
    def __init__(self, model, optimizer, callbacks=()):
        self.model, self.optimizer, self.callbacks = model, optimizer, callbacks
        self.loss = nn.CrossEntropyLoss()

    def fit(self, loader, val_loader, epochs):
        schedule = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, max_lr=4e-3, total_steps=epochs * len(loader))
        for epoch in range(1, epochs + 1):
            self.model.train()
            total, seen = 0.0, 0
            for x, y in loader:
                self.optimizer.zero_grad()
                loss = self.loss(self.model(x), y)
                loss.backward()
                self.optimizer.step()
                schedule.step()
                total, seen = total + loss.item() * len(y), seen + len(y)
            logs = {"epoch": epoch, "loss": total / seen, "val_acc": self.score(val_loader)}
            for callback in self.callbacks:
                callback.on_epoch_end(self, logs)

    @torch.no_grad()
    def score(self, loader):
        self.model.eval()
        pairs = [(self.model(x).argmax(1), y) for x, y in loader]
        predicted, wanted = (torch.cat(column) for column in zip(*pairs))
        return (predicted == wanted).float().mean().item()


def conv_block(c_in, c_out):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2))


def main():
    torch.manual_seed(3)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as root:
        fill_folders(root)
        workshop = FolderOfClasses(os.path.join(root, "workshop"))
        incoming = FolderOfClasses(os.path.join(root, "incoming"))
    order = torch.randperm(len(workshop)).tolist()
    train_ids, val_ids = order[:1120], order[1120:]
    pixels = torch.stack([workshop.pictures[i] for i in train_ids])
    workshop.transform = incoming.transform = Standardize(pixels.mean(), pixels.std())

    train_loader = DataLoader(Subset(workshop, train_ids), batch_size=56, shuffle=True)
    val_loader = DataLoader(Subset(workshop, val_ids), batch_size=130)
    test_loader = DataLoader(incoming, batch_size=140)

    model = nn.Sequential(conv_block(1, 16), conv_block(16, 32), conv_block(32, 48),
                          nn.Flatten(), nn.Linear(48 * 9, 64), nn.ReLU(), nn.Linear(64, len(workshop.classes)))
    keep = KeepBest()
    trainer = Trainer(model, torch.optim.Adam(model.parameters()), [Report(), keep])
    trainer.fit(train_loader, val_loader, epochs=10)
    model.load_state_dict(keep.weights)
    print(f"incoming goods, accuracy {trainer.score(test_loader):.4f}")


if __name__ == "__main__":
    main()
