import collections
import json
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F


class Logger:
    def __init__(self, out=sys.stderr):
        self.out, self.values, self.start = out, collections.defaultdict(list), time.time()

    def add(self, **scalars):
        for name, value in scalars.items():
            self.values[name].append(float(value))

    def flush(self, epoch):
        line = {name: round(sum(v) / len(v), 4) for name, v in self.values.items()}
        print(json.dumps({"epoch": epoch, **line, "seconds": round(time.time() - self.start, 1)}), file=self.out)
        self.values.clear()


torch.manual_seed(0)
y = torch.randint(0, 6, (1500,))
x = torch.randn(1500, 1, 12, 12)
for k in range(6):
    x[y == k, :, 2 * k : 2 * k + 2] += 0.7
net = nn.Sequential(nn.Conv2d(1, 12, 3, padding=1), nn.Mish(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(432, 6))
opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
log = Logger()
for epoch in range(4):
    net.train()
    for i in torch.randperm(1200).split(40):
        out = net(x[i])
        loss = F.cross_entropy(out, y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.add(loss=loss.detach(), accuracy=(out.argmax(1) == y[i]).float().mean())
    log.flush(epoch)
net.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1200:]).argmax(1) == y[1200:]).float().mean().item())
