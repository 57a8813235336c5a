"""Surface inspection, cold rolling mill.  Patches come with the rolling direction upwards.

A small layer library, a net put together from a plan, and the training loop.
"""
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader

DEFECTS = ["none", "roll_scratch", "chatter_mark", "inclusion", "scale_patch"]


# ---------------------------------------------------------------- layers
class ConvUnit(nn.Module):
    """conv - norm - LeakyReLU"""
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(cout)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x):
        return self.act(self.norm(self.conv(x)))


class SkipUnit(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.inner = ConvUnit(ch, ch)
        self.conv = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(ch)
        self.act = nn.LeakyReLU(0.1)

    def forward(self, x):
        return self.act(x + self.norm(self.conv(self.inner(x))))


class PoolHead(nn.Module):
    """Maximum and mean of every map, then one linear layer."""
    def __init__(self, ch, n_classes):
        super().__init__()
        self.fc = nn.Linear(2 * ch, n_classes)

    def forward(self, x):
        return self.fc(torch.cat([x.amax((2, 3)), x.mean((2, 3))], dim=1))


def assemble(plan, n_classes):
    mods, ch = [], 1
    for kind, width in plan:
        mods.append(SkipUnit(ch) if kind == "skip" else ConvUnit(ch, width, 2 if kind == "down" else 1))
        ch = width
    return nn.Sequential(*mods, PoolHead(ch, n_classes))


# ---------------------------------------------------------------- data
def patch(rng, kind, size=32):
    img = 0.5 + 0.12 * rng.normal() + gaussian_filter(rng.normal(0, 0.5, (size, size)), 1.5)
    yy, xx = np.mgrid[:size, :size]
    depth = rng.uniform(0.12, 0.35) * rng.choice([-1, 1])
    if kind in ("roll_scratch", "chatter_mark"):
        a, b = (xx, yy) if kind == "roll_scratch" else (yy, xx)
        for _ in range(rng.integers(1, 4)):
            pos, tilt = rng.uniform(4, size - 4), rng.normal(0, 0.06)
            start, length = rng.uniform(-8, size - 14), rng.uniform(16, 34)
            on = (b >= start) & (b <= start + length)
            img += depth * on * np.exp(-((a - pos - tilt * (b - size / 2)) / rng.uniform(0.7, 1.3)) ** 2)
    elif kind == "inclusion":
        for _ in range(rng.integers(1, 4)):
            cy, cx = rng.uniform(3, size - 3, 2)
            img -= (0.2 + abs(depth)) * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / rng.uniform(5, 10))
    elif kind == "scale_patch":
        cy, cx = rng.uniform(6, size - 6, 2)
        img += depth * (((yy - cy) / rng.uniform(5, 10)) ** 2 + ((xx - cx) / rng.uniform(5, 10)) ** 2 < 1)
    return (img + rng.normal(0, 0.05, img.shape)).astype(np.float32)


def make_set(rng, n):
    labels = rng.integers(0, len(DEFECTS), n)
    return [(torch.from_numpy(patch(rng, DEFECTS[k]))[None], int(k)) for k in labels]


class Collate:
    def __init__(self, mean, std, augment=False):
        self.mean, self.std, self.augment = mean, std, augment

    def __call__(self, samples):
        images, labels = zip(*samples)
        if self.augment:
            images = [self.symmetry(im) for im in images]
        return (torch.stack(list(images)) - self.mean) / self.std, torch.tensor(labels)

    @staticmethod
    def symmetry(im):
        k = int(torch.randint(0, 4, ()))
        im = torch.rot90(im, k, dims=(1, 2))
        return im.flip(2) if torch.rand(()) < 0.5 else im


# ---------------------------------------------------------------- training
def fit(net, loader, epochs, lr):
    decay = [p for p in net.parameters() if p.ndim > 1]
    other = [p for p in net.parameters() if p.ndim <= 1]
    opt = torch.optim.AdamW([{"params": decay, "weight_decay": 1e-2},
                             {"params": other, "weight_decay": 0.0}], lr=lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    loss_fn = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(epochs):
        net.train()
        losses = []
        for x, y in loader:
            loss = loss_fn(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{epochs}  mean loss {np.mean(losses):.3f}")


@torch.no_grad()
def confusion(net, loader):
    net.eval()
    m = torch.zeros(len(DEFECTS), len(DEFECTS), dtype=torch.long)
    for x, y in loader:
        for t, p in zip(y.tolist(), net(x).argmax(1).tolist()):
            m[t, p] += 1
    return m


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(2024)
    rng = np.random.default_rng(2024)
    train, test = make_set(rng, 1280), make_set(rng, 500)
    pixels = torch.stack([im for im, _ in train])
    mean, std = pixels.mean(), pixels.std()
    train_dl = DataLoader(train, 32, shuffle=True, collate_fn=Collate(mean, std, augment=True))
    test_dl = DataLoader(test, 125, collate_fn=Collate(mean, std))

    net = assemble([("conv", 10), ("down", 16), ("skip", 16), ("down", 28), ("skip", 28)], len(DEFECTS))
    fit(net, train_dl, epochs=8, lr=3e-3)
    m = confusion(net, test_dl)
    for name, row in zip(DEFECTS, m.tolist()):
        print(f"{name:>13} " + " ".join(f"{v:4d}" for v in row))
    print(f"test accuracy {(m.trace() / m.sum()).item():.4f}")
