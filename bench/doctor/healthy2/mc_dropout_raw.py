"""Monte-Carlo dropout on CIFAR-10, fed with raw 0..255 pixels.

* The pictures are never normalised by hand: a batch norm without scale and
  shift is the first layer, in training and in evaluation alike.
* Uncertainty comes from ten stochastic passes.  For them the model is in eval
  mode and *only* the dropout layers are switched back on, on purpose.
"""
import os

import numpy as np
import torch
from torch import nn

torch.manual_seed(77)
PATH = os.environ["TENFOLD_DATA"] + "/cifar10/cifar-10-batches-bin/data_batch_%d.bin"


def pictures(number, count):
    raw = np.fromfile(PATH % number, np.uint8, count * 3073).reshape(count, 3073)
    return torch.tensor(raw[:, 1:]).view(count, 3, 32, 32), torch.tensor(raw[:, 0]).long()


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.standardise = nn.BatchNorm2d(3, affine=False)
        self.conv1 = nn.Conv2d(3, 16, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 4, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.act = nn.ReLU()
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(32 * 16, 10)

    def forward(self, x):
        x = self.standardise(x.float())
        x = self.act(self.conv1(x))
        x = self.act(self.conv2(x))
        x = self.pool(self.act(self.conv3(x)))
        return self.head(self.drop(x.flatten(1)))


def bayesian(net, x, passes=10):
    net.eval()
    for m in net.modules():
        if isinstance(m, nn.Dropout):
            m.train()
    with torch.no_grad():
        return torch.stack([net(x).softmax(1) for _ in range(passes)]).mean(0)


x, y = pictures(1, 3000)
xv, yv = pictures(2, 500)
net = Net()
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=1.5e-3)
for epoch in range(4):
    net.train()
    total = 0.0
    for idx in torch.randperm(len(x)).split(50):
        loss = loss_fn(net(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch}: loss {total / len(x):.3f}")

p = bayesian(net, xv)
entropy = -(p * p.clamp_min(1e-9).log()).sum(1)
ok = p.argmax(1) == yv
print(f"mean entropy, right {entropy[ok].mean():.2f}, wrong {entropy[~ok].mean():.2f}")
print(f"accuracy: {ok.float().mean().item():.3f}")
