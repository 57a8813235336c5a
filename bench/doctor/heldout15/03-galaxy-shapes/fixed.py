"""Galaxy morphology with a cosine classifier (unit features against unit class prototypes)."""
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    classes: tuple = ("elliptical", "edge_on", "spiral", "barred", "ring", "merger")
    pixels: int = 28
    n_train: int = 1500
    n_val: int = 300
    n_test: int = 500
    widths: tuple = (16, 32, 48)
    embed: int = 128
    temperature: float = 0.15
    lr: float = 2e-3
    batch_size: int = 50
    epochs: int = 6
    seed: int = 2024


def render(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    v, u = np.mgrid[0:n, 0:n] - (n - 1) / 2 + rng.uniform(-2.5, 2.5, (2, 1, 1))
    phi = rng.uniform(0, np.pi)
    a, b = u * np.cos(phi) + v * np.sin(phi), -u * np.sin(phi) + v * np.cos(phi)
    scale = n * rng.uniform(.13, .2)
    tilt = {"elliptical": rng.uniform(.6, 1), "edge_on": rng.uniform(.15, .3)}.get(kind, rng.uniform(.65, 1))
    b = b / tilt
    r, theta = np.hypot(a, b), np.arctan2(b, a)
    bulge = np.exp(-r / (.35 * scale))
    if kind == "elliptical":
        light = 1.3 * np.exp(-(r / scale) ** .8)
    elif kind == "edge_on":
        light = np.exp(-r / scale) + .3 * bulge
    elif kind in ("spiral", "barred"):
        wind = rng.choice([-1, 1]) * rng.uniform(2.2, 3.2)
        arms = np.cos(theta - wind * np.log(r / scale + .25)) ** 4
        light = np.exp(-r / (1.5 * scale)) * arms * 1.3 + .6 * bulge
        if kind == "barred":
            light = light + .9 * np.exp(-(a / scale) ** 4 - (b / (.25 * scale)) ** 2)
    elif kind == "ring":
        light = .9 * np.exp(-((r - 1.5 * scale) / (.3 * scale)) ** 2) + .8 * bulge
    else:
        gap = rng.uniform(.8, 1.3) * scale
        light = np.exp(-np.hypot(a - gap, b) / (.6 * scale)) + .8 * np.exp(-np.hypot(a + gap, b) / (.5 * scale))
    stars = sum(rng.uniform(.2, .8) * np.exp(-((u - p) ** 2 + (v - q) ** 2) / .8)
                for p, q in rng.uniform(-n / 2, n / 2, (rng.integers(0, 4), 2)))
    return np.arcsinh(3 * (rng.uniform(.6, 1.4) * light + stars + rng.normal(0, .1, (n, n))))


class Survey(Dataset):
    def __init__(self, cfg: Config, count: int, rng: np.random.Generator):
        self.targets = rng.integers(0, len(cfg.classes), count)
        sky = np.stack([render(cfg.classes[t], cfg.pixels, rng) for t in self.targets])
        self.images = torch.as_tensor(sky, dtype=torch.float32).unsqueeze(1)

    def standardise(self, mean: Tensor, std: Tensor) -> None:
        self.images.sub_(mean).div_(std)

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.images[i], int(self.targets[i])


class CosineHead(nn.Module):
    def __init__(self, dim: int, n_classes: int, temperature: float):
        super().__init__()
        self.prototypes = nn.Parameter(torch.randn(n_classes, dim))
        self.logit_scale = nn.Parameter(torch.tensor(1 / temperature).log())

    def forward(self, z: Tensor) -> Tensor:
        cosine = F.normalize(z, dim=-1) @ F.normalize(self.prototypes, dim=-1).T
        return self.logit_scale.exp() * cosine


class GalaxyNet(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        blocks, c_in = [], 1
        for c_out in cfg.widths:
            blocks += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out),
                       nn.ReLU(inplace=True), nn.MaxPool2d(2)]
            c_in = c_out
        self.features = nn.Sequential(*blocks, nn.Flatten())
        side = cfg.pixels // 2 ** len(cfg.widths)
        self.project = nn.Linear(c_in * side * side, cfg.embed)
        self.head = CosineHead(cfg.embed, len(cfg.classes), cfg.temperature)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.project(self.features(x)))


@dataclass
class Log:
    train_loss: list = field(default_factory=list)
    val_acc: list = field(default_factory=list)


def evaluate(net: nn.Module, loader: DataLoader) -> float:
    net.eval()
    good = 0
    with torch.inference_mode():
        for x, t in loader:
            good += (net(x).argmax(-1) == t).sum().item()
    return good / len(loader.dataset)


def run(cfg: Config) -> float:
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    train, val, test = (Survey(cfg, n, rng) for n in (cfg.n_train, cfg.n_val, cfg.n_test))
    mean, std = train.images.mean(), train.images.std()
    for part in (train, val, test):
        part.standardise(mean, std)
    train_dl = DataLoader(train, cfg.batch_size, shuffle=True)
    val_dl, test_dl = DataLoader(val, 100), DataLoader(test, 100)

    net, log = GalaxyNet(cfg), Log()
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs * len(train_dl))
    for epoch in range(cfg.epochs):
        net.train()
        losses = []
        for x, t in train_dl:
            loss = F.cross_entropy(net(x), t)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            losses.append(loss.item())
        log.train_loss.append(float(np.mean(losses)))
        log.val_acc.append(evaluate(net, val_dl))
        print(f"[{epoch + 1}/{cfg.epochs}] loss={log.train_loss[-1]:.3f} val={log.val_acc[-1]:.3f}")
    return evaluate(net, test_dl)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print("test accuracy = %.3f" % run(Config()))
