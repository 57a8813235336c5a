"""A very small residual network on procedurally coloured tiles (checkerboard, rings, stripes, plain gradient)."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


def conv3x3(in_planes, out_planes, stride=1):
    """3x3 convolution with padding"""
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1)


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or in_planes != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_planes, planes, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(planes),
            )

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + identity)


class MiniResNet(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.conv1 = conv3x3(3, 8)
        self.bn1 = nn.BatchNorm2d(8)
        self.layer1 = BasicBlock(8, 8)
        self.layer2 = BasicBlock(8, 16, stride=2)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Tiles(Dataset):
    KINDS = ("checker", "rings", "stripes", "gradient")

    def __init__(self, n, seed, size=16):
        g = torch.Generator().manual_seed(seed)
        self.targets = torch.randint(4, (n,), generator=g)
        yy, xx = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
        out = []
        for t in self.targets.tolist():
            f, p = 0.9 + torch.rand(1, generator=g), 6.3 * torch.rand(2, generator=g)
            if t == 0:
                m = torch.sin(f * xx + p[0]) * torch.sin(f * yy + p[1])
            elif t == 1:
                m = torch.sin(f * ((xx - 4 - p[0]).pow(2) + (yy - 4 - p[1]).pow(2)).sqrt())
            elif t == 2:
                m = torch.sin(f * (xx + yy) / 1.4 + p[0])
            else:
                m = (xx - yy) / size * (1 if p[0] > 3 else -1)
            colour = torch.randn(3, 1, 1, generator=g)
            out.append(m * colour / colour.norm() + 0.3 * torch.randn(3, size, size, generator=g))
        self.images = torch.stack(out)
        self.images /= self.images.std()

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.images[i], self.targets[i]


def run_epoch(model, loader, optimizer=None):
    training = optimizer is not None
    model.train(training)
    correct = 0
    with torch.set_grad_enabled(training):
        for images, targets in loader:
            logits = model(images)
            if training:
                optimizer.zero_grad()
                F.cross_entropy(logits, targets).backward()
                optimizer.step()
            correct += (logits.argmax(1) == targets).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(0)
    train_loader = DataLoader(Tiles(960, seed=1), batch_size=48, shuffle=True)
    val_loader = DataLoader(Tiles(300, seed=2), batch_size=100)
    model = MiniResNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    for epoch in range(5):
        tr, va = run_epoch(model, train_loader, optimizer), run_epoch(model, val_loader)
        print(f"epoch {epoch:2d} | train {tr:.3f} | val {va:.3f}")
    print(f"accuracy: {va:.3f}")


if __name__ == "__main__":
    main()
