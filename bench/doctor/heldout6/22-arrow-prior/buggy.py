# Which way does the arrow point?  Eight directions, plain tensors, no loader.
import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(12)
random.seed(12)
np.random.seed(12)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

SIZE, DIRS = 32, 8
N_TRAIN, N_TEST = 1600, 400


def arrow(direction):
    im = Image.new("L", (SIZE, SIZE), random.randint(0, 70))
    d = ImageDraw.Draw(im)
    ang = math.radians(direction * 45 + random.uniform(-12, 12))
    length = random.uniform(8, 11)
    cx, cy = SIZE / 2 + random.uniform(-3, 3), SIZE / 2 + random.uniform(-3, 3)
    dx, dy = math.cos(ang), math.sin(ang)
    tip = (cx + length * dx, cy + length * dy)
    shade = random.randint(150, 255)
    d.line([cx - length * dx, cy - length * dy, tip[0], tip[1]], fill=shade, width=2)
    for side in (-1, 1):
        b = ang + math.pi + side * 0.6
        d.line([tip[0], tip[1], tip[0] + 7 * math.cos(b), tip[1] + 7 * math.sin(b)], fill=shade, width=2)
    a = np.asarray(im, dtype=np.float32) / 255
    return a + np.random.normal(0, 0.05, a.shape).astype(np.float32)


labels = [random.randrange(DIRS) for _ in range(N_TRAIN + N_TEST)]
x = torch.from_numpy(np.stack([arrow(k) for k in labels])).unsqueeze(1)
y = torch.tensor(labels)
x_train, y_train = x[:N_TRAIN], y[:N_TRAIN]
x_test, y_test = x[N_TRAIN:], y[N_TRAIN:]
m, s = x_train.mean(), x_train.std()
x_train, x_test = ((x_train - m) / s).to(device), ((x_test - m) / s).to(device)
y_train, y_test = y_train.to(device), y_test.to(device)


class ArrowNet(nn.Module):
    def __init__(self, log_prior):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, stride=2, padding=2)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.c3 = nn.Conv2d(32, 32, 3, padding=1)
        self.hidden = nn.Linear(32 * 4 * 4, 64)
        self.out = nn.Linear(64, DIRS)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.constant_(layer.bias, log_prior)

    def forward(self, x):
        x = F.relu(self.c1(x))
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        x = F.relu(self.hidden(x.flatten(1)))
        return self.out(x)


net = ArrowNet(math.log(1 / DIRS)).to(device)
opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
EPOCHS, BATCH = 6, 40
total_steps = EPOCHS * N_TRAIN // BATCH
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda k: min(1.0, (k + 1) / 20) * (1 - k / total_steps))

for epoch in range(EPOCHS):
    net.train()
    order = torch.randperm(N_TRAIN, device=device)
    losses = []
    for start in range(0, N_TRAIN, BATCH):
        pick = order[start:start + BATCH]
        opt.zero_grad()
        loss = F.cross_entropy(net(x_train[pick]), y_train[pick])
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
    print(f"epoch {epoch}  mean loss {np.mean(losses):.3f}")

net.eval()
with torch.no_grad():
    guess = net(x_test).argmax(1)
print(f"accuracy: {(guess == y_test).float().mean().item():.3f}")
