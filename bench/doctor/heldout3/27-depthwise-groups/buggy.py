"""A small depthwise-separable net on a CIFAR-10 slice, AdamW with parameter groups."""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DIR = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")
NO_DECAY = ("bias", "LayerNorm.weight", "BatchNorm.weight")


def load(name, start, stop):
    raw = np.fromfile(os.path.join(DIR, name), dtype=np.uint8).reshape(-1, 3073)[start:stop]
    x = raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    return torch.from_numpy(x), torch.from_numpy(raw[:, 0].astype(np.int64))


class Separable(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.depthwise = nn.Conv2d(cin, cin, 3, stride, 1, groups=cin, bias=False)
        self.bn1 = nn.BatchNorm2d(cin)
        self.pointwise = nn.Conv2d(cin, cout, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)

    def forward(self, x):
        x = F.relu(self.bn1(self.depthwise(x)))
        return F.relu(self.bn2(self.pointwise(x)))


class MiniMobile(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.stem_bn = nn.BatchNorm2d(16)
        self.blocks = nn.Sequential(Separable(16, 32, 1), Separable(32, 64, 2), Separable(64, 96, 2))
        self.classifier = nn.Linear(96, classes)

    def forward(self, x):
        x = F.relu(self.stem_bn(self.stem(x)))
        return self.classifier(self.blocks(x).mean((2, 3)))


def parameter_groups(model, weight_decay):
    decay, plain = [], []
    for name, p in model.named_parameters():
        (plain if any(key in name for key in NO_DECAY) else decay).append(p)
    return [{"params": decay, "weight_decay": weight_decay},
            {"params": plain, "weight_decay": 0.0}]


def batches(x, y, size, shuffle):
    order = torch.randperm(len(x)) if shuffle else torch.arange(len(x))
    for idx in order.split(size):
        yield x[idx], y[idx]


def main(epochs=7, batch=50, lr=4e-3, weight_decay=0.05):
    torch.manual_seed(27)
    x_train, y_train = load("data_batch_3.bin", 0, 2500)
    x_test, y_test = load("test_batch.bin", 0, 1000)
    mean, std = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

    model = MiniMobile()
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=lr)
    steps = epochs * len(x_train) // batch
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=steps)
    for epoch in range(epochs):
        model.train()
        for xb, yb in batches(x_train, y_train, batch, shuffle=True):
            if torch.rand(()) < 0.5:
                xb = xb.flip(-1)
            loss = F.cross_entropy(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        print(f"epoch {epoch}: {loss.item():.3f}")

    model.eval()
    with torch.no_grad():
        right = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in batches(x_test, y_test, 100, shuffle=False))
    print(f"accuracy: {right / len(y_test):.3f}")


if __name__ == "__main__":
    main()
