"""Small residual network on five CIFAR-10 classes."""
import os
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    classes: tuple = (0, 1, 4, 6, 9)  # airplane, automobile, deer, frog, truck
    train_images: int = 1200
    test_images: int = 400
    batch_size: int = 50
    epochs: int = 4
    max_lr: float = 0.1
    weight_decay: float = 5e-4
    pad: int = 3
    workers: int = 2
    seed: int = 7


def read_batch(path, classes, limit):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    raw = raw[np.isin(raw[:, 0], classes)][:limit]
    labels = np.searchsorted(classes, raw[:, 0]).astype(np.int64)
    return raw[:, 1:].reshape(-1, 3, 32, 32), labels


def invent(n, classes, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    yy, xx = np.mgrid[0:32, 0:32]
    images = np.empty((n, 3, 32, 32), np.uint8)
    for i, k in enumerate(labels):
        wave = np.sin((xx * np.cos(k) + yy * np.sin(k)) * (0.4 + 0.15 * k) + rng.uniform(0, 6))
        tint = rng.uniform(60, 190, (3, 1, 1))
        images[i] = np.clip(tint + 50 * wave + rng.normal(0, 25, (3, 32, 32)), 0, 255)
    return images, labels


def load_arrays(cfg):
    base = os.environ.get("TENFOLD_DATA")
    if base:
        folder = os.path.join(base, "cifar10", "cifar-10-batches-bin")
        return (read_batch(os.path.join(folder, "data_batch_1.bin"), cfg.classes, cfg.train_images),
                read_batch(os.path.join(folder, "test_batch.bin"), cfg.classes, cfg.test_images))
    return (invent(cfg.train_images, len(cfg.classes), 1), invent(cfg.test_images, len(cfg.classes), 2))


class CropFlip:
    def __init__(self, pad, seed):
        self.pad = pad
        self.rng = np.random.default_rng(seed)

    def __call__(self, image):
        p = self.pad
        dy, dx = self.rng.integers(0, 2 * p + 1, 2)
        padded = np.pad(image, ((0, 0), (p, p), (p, p)), mode="reflect")
        image = padded[:, dy:dy + 32, dx:dx + 32]
        if self.rng.random() < 0.5:
            image = image[:, :, ::-1]
        return image


class Images(Dataset):
    def __init__(self, images, labels, mean, std, transform=None):
        self.images, self.labels = images, labels
        self.mean, self.std = mean, std
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = self.images[i]
        if self.transform is not None:
            image = self.transform(image)
        x = (image.astype(np.float32) / 255 - self.mean) / self.std
        return torch.from_numpy(x), int(self.labels[i])


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity()
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.short(x))


class TinyResNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        return self.head(self.blocks(self.stem(x)).mean((2, 3)))


def param_groups(model, weight_decay):
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def seed_worker(worker_id):
    dataset = torch.utils.data.get_worker_info().dataset
    dataset.transform.rng = np.random.default_rng(torch.initial_seed())


def loaders(cfg):
    (xtr, ytr), (xte, yte) = load_arrays(cfg)
    scaled = xtr.astype(np.float32) / 255
    mean = scaled.mean((0, 2, 3)).reshape(3, 1, 1)
    std = scaled.std((0, 2, 3)).reshape(3, 1, 1)
    train_set = Images(xtr, ytr, mean, std, CropFlip(cfg.pad, cfg.seed))
    test_set = Images(xte, yte, mean, std)
    train = DataLoader(train_set, cfg.batch_size, shuffle=True, drop_last=True, num_workers=cfg.workers,
                       worker_init_fn=seed_worker)
    return train, DataLoader(test_set, 250)


def main(cfg):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train, test = loaders(cfg)
    model = TinyResNet(len(cfg.classes)).to(device)
    opt = torch.optim.SGD(param_groups(model, cfg.weight_decay), lr=cfg.max_lr, momentum=0.9, nesterov=True)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, cfg.max_lr, epochs=cfg.epochs, steps_per_epoch=len(train))
    for epoch in range(cfg.epochs):
        model.train()
        total = 0.0
        for x, y in train:
            x, y = x.to(device), y.to(device)
            loss = F.cross_entropy(model(x), y)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            sched.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(train):.3f}")
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test:
            correct += (model(x.to(device)).argmax(1).cpu() == y).sum().item()
    print(f"accuracy: {correct / len(test.dataset):.3f}")


if __name__ == "__main__":
    main(Config())
