"""Several labels per picture: which of four shapes are drawn?

The net ends in a sigmoid and the loss is plain BCELoss, which wants
probabilities.  The labels are independent, so no softmax is involved, and the
first loss is near ln 2 = 0.69.
"""
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

SHAPES = ("disc", "square", "triangle", "cross")


class ShapeScenes(Dataset):
    """Scenes drawn once, kept in memory, and returned as they are."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        self.items = [self.scene(rng) for _ in range(count)]

    @staticmethod
    def scene(rng, size=40):
        back = tuple(int(v) for v in rng.integers(0, 90, 3))
        img = Image.new("RGB", (size, size), back)
        pen = ImageDraw.Draw(img)
        present = rng.random(len(SHAPES)) < 0.5
        corners = rng.permutation([(0, 0), (0, 20), (20, 0), (20, 20)])
        for k, (ox, oy) in zip(np.flatnonzero(present), corners):
            r = rng.uniform(5, 8)
            cx, cy = ox + rng.uniform(8, 12), oy + rng.uniform(8, 12)
            col = tuple(int(v) for v in rng.integers(140, 256, 3))
            if k == 0:
                pen.ellipse((cx - r, cy - r, cx + r, cy + r), fill=col)
            elif k == 1:
                pen.rectangle((cx - r, cy - r, cx + r, cy + r), fill=col)
            elif k == 2:
                pen.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=col)
            else:
                pen.line((cx - r, cy, cx + r, cy), fill=col, width=3)
                pen.line((cx, cy - r, cx, cy + r), fill=col, width=3)
        pixels = np.asarray(img, np.float32) / 255 + rng.normal(0, 0.05, (size, size, 3))
        pixels = (pixels.astype(np.float32) - 0.3) / 0.25
        return torch.from_numpy(pixels.transpose(2, 0, 1).copy()), torch.from_numpy(present.astype(np.float32))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),  # "is it anywhere?" is a question for a maximum
            nn.Flatten(),
        )
        self.tags = nn.Linear(32, len(SHAPES))
        # maxima are large: a small first head keeps the first loss at ln 2
        nn.init.normal_(self.tags.weight, std=0.01)
        nn.init.zeros_(self.tags.bias)

    def forward(self, x):
        return torch.sigmoid(self.tags(self.features(x)))


def main():
    torch.manual_seed(0)
    train = DataLoader(ShapeScenes(1500, seed=100), batch_size=50, shuffle=True)
    valid = DataLoader(ShapeScenes(300, seed=200), batch_size=200)
    net = Tagger()
    criterion = nn.BCELoss()
    optimizer = optim.Adam(net.parameters(), lr=2e-3)

    for epoch in range(4):
        net.train()
        losses = []
        for x, y in train:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: loss {np.mean(losses):.3f} (first batch {losses[0]:.3f})")

    net.eval()
    hits, exact, n = 0, 0, 0
    with torch.no_grad():
        for x, y in valid:
            ok = (net(x) > 0.5) == (y > 0.5)
            hits += ok.float().mean(1).sum().item()
            exact += ok.all(1).sum().item()
            n += len(y)
    print(f"all four tags right: {exact / n:.3f} (chance 0.0625)")
    print(f"accuracy: {hits / n:.3f}")


if __name__ == "__main__":
    main()
