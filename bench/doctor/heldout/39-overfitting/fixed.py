import os
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
start = time.time()


class CifarSubset:
    def __init__(self, n_train=500, n_test=1000, classes=(0, 3, 5, 8, 9)):
        base = os.environ.get("TENFOLD_DATA")
        if base:
            path = os.path.join(base, "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
            raw = torch.from_numpy(np.fromfile(path, dtype=np.uint8)).view(-1, 3073)
            lab = raw[:, 0].long()
            img = raw[:, 1:].view(-1, 3, 32, 32).float() / 255
            remap = torch.full((10,), -1)
            remap[list(classes)] = torch.arange(len(classes))
            lab = remap[lab]
            img, lab = img[lab >= 0], lab[lab >= 0]
        else:
            lab = torch.randint(0, 5, (n_train + n_test,))
            img = torch.rand(n_train + n_test, 3, 32, 32)
            for i, c in enumerate(lab.tolist()):
                r = int(torch.randint(0, 24, ()))
                img[i, :, r : r + 8, :] *= 0.3 + 0.15 * c
        m, s = img.mean((0, 2, 3), keepdim=True), img.std((0, 2, 3), keepdim=True)
        img = (img - m) / s
        self.train = img[:n_train], lab[:n_train]
        self.test = img[n_train : n_train + n_test], lab[n_train : n_train + n_test]


def augment(x):
    flip = torch.rand(len(x)) < 0.5
    x = torch.where(flip[:, None, None, None], x.flip(3), x)
    dy, dx = torch.randint(0, 9, (2,)).tolist()
    return F.pad(x, (4, 4, 4, 4), mode="reflect")[:, :, dy : dy + 32, dx : dx + 32]


ds = CifarSubset()
net = nn.Sequential(
    nn.Conv2d(3, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 48, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(48 * 64, 256),
    nn.ReLU(),
    nn.Linear(256, 5),
)
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
x, y = ds.train
for epoch in range(1, 41):
    net.train()
    hits = 0
    for b in torch.randperm(len(x)).split(25):
        out = net(augment(x[b]))
        loss = F.cross_entropy(out, y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        hits += (out.argmax(1) == y[b]).sum().item()
    if epoch % 5 == 0:
        net.eval()
        with torch.no_grad():
            out = net(ds.test[0])
            test_loss = F.cross_entropy(out, ds.test[1]).item()
            acc = (out.argmax(1) == ds.test[1]).float().mean().item()
        print(f"{epoch} train acc {hits / len(x):.3f} test loss {test_loss:.3f} test acc {acc:.3f}")
print(f"took {time.time() - start:.1f} s")
print(f"accuracy: {acc:.4f}")
