"""Small residual network for ten hand-drawn glyphs, AdamW with parameter groups."""
from dataclasses import dataclass, field
from typing import List, Tuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

# strokes on a 0..2 grid, (x, y) pairs
GLYPHS: List[List[Tuple[float, float, float, float]]] = [
    [(0, 0, 0, 2), (0, 2, 2, 2)],                      # L
    [(0, 0, 2, 0), (1, 0, 1, 2)],                      # T
    [(0, 0, 1, 2), (1, 2, 2, 0)],                      # V
    [(0, 0, 2, 2), (0, 2, 2, 0)],                      # X
    [(0, 0, 0, 2), (2, 0, 2, 2), (0, 1, 2, 1)],        # H
    [(0, 0, 2, 0), (2, 0, 0, 2), (0, 2, 2, 2)],        # Z
    [(0, 2, 0, 0), (0, 0, 2, 2), (2, 2, 2, 0)],        # N
    [(0, 0, 0, 2), (0, 0, 2, 0), (0, 1, 1.5, 1)],      # F
    [(0, 0, 1, 1), (2, 0, 1, 1), (1, 1, 1, 2)],        # Y
    [(0, 0, 0, 2), (0, 2, 2, 2), (2, 2, 2, 0)],        # U
]


@dataclass
class Options:
    train_images: int = 1300
    test_images: int = 400
    size: int = 28
    channels: Tuple[int, ...] = (12, 24, 48)
    batch: int = 50
    epochs: int = 4
    lr: float = 4e-3
    weight_decay: float = 0.02
    warmup: int = 15
    seed: int = 0
    device: str = field(default_factory=lambda: "cuda" if torch.cuda.is_available() else "cpu")


class GlyphSet(Dataset):
    def __init__(self, count: int, size: int, seed: int):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(count) % len(GLYPHS))
        self.images = torch.stack([self.sketch(int(k), size, rng) for k in self.labels])

    @staticmethod
    def sketch(k: int, size: int, rng) -> Tensor:
        big = 2 * size
        im = Image.new("L", (big, big), 0)
        d = ImageDraw.Draw(im)
        a = rng.uniform(-0.3, 0.3)
        rot = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
        scale = rng.uniform(9, 15, 2)
        centre = rng.uniform(0.4 * big, 0.6 * big, 2)
        for x0, y0, x1, y1 in GLYPHS[k]:
            ends = (np.array([[x0, y0], [x1, y1]]) - 1) * scale
            ends = ends @ rot.T + centre + rng.normal(0, 1.2, (2, 2))
            d.line([tuple(e) for e in ends], fill=int(rng.integers(150, 256)), width=int(rng.integers(3, 6)))
        for _ in range(3):
            p = rng.uniform(0, big, 2)
            q = p + rng.normal(0, 6, 2)
            d.line([tuple(p), tuple(q)], fill=int(rng.integers(100, 256)), width=2)
        x = np.asarray(im.resize((size, size), Image.BOX), dtype=np.float32) / 255
        x = x + rng.normal(0, 0.12, x.shape)
        return torch.from_numpy(((x - 0.12) / 0.28).astype(np.float32))[None]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int):
        return self.images[i], int(self.labels[i])


class Residual(nn.Module):
    def __init__(self, cin: int, cout: int):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(cin, cout, 3, 2, 1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(),
            nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout),
        )
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, 2, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.skip(x))


class GlyphNet(nn.Module):
    def __init__(self, channels: Tuple[int, ...], classes: int):
        super().__init__()
        c = channels[0]
        self.stem = nn.Sequential(nn.Conv2d(1, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c), nn.ReLU())
        self.stages = nn.Sequential(*[Residual(a, b) for a, b in zip(channels[:-1], channels[1:])])
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pool(self.stages(self.stem(x))).flatten(1))


def param_groups(model: nn.Module, weight_decay: float):
    """Weight decay for weight matrices, none for biases and normalisation layers."""
    decay, no_decay = [], []
    for module in model.modules():
        for name, p in module.named_parameters(recurse=False):
            if name == "bias" or isinstance(module, (nn.BatchNorm2d, nn.LayerNorm)):
                no_decay.append(p)
            elif isinstance(module, nn.Linear):
                decay.append(p)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]


class Experiment:
    def __init__(self, opt: Options):
        self.opt = opt
        torch.manual_seed(opt.seed)
        self.train_data = DataLoader(GlyphSet(opt.train_images, opt.size, 1000 + opt.seed), opt.batch, shuffle=True)
        self.test_data = DataLoader(GlyphSet(opt.test_images, opt.size, 2000 + opt.seed), 200)
        self.model = GlyphNet(opt.channels, len(GLYPHS)).to(opt.device)
        self.optim = torch.optim.AdamW(param_groups(self.model, opt.weight_decay), lr=opt.lr)
        total = opt.epochs * len(self.train_data)
        self.sched = torch.optim.lr_scheduler.LambdaLR(
            self.optim,
            lambda s: (s + 1) / opt.warmup if s < opt.warmup else max(0.02, (total - s) / (total - opt.warmup)),
        )
        self.loss = nn.CrossEntropyLoss()

    def train(self) -> None:
        for epoch in range(self.opt.epochs):
            self.model.train()
            seen, total = 0, 0.0
            for x, y in self.train_data:
                x, y = x.to(self.opt.device), y.to(self.opt.device)
                loss = self.loss(self.model(x), y)
                self.optim.zero_grad()
                loss.backward()
                self.optim.step()
                self.sched.step()
                seen += len(y)
                total += loss.item() * len(y)
            print(f"epoch {epoch}: {total / seen:.4f}")

    @torch.no_grad()
    def evaluate(self) -> float:
        self.model.eval()
        good = 0
        for x, y in self.test_data:
            good += (self.model(x.to(self.opt.device)).argmax(1).cpu() == y).sum().item()
        return good / len(self.test_data.dataset)


if __name__ == "__main__":
    exp = Experiment(Options())
    exp.train()
    print(f"accuracy: {exp.evaluate():.3f}")
