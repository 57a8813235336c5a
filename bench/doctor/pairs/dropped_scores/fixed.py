"""Rings, crosses and bars: one grey square of 24 pixels each."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn, optim

KINDS = ("ring", "cross", "bar", "corner", "dot", "frame")


@dataclass
class Options:
    train: int = 1500
    test: int = 400
    batch: int = 50
    epochs: int = 5
    lr: float = 0.002
    drop: float = 0.2
    seed: int = 11


def draw(kind: int, generator: torch.Generator) -> Tensor:
    y, x = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    cy, cx = (9 + 6 * torch.rand(2, generator=generator)).tolist()
    away = torch.hypot(y - cy, x - cx)
    side = torch.maximum((y - cy).abs(), (x - cx).abs())
    shape = (
        (away - 6).abs() < 1,
        (((y - cy).abs() < 1.2) | ((x - cx).abs() < 1.2)) & (side < 6),
        ((y - cy).abs() < 1.5) & ((x - cx).abs() < 7),
        ((y - cy + 5).abs() < 1.2) & ((x - cx).abs() < 6) | ((x - cx + 5).abs() < 1.2) & ((y - cy).abs() < 6),
        away < 3,
        (side - 6).abs() < 1,
    )[kind]
    return 0.3 + 0.5 * shape.float() + 0.25 * torch.randn(24, 24, generator=generator)


def collect(count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, len(KINDS), (count,), generator=generator)
    return torch.stack([draw(int(kind), generator) for kind in labels]).unsqueeze(1), labels


class ShapeNet(nn.Module):
    def __init__(self, drop: float) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.hidden = nn.Linear(32 * 6 * 6, 48)
        self.drop = nn.Dropout(drop)
        self.head = nn.Linear(48, len(KINDS))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).flatten(1)
        x = torch.relu(self.hidden(x))
        return self.head(self.drop(x))


def main(options: Options) -> None:
    torch.manual_seed(options.seed)
    (images, labels), (tests, answers) = collect(options.train, 1), collect(options.test, 2)
    mean, deviation = images.mean(), images.std()
    images, tests = (images - mean) / deviation, (tests - mean) / deviation
    net = ShapeNet(options.drop)
    optimizer = optim.AdamW(net.parameters(), lr=options.lr)
    loss_of = nn.CrossEntropyLoss()
    for epoch in range(options.epochs):
        net.train()
        order = torch.randperm(len(images))
        for rows in order.split(options.batch):
            optimizer.zero_grad()
            loss = loss_of(net(images[rows]), labels[rows])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.3f}")
    net.eval()
    with torch.no_grad():
        right = (net(tests).argmax(1) == answers).float().mean().item()
    print(f"accuracy: {right:.3f}")


if __name__ == "__main__":
    main(Options())
