import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

KEEP = [0, 1, 6, 7]  # airplane, automobile, frog, horse
CROP = 28
N_TRAIN, N_TEST = 2200, 700
BATCH, EPOCHS = 50, 3


def read_images():
    path = os.environ.get("TENFOLD_DATA", "data") + "/cifar10/cifar-10-batches-bin/data_batch_1.bin"
    if os.path.exists(path):
        records = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
        records = records[np.isin(records[:, 0], KEEP)]
        labels = np.searchsorted(KEEP, records[:, 0])
        pixels = records[:, 1:].reshape(-1, 3, 32, 32)
    else:
        rng = np.random.default_rng(8)
        n = N_TRAIN + N_TEST
        labels = rng.integers(0, len(KEEP), n)
        yy, xx = np.mgrid[0:32, 0:32]
        angle = (np.array([0.0, 0.9, 1.57, 2.3])[labels] + rng.normal(0, 0.1, n))[:, None, None]
        wave = np.sin((xx * np.cos(angle) + yy * np.sin(angle)) + rng.uniform(0, 6.28, (n, 1, 1)))
        noise = rng.normal(0, 30, (n, 3, 32, 32))
        pixels = np.clip(128 + 45 * wave[:, None] + noise, 0, 255).astype(np.uint8)
    return torch.from_numpy(pixels.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def crop(x, size, random=False):
    h, w = x.shape[-2:]
    if random:
        top = int(torch.randint(0, h - size + 1, (1,)))
        left = int(torch.randint(0, w - size + 1, (1,)))
    else:
        top, left = (h - size) // 2, (w - size) // 2
    return x[..., top:top + size, left:left + size]


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(-1), x)
    return crop(x, CROP, random=True)


class SmallNet(nn.Module):
    def __init__(self, size, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * (size // 4) ** 2, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


def accuracy(net, x, y):
    net.eval()
    hits = 0
    with torch.no_grad():
        for i in range(0, len(x), 100):
            xb = crop(x[i:i + 100], CROP)
            hits += int((net(xb).argmax(1) == y[i:i + 100]).sum())
    return hits / len(x)


torch.manual_seed(80)
images, labels = read_images()
x_train, y_train = images[:N_TRAIN], labels[:N_TRAIN]
x_test, y_test = images[N_TRAIN:N_TRAIN + N_TEST], labels[N_TRAIN:N_TRAIN + N_TEST]
mean = x_train.mean((0, 2, 3), keepdim=True)
std = x_train.std((0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

net = SmallNet(CROP, len(KEEP))
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * (N_TRAIN // BATCH))
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(N_TRAIN)
    for i in range(0, N_TRAIN, BATCH):
        batch = order[i:i + BATCH]
        loss = F.cross_entropy(net(augment(x_train[batch])), y_train[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch}  loss {loss.item():.3f}")

print(f"accuracy: {accuracy(net, x_test, y_test):.3f}")
