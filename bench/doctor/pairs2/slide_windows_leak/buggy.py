# slide classifier: cut windows from big slides, classify tissue grade from the window
import random

import torch
import torch.nn as nn

SLIDE, WIN, STEP = 72, 24, 8
N_SLIDES = 45


def make_slide(grade, g):
    stain = 0.35 + 0.3 * torch.rand(3, 1, 1, generator=g)
    low = nn.functional.interpolate(torch.randn(1, 3, 6, 6, generator=g), size=SLIDE, mode="bicubic")[0]
    grain = torch.randn(1, SLIDE, SLIDE, generator=g)
    for _ in range(3 - grade):  # a higher grade has a finer grain
        grain = nn.functional.avg_pool2d(grain[None], 3, 1, 1)[0]
    grain = grain / grain.std()
    return stain + 0.08 * low + 0.13 * grain + 0.1 * torch.randn(3, SLIDE, SLIDE, generator=g)


def windows(slide):
    w = slide.unfold(1, WIN, STEP).unfold(2, WIN, STEP)
    return w.permute(1, 2, 0, 3, 4).reshape(-1, 3, WIN, WIN)


def prepare(seed=0):
    g = torch.Generator().manual_seed(seed)
    random.seed(seed)
    grades = [i % 3 for i in range(N_SLIDES)]
    cut = [(windows(make_slide(k, g)), k) for k in grades]
    pool = [(w, k) for ws, k in cut for w in ws]
    random.shuffle(pool)
    train, test = pool[:len(pool) * 3 // 4], pool[len(pool) * 3 // 4:]
    pack = [(torch.stack([w for w, _ in part]), torch.tensor([k for _, k in part])) for part in (train, test)]
    m, s = pack[0][0].mean(), pack[0][0].std()
    return [((x - m) / s, y) for x, y in pack]


class Tissue(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential()
        for i, (a, b) in enumerate([(3, 16), (16, 32), (32, 48)]):
            self.layers.add_module(f"conv{i}", nn.Conv2d(a, b, 3, padding=1))
            self.layers.add_module(f"act{i}", nn.LeakyReLU(0.1))
            self.layers.add_module(f"pool{i}", nn.MaxPool2d(2))
        self.top = nn.Linear(48 * 9, 3)

    def forward(self, x):
        return self.top(torch.flatten(self.layers(x), 1))


(train_x, train_y), (test_x, test_y) = prepare()
print("windows", len(train_y), len(test_y))
torch.manual_seed(1)
net = Tissue()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(6):
    net.train()
    perm = torch.randperm(len(train_y))
    tot = 0
    for s in range(0, len(perm), 64):
        i = perm[s:s + 64]
        opt.zero_grad()
        loss = ce(net(train_x[i]), train_y[i])
        loss.backward()
        opt.step()
        tot += loss.item() * len(i)
    print(epoch, "loss %.3f" % (tot / len(perm)))
net.eval()
with torch.no_grad():
    acc = torch.cat([net(b).argmax(1) for b in test_x.split(256)]).eq(test_y).float().mean()
print("accuracy: %.3f" % acc)
