"""Seven-segment displays: training with noise, contrast change and cutout."""
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]


class Displays(Dataset):
    def __init__(self, n, seed, size=24):
        rng = np.random.default_rng(seed)
        self.size = size
        self.labels = [int(v) for v in rng.integers(0, 10, n)]
        self.images = [self.draw(d, rng) for d in self.labels]

    def draw(self, digit, rng):
        x0, y0 = int(rng.integers(5, 9)), int(rng.integers(3, 7))
        x1, y1 = x0 + int(rng.integers(8, 10)), y0 + int(rng.integers(13, 15))
        ym = (y0 + y1) // 2
        lines = {"a": (x0, y0, x1, y0), "b": (x1, y0, x1, ym), "c": (x1, ym, x1, y1), "d": (x0, y1, x1, y1),
                 "e": (x0, ym, x0, y1), "f": (x0, y0, x0, ym), "g": (x0, ym, x1, ym)}
        im = Image.new("L", (self.size, self.size), 30)
        pen = ImageDraw.Draw(im)
        for s in SEGMENTS[digit]:
            pen.line(lines[s], fill=220, width=2)
        pixels = np.asarray(im, dtype=np.float32) / 255 + rng.normal(0, 0.08, (self.size, self.size))
        return torch.from_numpy(((pixels - 0.25) / 0.27).astype(np.float32))[None]

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i], self.labels[i]


def augment_collate(batch, hole=8):
    x = torch.stack([image for image, _ in batch])
    y = torch.tensor([label for _, label in batch])
    x = x * torch.empty(len(x), 1, 1, 1).uniform_(0.3, 1.1) + 0.5 * torch.randn_like(x)
    for k in range(len(x)):
        top, left = torch.randint(0, x.shape[-1] - hole + 1, (2,)).tolist()
        x[k, :, top:top + hole, left:left + hole] = 0.0
    return x, y


def make_loader(dataset, train, batch_size=32):
    return DataLoader(dataset, batch_size=batch_size, shuffle=train, collate_fn=augment_collate if train else None)


def make_net():
    layers, cin = [], 1
    for cout in (12, 24, 32):
        layers += [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]
        cin = cout
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 3 * 3, 10))


class Trainer:
    def __init__(self, net, train_loader, val_loader, lr=3e-3, epochs=5):
        self.net, self.train_loader, self.val_loader, self.epochs = net, train_loader, val_loader, epochs
        self.opt = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=1e-3)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(self.opt, lr, total_steps=epochs * len(train_loader))
        self.loss = nn.CrossEntropyLoss()

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.net.train()
            for x, y in self.train_loader:
                loss = self.loss(self.net(x), y)
                self.opt.zero_grad()
                loss.backward()
                self.opt.step()
                self.sched.step()
            print(f"epoch {epoch}: loss {loss.item():.3f}")
        return self.validate()

    @torch.no_grad()
    def validate(self):
        self.net.eval()
        hits = sum((self.net(x).argmax(1) == y).sum().item() for x, y in self.val_loader)
        return hits / len(self.val_loader.dataset)


def main():
    torch.manual_seed(10)
    train_loader = make_loader(Displays(2000, seed=100), train=True)
    val_loader = make_loader(Displays(600, seed=101), train=False)
    print(f"accuracy: {Trainer(make_net(), train_loader, val_loader).run():.3f}")


if __name__ == "__main__":
    main()
