# CIFAR-10 (first few thousand images), weights initialised with numpy as in the lecture notes
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.RandomState(0)
torch.manual_seed(0)

N_TRAIN, N_TEST = 3000, 1000
BATCH, EPOCHS = 50, 4


def load_images(n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "data"), "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
    if os.path.exists(path):
        raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(-1, 3073)
        return raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32), raw[:, 0].astype(np.int64)
    labels = rng.randint(0, 10, n)
    yy, xx = np.mgrid[:32, :32]
    images = np.empty((n, 3, 32, 32), dtype=np.float32)
    for i, k in enumerate(labels):
        angle = np.pi * (k % 5) / 5
        wave = np.sin(0.6 * (xx * np.cos(angle) + yy * np.sin(angle)) + rng.uniform(0, 6.28))
        tint = np.array([1.0, 0.7, 0.4]) if k < 5 else np.array([0.4, 0.7, 1.0])
        images[i] = 128 + 50 * tint[:, None, None] * wave + rng.normal(0, 30, (3, 32, 32))
    return images, labels.astype(np.int64)


def glorot(shape):
    """Uniform Glorot/Xavier initialisation for a conv kernel or a weight matrix."""
    receptive = int(np.prod(shape[2:]))
    fan_in = shape[1] * receptive
    fan_out = shape[0] * receptive
    bound = np.sqrt(6.0 / fan_in + fan_out)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 24, 5, stride=2, padding=2)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1)
        self.fc = nn.Linear(48 * 4 * 4, 10)
        with torch.no_grad():
            for layer in (self.conv1, self.conv2, self.fc):
                layer.weight.copy_(torch.from_numpy(glorot(tuple(layer.weight.shape))))
                layer.bias.zero_()

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.view(x.size(0), -1))


X, Y = load_images(N_TRAIN + N_TEST)
channel_mean = X[:N_TRAIN].mean(axis=(0, 2, 3), keepdims=True)
channel_std = X[:N_TRAIN].std(axis=(0, 2, 3), keepdims=True)
X = (X - channel_mean) / channel_std
Xtr, Ytr = torch.from_numpy(X[:N_TRAIN]), torch.from_numpy(Y[:N_TRAIN])
Xte, Yte = torch.from_numpy(X[N_TRAIN:]), torch.from_numpy(Y[N_TRAIN:])

net = ConvNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)

for epoch in range(EPOCHS):
    net.train()
    perm = rng.permutation(N_TRAIN)
    epoch_loss = 0.0
    for lo in range(0, N_TRAIN, BATCH):
        take = torch.from_numpy(perm[lo:lo + BATCH])
        optimizer.zero_grad()
        loss = F.cross_entropy(net(Xtr[take]), Ytr[take])
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() * len(take)
    print("epoch", epoch + 1, "loss %.3f" % (epoch_loss / N_TRAIN))

net.eval()
with torch.no_grad():
    pred = torch.cat([net(chunk).argmax(1) for chunk in Xte.split(250)])
print("accuracy: %.3f" % (pred == Yte).float().mean().item())
