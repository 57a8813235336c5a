"""Surface inspection: clean, scratched or pitted plates. Conv net with channel gates."""
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset, random_split

CLASSES = ("clean", "scratch", "pit")
PER_CLASS = 427


class Plates(Dataset):
    def __init__(self, per_class):
        self.labels = [k for k in range(len(CLASSES)) for _ in range(per_class)]
        pixels = np.stack([self.photograph(CLASSES[k]) for k in self.labels])
        self.images = (pixels - 120.0) / 30.0

    @staticmethod
    def photograph(kind, side=24):
        level = random.randint(105, 135)
        plate = Image.new("L", (side, side), level)
        pen = ImageDraw.Draw(plate)
        if kind == "scratch":
            x, y = random.randint(2, 8), random.randint(2, 21)
            pen.line((x, y, x + random.randint(10, 14), random.randint(2, 21)), fill=level + 70, width=1)
        elif kind == "pit":
            x, y, r = random.randint(5, 18), random.randint(5, 18), random.randint(2, 4)
            pen.ellipse((x - r, y - r, x + r, y + r), fill=level - 60)
        return np.asarray(plate, dtype=np.float32) + np.random.normal(0, 22, (side, side)).astype(np.float32)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i]).unsqueeze(0), self.labels[i]


class ChannelGate(nn.Module):
    def __init__(self, channels, squeeze=8):
        super().__init__()
        self.down = nn.Conv2d(channels, squeeze, 1, bias=False)
        self.norm = nn.BatchNorm2d(squeeze)
        self.up = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x):
        g = F.adaptive_avg_pool2d(x, 1)
        g = F.relu(self.norm(self.down(g)))
        return x * torch.sigmoid(self.up(g))


class GateNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.gate1 = ChannelGate(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.gate2 = ChannelGate(32)
        self.fc = nn.Linear(32 * 6 * 6, len(CLASSES))

    def forward(self, x):
        x = self.gate1(F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2))
        x = self.gate2(F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2))
        return F.log_softmax(self.fc(x.flatten(1)), dim=1)


def main():
    random.seed(8), np.random.seed(8), torch.manual_seed(8)
    plates = Plates(PER_CLASS)
    n_val = int(0.2 * len(plates))
    train_set, val_set = random_split(plates, [len(plates) - n_val, n_val])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=128)

    net = GateNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    criterion = nn.NLLLoss()
    for epoch in range(1, 6):
        net.train()
        losses = []
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(net(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch}: train loss {np.mean(losses):.4f}")

    net.eval()
    correct = 0
    with torch.no_grad():
        for x, y in val_loader:
            correct += (net(x).argmax(dim=1) == y).sum().item()
    print(f"accuracy: {correct / len(val_set):.3f}")


if __name__ == "__main__":
    main()
