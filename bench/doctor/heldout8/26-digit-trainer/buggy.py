import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcfgd"]
ENDS = {"a": (0, 0, 1, 0), "b": (1, 0, 1, 1), "c": (1, 1, 1, 2), "d": (0, 2, 1, 2),
        "e": (0, 1, 0, 2), "f": (0, 0, 0, 1), "g": (0, 1, 1, 1)}


def render(digit, rng):
    """One grey 28x28 picture of a seven-segment display."""
    level = int(rng.integers(20, 80))
    img = Image.new("L", (56, 56), level)
    d = ImageDraw.Draw(img)
    w, h = rng.uniform(14, 24), rng.uniform(13, 19)
    x0, y0 = rng.uniform(8, 48 - w), rng.uniform(6, 50 - 2 * h)
    slant = rng.uniform(-3, 6)
    ink, width = level + int(rng.integers(50, 150)), int(rng.integers(3, 7))
    for s in SEGMENTS[digit]:
        ax, ay, bx, by = ENDS[s]
        d.line([x0 + ax * w + (2 - ay) * slant / 2, y0 + ay * h, x0 + bx * w + (2 - by) * slant / 2, y0 + by * h],
               fill=ink, width=width)
    for _ in range(3):
        x, y = rng.uniform(0, 56, 2)
        dx, dy = rng.uniform(-10, 10, 2)
        d.line([x, y, x + dx, y + dy], fill=level + int(rng.integers(20, 90)), width=2)
    img = img.rotate(rng.uniform(-8, 8), fillcolor=level).resize((28, 28), Image.BILINEAR)
    out = np.asarray(img, np.float32) + rng.normal(0, 12, (28, 28))
    return np.clip(out, 0, 255) / 255


class DisplayDigits(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % 10)
        images = np.stack([render(int(k), rng) for k in self.labels])
        self.images = torch.tensor(images, dtype=torch.float32).unsqueeze(1)
        self.mean, self.std = 0.243, 0.142

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return (self.images[i] - self.mean) / self.std, int(self.labels[i])


class DigitNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 7 * 7, 64), nn.ReLU(), nn.Linear(64, 10))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)
        nn.init.normal_(self.classifier[-1].weight, std=0.01)

    def forward(self, x):
        return self.classifier(self.features(x))


class Trainer:
    def __init__(self, model, train_set, val_set, lr=0.01, batch_size=50, device=None):
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.val_loader = DataLoader(val_set, batch_size=100)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.scheduler = ReduceLROnPlateau(self.optimizer, mode="max", factor=0.1, patience=1)

    def train_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            loss = self.criterion(self.model(x), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total, seen = total + loss.item() * len(y), seen + len(y)
        return total / seen

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        loss, hits, seen = 0.0, 0, 0
        for x, y in loader:
            x, y = x.to(self.device), y.to(self.device)
            out = self.model(x)
            loss += self.criterion(out, y).item() * len(y)
            hits += (out.argmax(1) == y).sum().item()
            seen += len(y)
        return loss / seen, hits / seen

    def fit(self, epochs):
        for epoch in range(1, epochs + 1):
            train_loss = self.train_epoch()
            val_loss, val_acc = self.evaluate(self.val_loader)
            self.scheduler.step(val_loss)
            print(f"[{epoch:2d}/{epochs}] train {train_loss:.4f}  val {val_loss:.4f}  val acc {val_acc:.3f}")


if __name__ == "__main__":
    torch.manual_seed(0)
    trainer = Trainer(DigitNet(), DisplayDigits(1000, seed=1), DisplayDigits(200, seed=2))
    trainer.fit(epochs=10)
    _, accuracy = trainer.evaluate(DataLoader(DisplayDigits(300, seed=3), batch_size=100))
    print(f"accuracy: {accuracy:.3f}")
