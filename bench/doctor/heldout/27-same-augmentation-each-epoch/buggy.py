import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = 1000


class Digits(Dataset):
    """Seven-segment digits on a 22 pixel canvas."""

    SEGMENTS = {
        0: "abcdef",
        1: "bc",
        2: "abged",
        3: "abgcd",
        4: "fgbc",
        5: "afgcd",
        6: "afgedc",
        7: "abc",
        8: "abcdefg",
        9: "abfgcd",
    }

    def __init__(self, n, augment):
        r = np.random.default_rng(SEED + n)
        self.targets = r.integers(0, 10, n)
        self.augment = augment
        self.base = np.stack([self.draw(k) for k in self.targets]) + r.normal(0, 0.3, (n, 22, 22))
        if not augment:
            for i in range(n):
                self.base[i] = np.roll(self.base[i], tuple(r.integers(-5, 6, 2)), axis=(0, 1))
        self.rng = np.random.default_rng(SEED)

    def draw(self, k):
        im = np.zeros((22, 22))
        where = {
            "a": np.s_[5, 8:14],
            "b": np.s_[5:11, 13],
            "c": np.s_[11:17, 13],
            "d": np.s_[16, 8:14],
            "e": np.s_[11:17, 8],
            "f": np.s_[5:11, 8],
            "g": np.s_[11, 8:14],
        }
        for s in self.SEGMENTS[int(k)]:
            im[where[s]] = 1
        return im

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        im = self.base[i]
        if self.augment:
            rng = np.random.default_rng(SEED + i)
            im = np.roll(im, tuple(rng.integers(-5, 6, 2)), axis=(0, 1)) + rng.normal(0, 0.2, im.shape)
        return torch.tensor(im[None], dtype=torch.float32), int(self.targets[i])


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 16, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def test(model, dl):
    model.eval()
    c = 0
    for x, y in dl:
        with torch.no_grad():
            c += model(x).max(dim=1).indices.eq(y).sum().item()
    return c / len(dl.dataset)


torch.manual_seed(SEED)
train_dl = DataLoader(Digits(400, True), batch_size=25, shuffle=True)
test_dl = DataLoader(Digits(600, False), batch_size=200)
model = build()
opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)
crit = nn.CrossEntropyLoss()
for epoch in range(60):
    model.train()
    s = 0.0
    for x, y in train_dl:
        opt.zero_grad()
        loss = crit(model(x), y)
        loss.backward()
        opt.step()
        s += loss.item()
    if epoch % 10 == 9:
        print("epoch", epoch + 1, "train loss", s / len(train_dl), "test", test(model, test_dl))
print("accuracy: %.4f" % test(model, test_dl))
