import os

import numpy as np
import torch
from torch import nn

# --- data ---------------------------------------------------------------
root = os.environ.get("TENFOLD_DATA", "/nowhere") + "/cifar10/cifar-10-batches-bin"


def get(i, n):
    f = f"{root}/data_batch_{i}.bin"
    if os.path.exists(f):
        z = np.fromfile(f, np.uint8, n * 3073).reshape(n, 3073)
        return torch.from_numpy(z[:, 1:].reshape(n, 3, 32, 32).copy()), torch.from_numpy(z[:, 0].astype(np.int64))
    r = np.random.RandomState(i)
    y = r.randint(0, 10, n)
    return torch.from_numpy(
        np.clip(r.randn(n, 3, 32, 32) * 30 + 20 * y[:, None, None, None], 0, 255).astype(np.uint8)
    ), torch.from_numpy(y)


def prep(x):
    return (x.float() - 121) / 64


# --- net ----------------------------------------------------------------
def conv3x3(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU(True))


torch.manual_seed(0)
net = nn.Sequential(conv3x3(3, 16), conv3x3(16, 32), conv3x3(32, 32), nn.Flatten(), nn.Linear(512, 10))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optim = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

# --- train ----------------------------------------------------------------
(x, y), (xt, yt) = get(1, 3000), get(2, 1000)
for epoch in range(5):
    net.train()
    for idx in torch.randperm(3000).split(100):
        optim.zero_grad(set_to_none=True)
        loss = criterion(net(prep(x[idx])), y[idx])
        loss.backward()
        optim.step()
    print("epoch {:d}: {:.3f}".format(epoch, loss.item()))

net.eval()
with torch.no_grad():
    acc = (net(prep(xt)).argmax(1) == yt).float().mean().item()
print("accuracy: {:.4f}".format(acc))
