"""Orientation of noisy woven fabric patches (six orientations), depthwise-separable CNN."""
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class ModelConfig:
    widths: tuple = (16, 32, 48)
    norm: str = "batch"
    act: str = "leaky_relu"


@dataclass
class Config:
    classes: int = 6
    size: int = 32
    train_images: int = 1296
    test_images: int = 360
    batch: int = 48
    epochs: int = 3
    lr: float = 4e-3
    seed: int = 21
    model: ModelConfig = field(default_factory=ModelConfig)


ACTIVATIONS = {
    "relu": nn.ReLU,
    "leaky_relu": partial(nn.LeakyReLU, 0.1),
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}
NORMS = {"batch": nn.BatchNorm2d, "group": partial(nn.GroupNorm, 8)}


class Fabric(Dataset):
    def __init__(self, cfg, count, seed):
        rng = np.random.default_rng(seed)
        yy, xx = np.mgrid[0:cfg.size, 0:cfg.size] - cfg.size / 2
        self.labels = rng.permutation(np.arange(count) % cfg.classes)
        frames = []
        for label in self.labels:
            theta = np.pi * (label + rng.uniform(-0.25, 0.25)) / cfg.classes
            along = xx * np.cos(theta) + yy * np.sin(theta)
            across = -xx * np.sin(theta) + yy * np.cos(theta)
            warp = 0.8 * np.sin(across / rng.uniform(3, 6) + rng.uniform(0, 6.3))
            wave = np.sin(2 * np.pi * (along + warp) / rng.uniform(4.5, 7.5) + rng.uniform(0, 6.3))
            frames.append(rng.uniform(0.5, 1.0) * wave + rng.normal(0, 0.5, wave.shape))
        self.frames = torch.tensor(np.stack(frames), dtype=torch.float32).unsqueeze(1)

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, i):
        return self.frames[i], int(self.labels[i])


class Separable(nn.Module):
    def __init__(self, cin, cout, norm, act):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 5, stride=2, padding=2, groups=cin, bias=False)
        self.norm1, self.act1 = norm(cin), act()
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.norm2, self.act2 = norm(cout), act()

    def forward(self, x):
        x = self.act1(self.norm1(self.depthwise(x)))
        return self.act2(self.norm2(self.pointwise(x)))


def make_model(cfg: Config) -> nn.Module:
    m = cfg.model
    norm = NORMS[m.norm]
    act = ACTIVATIONS.get(m.act, nn.Identity)
    layers = [nn.Conv2d(1, m.widths[0], 5, padding=2, bias=False), norm(m.widths[0]), act()]
    for cin, cout in zip(m.widths, m.widths[1:]):
        layers.append(Separable(cin, cout, norm, act))
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(m.widths[-1], cfg.classes)]
    return nn.Sequential(*layers)


def run_epoch(model, loader, device, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits, seen = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            logits = model(x)
            loss = nn.functional.cross_entropy(logits, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
            seen += len(y)
    return loss_sum / seen, hits / seen


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train = DataLoader(Fabric(cfg, cfg.train_images, cfg.seed), cfg.batch, shuffle=True)
    test = DataLoader(Fabric(cfg, cfg.test_images, cfg.seed + 100), cfg.batch)
    model = make_model(cfg).to(device)
    optimizer = torch.optim.NAdam(model.parameters(), lr=cfg.lr)
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.75)
    for epoch in range(cfg.epochs):
        loss, acc = run_epoch(model, train, device, optimizer)
        decay.step()
        print(f"[{epoch}] loss={loss:.3f} train_acc={acc:.3f}")
    _, acc = run_epoch(model, test, device)
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
