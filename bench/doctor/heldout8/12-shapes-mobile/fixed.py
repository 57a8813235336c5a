import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ("disc", "square", "triangle", "plus", "ring", "star")


def render(shape, rng, size=28):
    scale = 4
    mask = Image.new("L", (size * scale, size * scale), 0)
    d = ImageDraw.Draw(mask)
    cx, cy = (rng.uniform(10.5, size - 10.5) * scale for _ in range(2))
    r = rng.uniform(6, 9) * scale
    rot = rng.uniform(0, 2 * math.pi)

    def ngon(radii, n):
        return [(cx + radii[i % len(radii)] * math.cos(rot + 2 * math.pi * i / n),
                 cy + radii[i % len(radii)] * math.sin(rot + 2 * math.pi * i / n)) for i in range(n)]

    if shape == "disc":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=255)
    elif shape == "ring":
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=255)
        q = r * 0.55
        d.ellipse([cx - q, cy - q, cx + q, cy + q], fill=0)
    elif shape == "square":
        d.polygon(ngon([r], 4), fill=255)
    elif shape == "triangle":
        d.polygon(ngon([r * 1.1], 3), fill=255)
    elif shape == "star":
        d.polygon(ngon([r * 1.15, r * 0.45], 10), fill=255)
    else:
        for k in (0, math.pi / 2):
            dx, dy = r * math.cos(rot + k), r * math.sin(rot + k)
            d.line([cx - dx, cy - dy, cx + dx, cy + dy], fill=255, width=int(r * 0.55))
    m = np.asarray(mask.resize((size, size), Image.BOX), dtype=np.float32) / 255
    fg, bg = (0.75, 0.3) if rng.random() < 0.5 else (0.25, 0.7)
    img = bg + (fg - bg) * m + rng.normal(0, 0.06, m.shape)
    return np.clip(img, 0, 1)


def make_data(n, seed):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % len(SHAPES)
    rng.shuffle(y)
    x = np.stack([render(SHAPES[k], rng) for k in y]).astype(np.float32)
    return TensorDataset((torch.from_numpy(x)[:, None] - 0.5) / 0.2, torch.from_numpy(y))


class ConvNormAct(nn.Module):
    """Convolution, batch norm and activation; groups=in_ch gives the depthwise form."""

    def __init__(self, in_ch, out_ch, kernel_size=3, stride=1, groups=1, act_layer=nn.ReLU6):
        super().__init__()
        self.conv = nn.Conv2d(in_ch, out_ch, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(out_ch)
        self.act = act_layer(inplace=True)

    def forward(self, x):
        return self.act(self.bn(self.conv(x)))


class SeparableBlock(nn.Sequential):
    def __init__(self, in_ch, out_ch, stride=1):
        super().__init__(
            ConvNormAct(in_ch, in_ch, 3, stride, groups=in_ch),
            ConvNormAct(in_ch, out_ch, 1),
        )


class MobileTiny(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = ConvNormAct(1, 16, 3, stride=1)
        self.blocks = nn.Sequential(
            SeparableBlock(16, 48, stride=2),
            SeparableBlock(48, 64),
            SeparableBlock(64, 96, stride=2),
            SeparableBlock(96, 96),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(96, num_classes)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.classifier(torch.flatten(x, 1))


class Trainer:
    def __init__(self, model, train_set, test_set, lr=6e-3, epochs=5, batch_size=48):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_loader = DataLoader(train_set, batch_size=batch_size, shuffle=True, drop_last=True)
        self.test_loader = DataLoader(test_set, batch_size=100)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = optim.AdamW(model.parameters(), lr=lr, weight_decay=0.0)
        self.scheduler = optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=epochs)
        self.epochs = epochs

    def _train_epoch(self):
        self.model.train()
        losses = []
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        self.scheduler.step()
        return sum(losses) / len(losses)

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        correct = 0
        for x, y in self.test_loader:
            pred = self.model(x.to(self.device)).argmax(dim=1)
            correct += (pred.cpu() == y).sum().item()
        return correct / len(self.test_loader.dataset)

    def fit(self):
        for epoch in range(1, self.epochs + 1):
            print(f"[{epoch}/{self.epochs}] loss={self._train_epoch():.4f}")
        return self.evaluate()


if __name__ == "__main__":
    torch.manual_seed(3)
    trainer = Trainer(MobileTiny(len(SHAPES)), make_data(1152, 1), make_data(400, 2))
    print(f"accuracy: {trainer.fit():.3f}")
