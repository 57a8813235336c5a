import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

# Each part is seen with its front to the left (even class) or to the right (odd class).
PARTS = ["diode", "battery", "transistor", "opamp"]
NAMES = [f"{part}-{side}" for part in PARTS for side in ("left", "right")]
PX = 28
BIG = PX * 4


def sketch(cls, rng):
    """Hand-drawn looking symbol on squared paper, values 0..1."""
    part, right = PARTS[cls // 2], cls % 2 == 1
    im = Image.new("L", (BIG, BIG), 235)
    d = ImageDraw.Draw(im)
    off = int(rng.integers(0, 16))
    for k in range(off, BIG, 16):
        d.line([(k, 0), (k, BIG)], fill=205, width=2)
        d.line([(0, k), (BIG, k)], fill=205, width=2)
    cx, cy = BIG / 2 + rng.uniform(-12, 12), BIG / 2 + rng.uniform(-12, 12)
    s, pen, ink = rng.uniform(20, 30), int(rng.integers(3, 7)), int(rng.integers(20, 90))

    def p(u, v):
        u = u if right else -u
        return cx + s * u + rng.normal(0, 1.2), cy + s * v + rng.normal(0, 1.2)

    def line(*pts):
        d.line([p(*q) for q in pts], fill=ink, width=pen)

    if part == "diode":
        line((-0.7, -0.7), (-0.7, 0.7), (0.6, 0), (-0.7, -0.7))
        line((0.6, -0.7), (0.6, 0.7))
        line((-1.7, 0), (-0.7, 0))
        line((0.6, 0), (1.7, 0))
    elif part == "battery":
        line((0.25, -1.0), (0.25, 1.0))
        line((-0.25, -0.45), (-0.25, 0.45))
        line((0.25, 0), (1.7, 0))
        line((-1.7, 0), (-0.25, 0))
    elif part == "transistor":
        line((-0.4, -0.8), (-0.4, 0.8))
        line((-1.6, 0), (-0.4, 0))
        line((-0.4, -0.3), (0.8, -1.0), (0.8, -1.6))
        line((-0.4, 0.3), (0.8, 1.0), (0.8, 1.6))
    else:
        line((-0.9, -1.1), (-0.9, 1.1), (1.1, 0), (-0.9, -1.1))
        line((-1.7, -0.5), (-0.9, -0.5))
        line((-1.7, 0.5), (-0.9, 0.5))
        line((1.1, 0), (1.7, 0))
    im = im.rotate(float(rng.uniform(-10, 10)), resample=Image.BILINEAR, fillcolor=235)
    small = np.asarray(im.resize((PX, PX), Image.BOX), dtype=np.float32) / 255
    return small + rng.normal(0, 0.12, size=small.shape).astype(np.float32)


class Symbols(Dataset):
    def __init__(self, n, seed, flip=False):
        rng = np.random.default_rng(seed)
        self.labels = torch.from_numpy(rng.integers(0, len(NAMES), size=n))
        self.pictures = torch.from_numpy(np.stack([sketch(int(c), rng) for c in self.labels]))[:, None]
        self.flip = flip

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        picture, label = self.pictures[i], self.labels[i]
        if self.flip and torch.rand(()) < 0.5:
            picture = picture.flip(-1)
            label = label ^ 1
        return (picture - 0.8) / 0.2, label


class Classifier(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def compile_with(self, optimizer, loss):
        self.optimizer, self.loss = optimizer, loss
        return self

    def fit(self, loader, epochs, validation=None):
        history = {"loss": [], "val_accuracy": []}
        for epoch in range(1, epochs + 1):
            self.net.train()
            total = count = 0
            for x, y in loader:
                self.optimizer.zero_grad(set_to_none=True)
                value = self.loss(self.net(x), y)
                value.backward()
                self.optimizer.step()
                total, count = total + value.item() * y.numel(), count + y.numel()
            history["loss"].append(total / count)
            line = f"Epoch {epoch}/{epochs} - loss: {history['loss'][-1]:.4f}"
            if validation is not None:
                history["val_accuracy"].append(self.evaluate(validation))
                line += f" - val_accuracy: {history['val_accuracy'][-1]:.4f}"
            print(line)
        return history

    @torch.no_grad()
    def predict(self, loader):
        self.net.eval()
        pairs = [(self.net(x).argmax(1), y) for x, y in loader]
        return torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs])

    def evaluate(self, loader):
        guess, truth = self.predict(loader)
        return (guess == truth).float().mean().item()


def build_net():
    layers, last = [], 1
    for width in (12, 24, 36):
        layers += [nn.Conv2d(last, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2)]
        last = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.2), nn.Linear(last * 9, len(NAMES)))


def main():
    torch.manual_seed(21)
    train = DataLoader(Symbols(1600, seed=100, flip=True), batch_size=50, shuffle=True)
    val = DataLoader(Symbols(400, seed=200), batch_size=200)
    test = DataLoader(Symbols(600, seed=300), batch_size=200)
    net = build_net()
    model = Classifier(net).compile_with(torch.optim.Adam(net.parameters(), lr=1e-3), nn.CrossEntropyLoss())
    model.fit(train, epochs=7, validation=val)
    guess, truth = model.predict(test)
    for k, name in enumerate(NAMES):
        mine = truth == k
        print(f"{name:>17}: {(guess[mine] == k).float().mean():.2f} of {int(mine.sum())}")
    print(f"test accuracy: {(guess == truth).float().mean():.4f}")


if __name__ == "__main__":
    main()
