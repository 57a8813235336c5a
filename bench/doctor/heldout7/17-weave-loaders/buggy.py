"""Sort photographs of cloth by the way they are woven."""
import random
import tempfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

WEAVES = ["basket", "herringbone", "plain", "rib", "satin", "twill"]
OPTIONS = {"size": 36, "augment": True, "batch": 50, "epochs": 4, "lr": 0.004}


def weave(kind, rng, size=44):
    """A patch of cloth as a uint8 RGB array."""
    v, u = np.mgrid[0:size, 0:size].astype(np.float32)
    tilt = rng.uniform(-0.12, 0.12)
    u, v = u + tilt * v + rng.uniform(0, 20), v - tilt * u + rng.uniform(0, 20)
    p = rng.uniform(5.0, 7.5)
    a, b = np.floor(u / p * 2), np.floor(v / p * 2)
    if kind == "plain":
        m = (a + b) % 2
    elif kind == "basket":
        m = (np.floor(a / 2) + np.floor(b / 2)) % 2
    elif kind == "twill":
        m = ((u + v) / p % 1) < 0.5
    elif kind == "herringbone":
        fold = np.abs((u / (2.2 * p)) % 2 - 1) * 2.2 * p
        m = ((fold + v) / p % 1) < 0.5
    elif kind == "rib":
        m = (u / p % 1) < 0.5
    else:
        m = ((a + 2 * b) % 5) == 0
    m = m.astype(np.float32)[..., None]
    warp, weft = rng.uniform(0.05, 0.5, 3), rng.uniform(0.4, 0.95, 3)
    img = m * warp + (1 - m) * weft
    shade = 1 + 0.15 * np.sin(u / 17 + rng.uniform(0, 6))[..., None]
    img = img * shade + rng.normal(0, 0.04, img.shape)
    return (img.clip(0, 1) * 255).astype(np.uint8)


def write_photos(root, split, per_class, seed):
    rng = np.random.default_rng(seed)
    for kind in WEAVES:
        folder = root / split / kind
        folder.mkdir(parents=True)
        for k in range(per_class):
            Image.fromarray(weave(kind, rng)).save(folder / f"{k:04d}.png")


class Cloth(Dataset):
    def __init__(self, root, size, augment):
        self.files = sorted(Path(root).glob("*/*.png"))
        self.size, self.augment = size, augment
        self.images = [np.array(Image.open(f)) for f in self.files]

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        img = torch.from_numpy(self.images[i]).permute(2, 0, 1).float() / 255
        slack = img.shape[1] - self.size
        top = random.randint(0, slack) if self.augment else slack // 2
        left = random.randint(0, slack) if self.augment else slack // 2
        img = img[:, top:top + self.size, left:left + self.size].clone()
        if self.augment:
            img = (img - 0.5) * random.uniform(0.3, 1.1) + 0.5 + random.uniform(-0.2, 0.2)
            for _ in range(3):
                h, w = random.randint(8, 22), random.randint(8, 22)
                y, x = random.randint(0, self.size - h), random.randint(0, self.size - w)
                img[:, y:y + h, x:x + w] = random.random()
            img = (img + random.uniform(0, 0.2) * torch.randn_like(img)).clamp(0, 1)
        return (img - 0.5) / 0.25, WEAVES.index(self.files[i].parent.name)


def make_net():
    def block(i, o):
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]
    return nn.Sequential(
        *block(3, 16), nn.MaxPool2d(2), *block(16, 32), nn.MaxPool2d(2), *block(32, 48),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, len(WEAVES)))


def main():
    random.seed(4)
    torch.manual_seed(4)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        write_photos(root, "train", 160, seed=10)
        write_photos(root, "val", 60, seed=11)

        data = {s: Cloth(root / s, OPTIONS["size"], augment=OPTIONS["augment"]) for s in ("train", "val")}
        loaders = {s: DataLoader(data[s], OPTIONS["batch"], shuffle=s == "train") for s in data}

        net = make_net()
        opt = torch.optim.AdamW(net.parameters(), lr=OPTIONS["lr"], weight_decay=1e-3)
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(opt, OPTIONS["epochs"])
        for epoch in range(OPTIONS["epochs"]):
            hits = {}
            for phase in ("train", "val"):
                net.train(phase == "train")
                right = 0
                for x, y in loaders[phase]:
                    with torch.set_grad_enabled(phase == "train"):
                        out = net(x)
                        if phase == "train":
                            loss = F.cross_entropy(out, y)
                            opt.zero_grad()
                            loss.backward()
                            opt.step()
                    right += (out.argmax(1) == y).sum().item()
                hits[phase] = right / len(data[phase])
            plan.step()
            print(f"epoch {epoch + 1}: train {hits['train']:.3f}, val {hits['val']:.3f}")
        print(f"accuracy: {hits['val']:.3f}")


if __name__ == "__main__":
    main()
