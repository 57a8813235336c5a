# small CIFAR-10 run with smoothed labels and mixup, everything in memory
import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
np.random.seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"

N_TRAIN, N_TEST, C = 2000, 600, 10
BATCH, EPOCHS, LR, SMOOTH, ALPHA = 50, 6, 0.05, 0.05, 0.1

root = os.environ.get("TENFOLD_DATA")
if root:
    def read(name, n):
        path = os.path.join(root, "cifar10", "cifar-10-batches-bin", name)
        raw = np.fromfile(path, dtype=np.uint8, count=n * 3073).reshape(n, 3073)
        return raw[:, 1:].reshape(n, 3, 32, 32), raw[:, 0].astype(np.int64)

    x_train, y_train = read("data_batch_1.bin", N_TRAIN)
    x_test, y_test = read("test_batch.bin", N_TEST)
else:
    def paint(n, rng):
        y = rng.integers(0, C, n)
        x = np.zeros((n, 3, 32, 32), dtype=np.float32)
        v, u = np.mgrid[0:32, 0:32] / 32.0
        for i, k in enumerate(y):
            angle = np.pi * (k % 5) / 5 + rng.normal(0, 0.06)
            freq = (3.0 if k < 5 else 5.5) * rng.uniform(0.9, 1.1)
            wave = np.sin(2 * np.pi * freq * (u * np.cos(angle) + v * np.sin(angle)) + rng.uniform(0, 6.28))
            x[i] = 128 + 45 * wave * rng.uniform(0.4, 1, (3, 1, 1)) + rng.uniform(-40, 40, (3, 1, 1))
        x += rng.normal(0, 20, x.shape)
        return x.clip(0, 255).astype(np.uint8), y

    x_train, y_train = paint(N_TRAIN, np.random.default_rng(1))
    x_test, y_test = paint(N_TEST, np.random.default_rng(2))

mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
std = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)
x_train = ((torch.from_numpy(x_train).float() / 255 - mean) / std).to(device)
x_test = ((torch.from_numpy(x_test).float() / 255 - mean) / std).to(device)
y_train = torch.from_numpy(y_train).to(device)
y_test = torch.from_numpy(y_test).to(device)

soft = torch.full((N_TRAIN, C), SMOOTH / C, device=device)
soft.scatter_(1, y_train[:, None], 1 - SMOOTH + SMOOTH / C)


def soft_cross_entropy(logits, target):
    return -(target * F.log_softmax(logits, dim=1)).mean()


net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(64 * 16, 96), nn.ReLU(),
    nn.Linear(96, C),
).to(device)

opt = torch.optim.SGD(net.parameters(), lr=LR, momentum=0.9, nesterov=True, weight_decay=5e-4)
steps = EPOCHS * (N_TRAIN // BATCH)
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 20) * (1 - s / steps))

start = time.time()
for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(N_TRAIN, device=device)
    losses = []
    for i in range(0, N_TRAIN, BATCH):
        idx = order[i:i + BATCH]
        xb, tb = x_train[idx], soft[idx]
        flip = torch.rand(len(idx), device=device) < 0.5
        xb = torch.where(flip[:, None, None, None], xb.flip(3), xb)
        lam = float(np.random.beta(ALPHA, ALPHA))
        mate = torch.randperm(len(idx), device=device)
        xb = lam * xb + (1 - lam) * xb[mate]
        tb = lam * tb + (1 - lam) * tb[mate]

        opt.zero_grad()
        loss = soft_cross_entropy(net(xb), tb)
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
    print(f"epoch {epoch}  loss {np.mean(losses):.4f}  {time.time() - start:.1f}s")

net.eval()
with torch.no_grad():
    pred = torch.cat([net(b).argmax(1) for b in x_test.split(200)])
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
