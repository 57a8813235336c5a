# Weave recognition with bilinear pooling: which pairs of feature maps respond together, anywhere in the swatch.
# Functional style: parameters live in a dict of tensors.
import numpy as np
import torch
from torch.nn import functional as F

WEAVES = ["plain", "twill", "satin", "basket", "herringbone"]
PX = 30


def weave_pattern(name, i, j):
    if name == "plain":
        return (i + j) % 2
    if name == "twill":
        return ((i + j) % 4) < 2
    if name == "satin":
        return ((i * 2 + j) % 5) == 0
    if name == "basket":
        return ((i // 2 + j // 2) % 2)
    return ((i + np.where((j // 6) % 2 == 0, j, -j)) % 4) < 2


def scan(name, rng):
    pitch = rng.uniform(2.0, 2.9)
    yy, xx = np.mgrid[:PX, :PX] + rng.uniform(0, 40, (2, 1, 1))
    warp = 0.4 * np.sin(yy / rng.uniform(6, 12))
    i, j = np.floor(yy / pitch).astype(int), np.floor((xx + warp) / pitch).astype(int)
    over = weave_pattern(name, i, j).astype(float)
    warp_tone, weft_tone = rng.uniform(0.2, 0.45), rng.uniform(0.5, 0.8)
    img = np.where(over > 0, warp_tone, weft_tone)
    img *= 1 - 0.25 * ((yy / pitch) % 1 < 0.25) - 0.1 * ((xx / pitch) % 1 < 0.25)
    if rng.random() < 0.5:
        img = img.T
    img = img + rng.normal(0, 0.06, img.shape)
    # swatches do not always fill the scanner window; the rest is the black lid
    if rng.random() < 0.25:
        k = rng.integers(6, 14)
        img = np.rot90(img, rng.integers(4)).copy()
        img[:, -k:] = 0
    return np.clip(img, 0, 1)


def dataset(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(WEAVES), n)
    x = np.stack([scan(WEAVES[k], rng) for k in y])
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(y)


def init_params(gen, widths=(1, 20, 32, 20)):
    params = {}
    for k, (cin, cout) in enumerate(zip(widths, widths[1:])):
        params[f"w{k}"] = torch.randn(cout, cin, 3, 3, generator=gen) * (2 / (9 * cin)) ** 0.5
        params[f"b{k}"] = torch.zeros(cout)
    feats = widths[-1] ** 2
    params["w_out"] = torch.randn(len(WEAVES), feats, generator=gen) * feats ** -0.5
    params["b_out"] = torch.zeros(len(WEAVES))
    return {k: v.requires_grad_() for k, v in params.items()}


def bilinear_pool(h):
    h = h.flatten(2)
    gram = h @ h.transpose(1, 2) / h.shape[2]
    gram = gram.flatten(1)
    return gram.sign() * (gram.abs() + 1e-5).sqrt()        # signed square root tames the strong pairs


def forward(p, x):
    h = F.max_pool2d(F.relu(F.conv2d(x, p["w0"], p["b0"])), 2)
    h = F.relu(F.conv2d(h, p["w1"], p["b1"]))
    h = F.relu(F.conv2d(h, p["w2"], p["b2"]))
    return F.linear(bilinear_pool(h), p["w_out"], p["b_out"])


def score(p, x, y):
    with torch.no_grad():
        logits = torch.cat([forward(p, xb) for xb in x.split(200)])
    return (logits.argmax(1) == y).float().mean().item()


def run():
    gen = torch.Generator().manual_seed(8)
    x, y = dataset(1500, seed=31)
    xv, yv = dataset(300, seed=32)
    xt, yt = dataset(500, seed=33)
    mu, sigma = x.mean(), x.std()
    x, xv, xt = ((t - mu) / sigma for t in (x, xv, xt))

    p = init_params(gen)
    opt = torch.optim.Adam(p.values(), lr=3e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=9)
    for epoch in range(9):
        losses = []
        for idx in torch.randperm(len(x), generator=gen).split(44):
            xb = x[idx]
            if torch.rand((), generator=gen) < 0.5:
                xb = xb.transpose(2, 3)
            loss = F.cross_entropy(forward(p, xb), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        decay.step()
        print(f"epoch {epoch + 1}  train loss {np.mean(losses):.4f}  validation accuracy {score(p, xv, yv):.3f}")
    print(f"test accuracy {score(p, xt, yt):.4f}")


run()
