# Reads one digit of an LCD electricity meter. VGG-like net, everything in memory.
import math
import time

import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(0)
np.random.seed(0)
device = 'cuda' if torch.cuda.is_available() else 'cpu'

# --------------------------------------------------------------- data
SEGMENTS = {0: 'abcdef', 1: 'bc', 2: 'abged', 3: 'abgcd', 4: 'fgbc',
            5: 'afgcd', 6: 'afgedc', 7: 'abc', 8: 'abcdefg', 9: 'abcdfg'}
BOXES = {'a': (0, 2, 1, 9), 'b': (1, 9, 9, 11), 'c': (10, 18, 9, 11), 'd': (17, 19, 1, 9),
         'e': (10, 18, -1, 1), 'f': (1, 9, -1, 1), 'g': (8, 10, 1, 9)}


def digit(k):
    img = np.zeros((32, 32), np.float32)
    top, left = np.random.randint(2, 11), np.random.randint(4, 18)
    ink = np.random.uniform(0.5, 1.0)
    slant = np.random.uniform(-0.15, 0.15)
    for s in SEGMENTS[k]:
        r0, r1, c0, c1 = BOXES[s]
        for r in range(r0, r1):
            shift = int(round(slant * (9 - r)))
            lo, hi = max(left + c0 + shift, 0), max(left + c1 + shift, 0)
            img[top + r, lo:hi] = ink
    # ghosting of the segments which are off
    img += np.random.uniform(0, 0.15)
    return img + np.random.normal(0, 0.12, img.shape).astype(np.float32)


N_TRAIN, N_TEST = 1200, 400
labels = np.random.permutation(np.arange(N_TRAIN + N_TEST) % 10)
images = np.stack([digit(k) for k in labels]).astype(np.float32)
X = torch.from_numpy(images).unsqueeze(1)
Y = torch.from_numpy(labels).long()
Xtr, Ytr, Xte, Yte = X[:N_TRAIN], Y[:N_TRAIN], X[N_TRAIN:], Y[N_TRAIN:]
mu, sd = Xtr.mean(), Xtr.std()
Xtr, Xte = (Xtr - mu) / sd, (Xte - mu) / sd

# --------------------------------------------------------------- model
CFG = [12, 12, 'M', 24, 24, 'M', 48, 48, 'M']


class VGG(nn.Module):
    def __init__(self, cfg, num_classes=10):
        super(VGG, self).__init__()
        layers = []
        in_channels = 1
        for v in cfg:
            if v == 'M':
                layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
            else:
                layers += [nn.Conv2d(in_channels, v, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                in_channels = v
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(48 * 4 * 4, 96),
            nn.ReLU(inplace=True),
            nn.Dropout(0.3),
            nn.Linear(96, num_classes),
        )
        self._initialize_weights()

    def forward(self, x):
        x = self.features(x)
        x = x.view(x.size(0), -1)
        return self.classifier(x)

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                m.weight.data.normal_(0, math.sqrt(2. / n))
                m.bias.data.zero_()
            elif isinstance(m, nn.Linear):
                m.weight.data.normal_(0, math.sqrt(1. / m.in_features))
                m.bias.data.zero_()


net = VGG(CFG).to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
print('parameters:', sum(p.numel() for p in net.parameters()))

# --------------------------------------------------------------- training
BATCH = 40
for epoch in range(6):
    t0 = time.time()
    net.train()
    order = torch.randperm(N_TRAIN)
    total = 0.
    for i in range(0, N_TRAIN, BATCH):
        idx = order[i:i + BATCH]
        xb, yb = Xtr[idx].to(device), Ytr[idx].to(device)
        optimizer.zero_grad()
        loss = criterion(net(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    print('epoch %d  loss %.4f  (%.1fs)' % (epoch, total / N_TRAIN, time.time() - t0))

# --------------------------------------------------------------- test
net.eval()
with torch.no_grad():
    pred = torch.cat([net(xb.to(device)).argmax(1).cpu() for xb in Xte.split(100)])
print('accuracy: %.3f' % (pred == Yte).float().mean().item())
