# small letter classifier; training recipe: AdamW, warm-up + cosine, no decay on norms and biases
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont


@dataclass
class Config:
    letters: str = "AHKMSTXZ"
    n_train: int = 2400
    n_test: int = 640
    batch_size: int = 32
    epochs: int = 4
    max_lr: float = 6e-3
    warmup: int = 20
    weight_decay: float = 0.02
    seed: int = 1337


cfg = Config()
torch.manual_seed(cfg.seed)


def get_data(n, seed):
    rng = np.random.default_rng(seed)
    font = ImageFont.load_default()
    y = rng.integers(0, len(cfg.letters), n)
    x = np.zeros((n, 1, 20, 20), dtype=np.float32)
    for i, k in enumerate(y):
        im = Image.new("L", (14, 14), 0)
        at = (int(rng.integers(2, 6)), int(rng.integers(0, 3)))
        ImageDraw.Draw(im).text(at, cfg.letters[k], fill=255, font=font)
        im = im.rotate(float(rng.uniform(-12, 12)), resample=Image.BILINEAR).resize((20, 20), Image.BILINEAR)
        x[i, 0] = np.asarray(im, dtype=np.float32) / 255 * rng.uniform(0.6, 1.0)
    x += rng.normal(0, 0.12, x.shape).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y).long()


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(n_out)

    def forward(self, x):
        return F.relu(self.norm(self.conv(x)))


class LetterNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.b1 = Block(1, 12)
        self.b2 = Block(12, 24)
        self.b3 = Block(24, 32)
        self.head = nn.Linear(32, n_classes)

    def forward(self, x):
        x = F.max_pool2d(self.b1(x), 2)
        x = F.max_pool2d(self.b2(x), 2)
        return self.head(self.b3(x).mean(dim=(2, 3)))


def configure_optimizer(net):
    params = [p for p in net.parameters() if p.requires_grad]
    decay = [p for p in params if p.ndim == 2]
    no_decay = [p for p in params if p.ndim < 2]
    groups = [{"params": decay, "weight_decay": cfg.weight_decay}, {"params": no_decay, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=cfg.max_lr)


def lr_at(step, total):
    if step < cfg.warmup:
        return (step + 1) / cfg.warmup
    t = (step - cfg.warmup) / max(1, total - cfg.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * t))


x_train, y_train = get_data(cfg.n_train, cfg.seed)
x_test, y_test = get_data(cfg.n_test, cfg.seed + 1)
mu, sigma = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sigma, (x_test - mu) / sigma

net = LetterNet(len(cfg.letters))
optimizer = configure_optimizer(net)
steps = cfg.epochs * (cfg.n_train // cfg.batch_size)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: lr_at(s, steps))

for epoch in range(cfg.epochs):
    net.train()
    for idx in torch.randperm(cfg.n_train).split(cfg.batch_size):
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch}: last loss {loss.item():.3f}, lr {scheduler.get_last_lr()[0]:.2e}")

net.eval()
with torch.no_grad():
    acc = (net(x_test).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.3f}")
