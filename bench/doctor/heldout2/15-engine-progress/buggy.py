import sys
import time
from dataclasses import asdict, dataclass

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Settings:
    lr: float = 3e-3
    batch_size: int = 40
    epochs: int = 6
    classes: int = 8


class Progress:
    """A poor man's tqdm."""

    def __init__(self, loader, desc):
        self.loader, self.desc = loader, desc

    def __iter__(self):
        n, t0 = len(self.loader), time.time()
        for i, batch in enumerate(self.loader, 1):
            yield batch
            if i == n or i % 8 == 0:
                bar = "#" * (20 * i // n)
                sys.stdout.write(f"\r{self.desc} |{bar:<20}| {i}/{n} [{time.time() - t0:.1f}s]")
        sys.stdout.write("\n")


def corner_data(n, classes, seed):
    # two bright bars; the class is the (wrapped) distance between their columns
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(classes, (n,), generator=g)
    left = torch.randint(0, 8, (n,), generator=g)
    x = torch.randn(n, 1, 16, 24, generator=g) * 0.4
    rows = torch.arange(n)
    for r in range(3, 13):
        x[rows, 0, r, left] += 2.0
        x[rows, 0, r, left + y + 3] += 2.0
    return TensorDataset((x - x.mean()) / x.std(), y)


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.AvgPool2d((4, 1)),
            nn.Conv2d(8, 16, (1, 11), padding=(0, 5)),
            nn.ReLU(),
            nn.AvgPool2d((2, 1)),
            nn.Flatten(),
            nn.Linear(16 * 2 * 24, 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )

    def forward(self, x):
        return self.net(x)


def train_one_epoch(model, loader, criterion, optimizer, device, epoch):
    model.train()
    for x, y in Progress(loader, f"epoch {epoch}"):
        x, y = x.to(device), y.to(device)
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()


@torch.no_grad()
def evaluate(model, loader, device):
    model.eval()
    hits = total = 0
    for x, y in loader:
        out = model(x)
        hits += (out.argmax(1) == y).sum().item()
        total += y.size(0)
    return hits / total


def main():
    cfg = Settings()
    print(asdict(cfg))
    torch.manual_seed(8)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train_loader = DataLoader(corner_data(1600, cfg.classes, 1), batch_size=cfg.batch_size, shuffle=True)
    val_loader = DataLoader(corner_data(400, cfg.classes, 2), batch_size=100)
    model = Net(cfg.classes).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=0.0)
    for epoch in range(1, cfg.epochs + 1):
        train_one_epoch(model, train_loader, criterion, optimizer, device, epoch)
        acc = evaluate(model, val_loader, device)
        print(f"  val acc {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
