import time
from collections import defaultdict

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

# ---- settings -------------------------------------------------------------
CLOUDS = ["cirrus", "stratus", "cumulus", "altocumulus", "cumulonimbus"]
PX = 32
N_TRAIN, N_VAL, N_TEST = 1300, 250, 450
EPOCHS, BATCH, LR = 9, 50, 3e-3


# ---- sky camera -----------------------------------------------------------
def sky(kind, rng):
    noise = lambda *s: (lambda a: a / a.std())(gaussian_filter(rng.normal(size=(PX, PX)), s, mode="wrap"))
    if kind == 0:
        cover = np.clip(noise(.7, 5) * .35 + noise(5, 5) * .3, 0, 1.2)
    elif kind == 1:
        cover = .65 + .12 * noise(6, 8) + .04 * noise(1, 2)
    elif kind == 2:
        cover = np.clip(1.6 * (noise(3.2, 3.2) + .25 * noise(.8, .8) - .5), 0, 1)
    elif kind == 3:
        cover = np.clip(.9 * (noise(1.3, 1.3) - .1), 0, 1) * np.clip(.8 + .3 * noise(6, 6), 0, 1)
    else:
        cover = np.clip(.75 + .45 * noise(4, 4) + .12 * noise(1, 1), 0, 1.1)
        cover *= 1 - rng.uniform(.5, .7) * np.clip((np.mgrid[:PX, :PX][0] - rng.uniform(6, 14)) / 12, 0, 1)
    blue = rng.uniform(.25, .45)
    view = blue + (rng.uniform(.8, 1) - blue) * cover
    view *= 1 + rng.uniform(-.008, .008) * (np.arange(PX)[None] - PX / 2)
    view = view ** rng.uniform(.8, 1.25) + rng.normal(0, rng.uniform(.02, .05), view.shape)
    return np.clip(rng.uniform(.8, 1.2) * view, 0, 1)


def make(n, rng):
    kind = rng.integers(len(CLOUDS), size=n)
    return (torch.tensor(np.stack([sky(k, rng) for k in kind]), dtype=torch.float32)[:, None], torch.tensor(kind))


# ---- model ----------------------------------------------------------------
class LocalContrast(nn.Module):
    """Each pixel against mean and spread of the 5 x 5 pixels around it."""

    def forward(self, x):
        mean = F.avg_pool2d(x, 5, 1, 2, count_include_pad=False)
        var = F.avg_pool2d(x * x, 5, 1, 2, count_include_pad=False) - mean * mean
        return (x - mean) / var.clamp_min(1e-3).sqrt()


class TexturePool(nn.Module):
    """Mean and spread of every channel over the picture."""

    def forward(self, x):
        x = x.flatten(2)
        return torch.cat([x.mean(2), (x.var(2) + 1e-5).sqrt()], 1)


class SkyNet(nn.Module):
    def __init__(self, width=24):
        super().__init__()
        self.contrast = LocalContrast()
        self.trunk = nn.Sequential(
            nn.Conv2d(2, width, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.ReLU())
        self.pool = TexturePool()
        self.classify = nn.Sequential(nn.Linear(4 * width, 48), nn.ReLU(), nn.Linear(48, len(CLOUDS)))
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.zeros_(m.bias)

    def forward(self, x):
        return self.classify(self.pool(self.trunk(torch.cat([x, self.contrast(x)], 1))))


# ---- run ------------------------------------------------------------------
def predict(model, x):
    model.eval()
    with torch.no_grad():
        return torch.cat([model(c) for c in x.split(150)]).argmax(1)


def run():
    torch.set_num_threads(1)
    torch.manual_seed(12)
    rng = np.random.default_rng(12)
    start, history = time.time(), defaultdict(list)
    (xa, ya), (xv, yv), (xt, yt) = make(N_TRAIN, rng), make(N_VAL, rng), make(N_TEST, rng)
    centre, scale = xa.mean(), xa.std()
    xa, xv, xt = (xa - centre) / scale, (xv - centre) / scale, (xt - centre) / scale

    model = SkyNet()
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.Adam(model.parameters(), lr=LR)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, .8)
    for epoch in range(EPOCHS):
        model.train()
        for idx in torch.randperm(len(xa)).split(BATCH):
            x = xa[idx]
            x = x.flip(3) if torch.rand(()) < .5 else x
            loss = loss_fn(model(x), ya[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.)
            opt.step()
            history["loss"].append(loss.item())
        sched.step()
        history["val"].append((predict(model, xv) == yv).float().mean().item())
        print(f"{epoch:2d} {np.mean(history['loss'][-len(xa) // BATCH:]):8.4f} {history['val'][-1]:.3f}"
              f" {time.time() - start:5.1f}s")
    guess = predict(model, xt)
    for k, name in enumerate(CLOUDS):
        print(f"   {name:<13}{(guess[yt == k] == k).float().mean():.2f}")
    print(f"test accuracy {(guess == yt).float().mean():.4f}")


run()
