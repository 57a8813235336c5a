import math
import random

import torch
import torch.nn as nn


def sample(n, seed):
    rnd = random.Random(seed)
    gen = torch.Generator().manual_seed(seed)
    ys = [rnd.randrange(7) for _ in range(n)]
    xs = torch.randn(n, 2, 14, 14, generator=gen) * 0.55
    for i, c in enumerate(ys):
        a = 2 * math.pi * c / 7
        r, q = 6.5 + 4 * math.sin(a), 6.5 + 4 * math.cos(a)
        r, q = int(round(r + rnd.uniform(-1, 1))), int(round(q + rnd.uniform(-1, 1)))
        xs[i, i % 2, max(r - 1, 0) : r + 2, max(q - 1, 0) : q + 2] += 1.0
    return xs, torch.tensor(ys)


def block(cin, cout, p):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.BatchNorm2d(cout),
        nn.Dropout2d(p),
    )


class Model(nn.Module):
    def __init__(self, p=0.4):
        super().__init__()
        self.block1 = block(2, 16, p)
        self.block2 = block(16, 24, p)
        self.block3 = block(24, 32, p)
        self.head = nn.Linear(32, 7)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(x)))
        return self.head(x.flatten(1))


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


torch.manual_seed(55)
X, Y = sample(1800, 1)
Xv, Yv = sample(600, 2)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_function = nn.CrossEntropyLoss()
iterations, batch = 700, 48
for it in range(1, iterations + 1):
    model.train()
    take = torch.randint(0, len(X), (batch,))
    optimizer.zero_grad()
    loss = loss_function(model(X[take]), Y[take])
    loss.backward()
    optimizer.step()
    if it % 100 == 0:
        print(f"iter {it} loss {loss.item():.3f} val {accuracy(model, Xv, Yv):.3f}")
print(f"accuracy: {accuracy(model, Xv, Yv):.4f}")
