"""Reads a single digit off a water meter.

Port of the 2017 graph-mode reader; layer names and hyper-parameters follow that version so
that old and new runs can be compared line by line.
"""
import time

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from torch import nn

HPARAMS = {
    "filters": (16, 24, 32),
    "hidden": 64,
    "keep_prob": 0.9,
    "epochs": 12,
    "batch_size": 50,
    "learning_rate": 0.05,
    "momentum": 0.9,
    "seed": 3,
}


# ---------------------------------------------------------------- network
def conv_bn_relu(c_in, c_out, kernel=3, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class MeterReader(nn.Module):
    def __init__(self, hp, n_digits=10):
        super().__init__()
        f1, f2, f3 = hp["filters"]
        self.conv1 = conv_bn_relu(1, f1, kernel=5, stride=2)    # 24 -> 12
        self.conv2 = conv_bn_relu(f1, f2)
        self.conv3 = conv_bn_relu(f2, f3, stride=2)             # 12 -> 6
        self.pool = nn.MaxPool2d(2)                             # 6 -> 3
        self.drop = nn.Dropout(1 - hp["keep_prob"])
        self.fc1 = nn.Linear(f3 * 3 * 3, hp["hidden"])
        self.fc2 = nn.Linear(hp["hidden"], n_digits)

    def forward(self, x):
        x = self.pool(self.conv3(self.conv2(self.conv1(x))))
        x = self.drop(x.flatten(1))
        x = self.drop(torch.relu(self.fc1(x)))
        return self.fc2(x)


# ---------------------------------------------------------------- data
FONTS = [ImageFont.load_default(size=s) for s in range(62, 86, 4)]


def photograph(digit, rng, side=24):
    """A digit on its wheel: position, size, tilt, grime and light vary."""
    big = 4 * side
    img = Image.new("L", (big, big), int(rng.integers(20, 80)))
    font = FONTS[rng.integers(len(FONTS))]
    draw = ImageDraw.Draw(img)
    centre = (big / 2 + rng.normal(0, 5), big / 2 + rng.normal(0, 6))
    draw.text(centre, str(digit), fill=int(rng.integers(150, 255)), font=font, anchor="mm")
    img = img.rotate(rng.normal(0, 6), resample=Image.BILINEAR, fillcolor=50)
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(1, 3.5))).resize((side, side), Image.BOX)
    x = np.asarray(img, np.float32) / 255
    light = np.linspace(rng.uniform(0.6, 1.1), rng.uniform(0.6, 1.1), side, dtype=np.float32)
    x = x * light[:, None] + rng.normal(0, 0.08, x.shape)
    return x.clip(0, 1)


def wheel_set(n, seed):
    rng = np.random.default_rng(seed)
    digits = rng.permutation(np.arange(n) % 10)
    images = np.stack([photograph(d, rng) for d in digits])
    return torch.tensor(images, dtype=torch.float32)[:, None], torch.tensor(digits)


# ---------------------------------------------------------------- training
def batches(x, y, size, generator):
    order = torch.randperm(len(x), generator=generator)
    for chunk in order[: len(x) // size * size].split(size):
        yield x[chunk], y[chunk]


@torch.no_grad()
def score(net, x, y):
    net.eval()
    return (torch.cat([net(c) for c in x.split(200)]).argmax(1) == y).float().mean().item()


def fit(net, train, val, hp):
    gen = torch.Generator().manual_seed(hp["seed"])
    x, y = train
    steps = hp["epochs"] * (len(x) // hp["batch_size"])
    opt = torch.optim.SGD(net.parameters(), lr=hp["learning_rate"], momentum=hp["momentum"])
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, hp["learning_rate"], total_steps=steps, pct_start=0.2)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(hp["epochs"]):
        net.train()
        seen, total, hits = 0, 0.0, 0
        for xb, yb in batches(x, y, hp["batch_size"], gen):
            logits = net(xb)
            loss = loss_fn(logits, yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            sched.step()
            seen, total = seen + len(yb), total + loss.item() * len(yb)
            hits += (logits.argmax(1) == yb).sum().item()
        print(f"{epoch:2d}: loss {total / seen:.3f}  train {hits / seen:.3f}  val {score(net, *val):.3f}")


def main(hp):
    torch.set_num_threads(1)
    torch.manual_seed(hp["seed"])
    start = time.time()
    train, val, test = wheel_set(1800, 1), wheel_set(300, 2), wheel_set(600, 3)
    mu, sigma = train[0].mean(), train[0].std()
    train, val, test = [((x - mu) / sigma, y) for x, y in (train, val, test)]
    net = MeterReader(hp)
    fit(net, train, val, hp)
    print(f"{time.time() - start:.1f} s")
    print(f"test accuracy {score(net, *test):.3f}")


if __name__ == "__main__":
    main(HPARAMS)
