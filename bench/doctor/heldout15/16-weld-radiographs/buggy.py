"""Weld radiograph screening: sound / porosity / crack / slag inclusion.

Small CNN on 32x32 crops of simulated radiographs. Train / validation / test.
"""
import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter
from torch.utils.data import DataLoader, Dataset

CLASSES = ["sound", "porosity", "crack", "slag"]
SIZE = 32
EPOCHS = 7


def simulate_weld(kind, rng):
    """Density image in 0..1: a bright seam on a darker plate, plus a defect."""
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    centre = SIZE / 2 + rng.uniform(-3, 3)
    width = rng.uniform(5, 8)
    tilt = rng.uniform(-0.15, 0.15)
    axis = yy - centre - tilt * (xx - SIZE / 2)
    img = 0.35 + rng.uniform(0.15, 0.3) * np.exp(-(axis / width) ** 2)

    if kind == "porosity":
        for _ in range(rng.integers(4, 9)):
            cx, cy = rng.uniform(4, 28), centre + rng.uniform(-5, 5)
            r = rng.uniform(0.9, 1.6)
            img -= rng.uniform(0.15, 0.3) * np.exp(-((xx - cx) ** 2 + (yy - cy) ** 2) / r ** 2)
    elif kind == "crack":
        y, x0 = centre + rng.uniform(-4, 4), rng.integers(2, 12)
        for x in range(x0, x0 + rng.integers(12, 19)):
            y += rng.normal(0, 0.7)
            img[int(np.clip(y, 0, SIZE - 1)), min(x, SIZE - 1)] -= rng.uniform(0.15, 0.35)
    elif kind == "slag":
        cx, cy = rng.uniform(8, 24), centre + rng.uniform(-4, 4)
        a, b = rng.uniform(3.5, 6), rng.uniform(1.4, 2.4)
        img -= rng.uniform(0.12, 0.22) * (((xx - cx) / a) ** 2 + ((yy - cy) / b) ** 2 < 1)

    img = gaussian_filter(img, 0.5) + rng.normal(0, 0.035, img.shape)
    return np.clip(img * rng.uniform(0.85, 1.15), 0, 1).astype(np.float32)


def make_split(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(CLASSES), n)
    images = np.stack([simulate_weld(CLASSES[k], rng) for k in labels])
    return images, labels


class RadiographDataset(Dataset):
    def __init__(self, images, labels, mean, std, flip=False):
        self.images = images
        self.labels = labels
        self.mean, self.std = mean, std
        self.flip = flip

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        x = torch.from_numpy(self.images[index]).unsqueeze(0)
        x = x.sub_(self.mean).div_(self.std)
        if self.flip:
            if torch.rand(()) < 0.5:
                x = x.flip(-1)
            if torch.rand(()) < 0.5:
                x = x.flip(-2)
        return x, int(self.labels[index])


def conv_block(cin, cout):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )


class WeldNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.body = nn.Sequential(conv_block(1, 16), conv_block(16, 32), conv_block(32, 48))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(48 * 4 * 4, n_classes))

    def forward(self, x):
        return self.head(self.body(x))


def train_one_epoch(model, loader, criterion, optimizer, scheduler):
    model.train()
    running = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(y)
    return running / len(loader.dataset)


@torch.no_grad()
def accuracy(model, loader):
    model.eval()
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in loader)
    return hits / len(loader.dataset)


def main():
    torch.manual_seed(3)
    train_img, train_lab = make_split(1400, seed=1)
    val_img, val_lab = make_split(300, seed=2)
    test_img, test_lab = make_split(400, seed=3)
    mean, std = float(train_img.mean()), float(train_img.std())
    print(f"train mean {mean:.3f}, std {std:.3f}")

    train_set = RadiographDataset(train_img, train_lab, mean, std, flip=True)
    val_set = RadiographDataset(val_img, val_lab, mean, std)
    test_set = RadiographDataset(test_img, test_lab, mean, std)
    train_loader = DataLoader(train_set, batch_size=50, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=100)
    test_loader = DataLoader(test_set, batch_size=100)

    model = WeldNet(len(CLASSES))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * len(train_loader))

    for epoch in range(1, EPOCHS + 1):
        loss = train_one_epoch(model, train_loader, criterion, optimizer, scheduler)
        print(f"epoch {epoch}: loss {loss:.3f}  val acc {accuracy(model, val_loader):.3f}")

    print(f"test accuracy {accuracy(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
