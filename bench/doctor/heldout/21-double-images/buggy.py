import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Spirals(Dataset):
    def __init__(self, n, seed, mean=None, std=None):
        rng = np.random.default_rng(seed)
        self.labels = rng.integers(0, 4, n)
        yy, xx = np.mgrid[-1:1:18j, -1:1:18j]
        radius, theta = np.hypot(yy, xx), np.arctan2(yy, xx)
        imgs = []
        for k in self.labels:
            turn = rng.uniform(0, 2 * np.pi)
            arms, hand = (2, 3)[k // 2], (-1, 1)[k % 2]
            imgs.append(np.cos(arms * theta + hand * 6 * radius + turn) + rng.normal(0, 0.5, radius.shape))
        self.images = np.stack(imgs)[:, None]
        self.mean = self.images.mean() if mean is None else mean
        self.std = self.images.std() if std is None else std

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        image = (self.images[idx] - self.mean) / self.std
        return torch.from_numpy(image), torch.tensor(self.labels[idx], dtype=torch.long)


class SpiralNet(nn.Module):
    def __init__(self, ch=16):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, ch, 5, padding=2),
            nn.GELU(),
            nn.AvgPool2d(3),
            nn.Conv2d(ch, 2 * ch, 3, padding=1),
            nn.GELU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * ch * 9, 4),
        )

    def forward(self, x):
        return self.net(x)


def main():
    torch.manual_seed(0)
    train_ds = Spirals(1600, 10)
    val_ds = Spirals(400, 11, train_ds.mean, train_ds.std)
    train_loader = DataLoader(train_ds, batch_size=40, shuffle=True)
    val_loader = DataLoader(val_ds, batch_size=80)
    model = SpiralNet()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for epoch in range(8):
        model.train()
        for image, label in train_loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(image), label)
            loss.backward()
            optimizer.step()
        model.eval()
        right = 0
        with torch.no_grad():
            for image, label in val_loader:
                right += (model(image).argmax(1) == label).sum().item()
        print(f"epoch {epoch}, loss {loss.item():.4f}, val {right / len(val_ds):.4f}")
    print(f"accuracy: {right / len(val_ds):.4f}")


if __name__ == "__main__":
    main()
