#!/usr/bin/env python
import os, sys
import numpy as np
import torch, torch.nn as nn, torch.nn.functional as F

bs, lr, momentum, n_epochs = 50, 0.01, 0.9, 8
torch.manual_seed(2024)

data_dir = os.environ.get("TENFOLD_DATA")
if data_dir:
    rec = np.fromfile(os.path.join(data_dir, "cifar10", "cifar-10-batches-bin", "data_batch_4.bin"), "u1").reshape(
        -1, 3073
    )
    rec = rec[rec[:, 0] < 4][:2500]
    imgs, labs = rec[:, 1:].reshape(-1, 3, 32, 32).astype("f4"), rec[:, 0].astype("i8")
else:
    r = np.random.RandomState(1)
    labs = r.randint(0, 4, 2500)
    imgs = r.randint(0, 120, (2500, 3, 32, 32)).astype("f4")
    for im, l in zip(imgs, labs):
        im[l % 3, 8 * (l // 2) : 8 * (l // 2) + 16, 8:24] += 100
    labs = labs.astype("i8")

n_tr = 2000
mean = imgs[:n_tr].mean(axis=(0, 2, 3), keepdims=True)
std = imgs[:n_tr].std(axis=(0, 2, 3), keepdims=True)
print("mean", mean.ravel(), "std", std.ravel(), file=sys.stderr if "-v" in sys.argv else sys.stdout)
imgs = torch.from_numpy(imgs)
labs = torch.from_numpy(labs)


class CNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 64, 64)
        self.fc2 = nn.Linear(64, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


net = CNN()
opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=momentum)
for ep in range(n_epochs):
    net.train()
    tot = 0.0
    for sel in torch.randperm(n_tr).split(bs):
        opt.zero_grad()
        loss = F.cross_entropy(net(imgs[sel]), labs[sel])
        loss.backward()
        opt.step()
        tot += loss.item() * len(sel)
    print("%d: %.4f" % (ep, tot / n_tr))

net.eval()
with torch.no_grad():
    out = net(imgs[n_tr:])
print("accuracy: %.4f" % (out.argmax(1) == labs[n_tr:]).float().mean())
