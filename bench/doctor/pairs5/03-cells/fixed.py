"""Blood smear toy problem: tell six kinds of cells apart in 28x28 grey crops."""
import copy

import numpy as np
import torch
import torch.nn as nn
from scipy import ndimage
from torch.utils.data import DataLoader, Dataset, random_split

KINDS = ("disc", "ring", "lobed", "granular", "sickle", "pair")
S = 28


def cell_mask(kind, rng):
    y, x = np.mgrid[0:S, 0:S].astype(np.float32)
    cy, cx = rng.uniform(10, S - 10, 2)
    t = rng.uniform(0, 2 * np.pi)
    dy, dx = y - cy, x - cx
    u, v = dx * np.cos(t) + dy * np.sin(t), dy * np.cos(t) - dx * np.sin(t)
    r = rng.uniform(5.0, 7.5)
    rho, phi = np.hypot(u, v), np.arctan2(v, u)
    if kind == "disc":
        return rho < r
    if kind == "ring":
        return (rho < r) & (rho > 0.55 * r)
    if kind == "lobed":
        return rho < r * (0.75 + 0.35 * np.cos(3 * phi))
    if kind == "granular":
        return (rho < r) & (ndimage.gaussian_filter(rng.normal(size=(S, S)), 0.8) > 0)
    if kind == "sickle":
        return (rho < r) & (np.hypot(u - 0.55 * r, v) > 0.85 * r)
    return (np.hypot(u - 0.6 * r, v) < 0.52 * r) | (np.hypot(u + 0.6 * r, v) < 0.52 * r)


def stain(mask, rng):
    """Turn a mask into a uint8 micrograph: blur, exposure, gradient, debris, shot noise."""
    img = ndimage.gaussian_filter(mask.astype(np.float32), rng.uniform(0.5, 0.9))
    img = rng.uniform(0.55, 0.85) - rng.uniform(0.15, 0.4) * img
    img += np.linspace(-1, 1, S)[None, :] * rng.uniform(-0.1, 0.1)
    for _ in range(rng.integers(0, 3)):
        j, i = rng.integers(0, S - 2, 2)
        img[j:j + 2, i:i + 2] -= rng.uniform(0.1, 0.3)
    img += rng.normal(0, 0.05, img.shape)
    return (img.clip(0, 1) * 255).astype(np.uint8)


def standardise(img):
    """Exposure differs from slide to slide, so every image gets zero mean and unit deviation."""
    return (img - img.mean()) / (img.std() + 1e-6)


class SmearDataset(Dataset):
    def __init__(self, n, seed, augment=False):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % len(KINDS))
        self.pixels = np.stack([stain(cell_mask(KINDS[k], rng), rng) for k in self.labels])
        self.augment = augment

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.pixels[i][np.newaxis].astype(np.float32)     # 1 x 28 x 28
        img = torch.from_numpy(standardise(img))
        if self.augment:
            if torch.rand(()) < 0.5:
                img = img.flip(-1)
            if torch.rand(()) < 0.5:
                img = img.flip(-2)
        return img, int(self.labels[i])


class CellNet(nn.Module):
    def __init__(self, num_classes=len(KINDS)):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.2)
        self.fc = nn.Linear(48 * 3 * 3, num_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        return self.fc(self.drop(x.flatten(1)))


class Trainer:
    def __init__(self, model, train_loader, val_loader, lr=2e-3, patience=4):
        self.model, self.train_loader, self.val_loader = model, train_loader, val_loader
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.patience = patience

    def train_one_epoch(self):
        self.model.train()
        total, n = 0.0, 0
        for images, labels in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            total, n = total + loss.item() * len(labels), n + len(labels)
        return total / n

    @torch.inference_mode()
    def evaluate(self, loader):
        self.model.eval()
        total, correct, n = 0.0, 0, 0
        for images, labels in loader:
            logits = self.model(images)
            total += self.criterion(logits, labels).item() * len(labels)
            correct += (logits.argmax(-1) == labels).sum().item()
            n += len(labels)
        return total / n, correct / n

    def fit(self, epochs):
        best_loss, best_weights, waited = float("inf"), None, 0
        for epoch in range(epochs):
            train_loss = self.train_one_epoch()
            val_loss, val_acc = self.evaluate(self.val_loader)
            print(f"[{epoch:02d}] train {train_loss:.4f} val {val_loss:.4f} acc {val_acc:.3f}")
            if val_loss < best_loss:
                best_loss, best_weights, waited = val_loss, copy.deepcopy(self.model.state_dict()), 0
            else:
                waited += 1
                if waited == self.patience:
                    print("early stop")
                    break
        self.model.load_state_dict(best_weights)


def main():
    torch.manual_seed(2024)
    train_set = SmearDataset(1200, seed=1, augment=True)
    held_out = SmearDataset(720, seed=2)
    val_set, test_set = random_split(held_out, [240, 480], generator=torch.Generator().manual_seed(3))
    trainer = Trainer(
        CellNet(),
        DataLoader(train_set, batch_size=48, shuffle=True),
        DataLoader(val_set, batch_size=120),
    )
    trainer.fit(epochs=9)
    loss, acc = trainer.evaluate(DataLoader(test_set, batch_size=120))
    print(f"held-out test: loss {loss:.4f}, accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
