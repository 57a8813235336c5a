import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def cifar(part, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part)
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        return torch.from_numpy(a[:, 1:].reshape(n, 3, 32, 32).astype(np.float32)), torch.from_numpy(
            a[:, 0].astype(np.int64)
        )
    rng = np.random.RandomState(part)
    y = rng.randint(0, 10, n)
    x = np.clip(rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None], 0, 255).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


torch.manual_seed(0)
(x, y), (xv, yv) = cifar(3, 3000), cifar(4, 1000)
x, xv = x / 127.5 - 1, xv / 127.5 - 1
dl = DataLoader(TensorDataset(x, y), batch_size=60, shuffle=True)
model = nn.Sequential(
    nn.Conv2d(3, 24, 3, 2, 1),
    nn.LeakyReLU(0.1),
    nn.Conv2d(24, 32, 3, 2, 1),
    nn.LeakyReLU(0.1),
    nn.Conv2d(32, 32, 3, 2, 1),
    nn.LeakyReLU(0.1),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.Linear(512, 10),
)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
crit = nn.CrossEntropyLoss(label_smoothing=0.1)
for epoch in range(5):
    model.train()
    for xb, yb in dl:
        opt.zero_grad()
        loss = crit(model(xb), yb)
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
with torch.no_grad():
    print("accuracy: {:.4f}".format((model(xv).argmax(1) == yv).float().mean().item()))
