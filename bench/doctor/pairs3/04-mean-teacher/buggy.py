# Consistency training with a mean teacher; textures are rendered to .npy folders first.
import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

CLASSES = ["checks", "dots", "noise", "rays", "stripes"]
SEED = 21


def render(kind, rng, s=20):
    yy, xx = np.mgrid[:s, :s].astype(np.float32)
    p, ph = rng.uniform(4, 7), rng.uniform(0, 6.28, 2)
    a = rng.uniform(0, np.pi)
    if kind == "checks":
        g = np.sign(np.sin(6.28 * xx / p + ph[0]) * np.sin(6.28 * yy / p + ph[1]))
    elif kind == "dots":
        g = 2.0 * (np.sin(6.28 * xx / p + ph[0]) + np.sin(6.28 * yy / p + ph[1]) > 1.1) - 0.5
    elif kind == "noise":
        g = rng.normal(0, 1, (s, s))
    elif kind == "rays":
        cx, cy = rng.uniform(5, s - 5, 2)
        g = np.sin(5 * np.arctan2(yy - cy, xx - cx) + ph[0])
    else:
        g = np.sin(6.28 * (xx * np.cos(a) + yy * np.sin(a)) / p + ph[0])
    img = 0.5 + rng.uniform(0.1, 0.3) * g + rng.normal(0, 0.12, (s, s))
    return np.clip(img * 255, 0, 255).astype(np.uint8)


def write_split(root, per_class, seed):
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        folder = root / name
        folder.mkdir(parents=True)
        for i in range(per_class):
            np.save(folder / f"{i:04d}.npy", render(name, rng))


class TextureFolder(Dataset):
    def __init__(self, root, mean, std):
        self.items = [(f, k) for k, name in enumerate(CLASSES) for f in sorted((root / name).iterdir())]
        self.mean, self.std = mean, std

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        path, label = self.items[i]
        img = torch.from_numpy(np.load(path)).float().div(255)
        return ((img - self.mean) / self.std)[None], label


def make_net():
    def stage(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 16), *stage(16, 32), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Dropout(0.2), nn.Linear(32, len(CLASSES)))


class MeanTeacher(nn.Module):
    """Student plus an exponential average of it; the average only ever predicts."""

    def __init__(self, student, decay=0.95):
        super().__init__()
        self.student = student
        self.teacher = copy.deepcopy(student).requires_grad_(False)
        self.decay = decay
        self.teacher.eval()

    def train(self, mode=True):
        super().train()
        self.teacher.eval()
        return self

    @torch.no_grad()
    def update_teacher(self):
        for t, s in zip(self.teacher.state_dict().values(), self.student.state_dict().values()):
            if t.is_floating_point():
                t.lerp_(s, 1 - self.decay)
            else:
                t.copy_(s)

    def forward(self, x):
        return self.student(x)

    def losses(self, x, y):
        logits = self(x)
        with torch.no_grad():
            target = self.teacher(x + 0.1 * torch.randn_like(x)).softmax(1)
        ce = F.cross_entropy(logits, y)
        consistency = F.kl_div(logits.log_softmax(1), target, reduction="batchmean")
        return ce, consistency


def ramp(epoch, length=3):
    return 0.3 * min(1.0, epoch / length)


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return {"n": len(loader.dataset), "acc": right / len(loader.dataset)}


def main():
    torch.manual_seed(SEED)
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp)
        write_split(tmp / "train", 120, SEED)
        write_split(tmp / "test", 50, SEED + 1)
        sample = np.stack([np.load(f) for f in (tmp / "train").rglob("*.npy")]) / 255.0
        stats = float(sample.mean()), float(sample.std())
        train = DataLoader(TextureFolder(tmp / "train", *stats), 40, shuffle=True)
        test = DataLoader(TextureFolder(tmp / "test", *stats), 50)
        model = MeanTeacher(make_net())
        opt = torch.optim.Adam(model.student.parameters(), lr=5e-3)
        for epoch in range(6):
            model.train()
            for x, y in train:
                ce, cons = model.losses(x, y)
                opt.zero_grad()
                (ce + ramp(epoch) * cons).backward()
                opt.step()
                model.update_teacher()
            print(f"epoch {epoch}: ce {ce.item():.3f} consistency {cons.item():.3f}")
        print("accuracy: {acc:.3f}".format(**evaluate(model, test)))


if __name__ == "__main__":
    main()
