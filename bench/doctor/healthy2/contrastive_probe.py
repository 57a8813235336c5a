"""SimCLR in small: contrastive pretraining without labels, then a linear probe.

The contrastive loss is a cross-entropy over 2N - 1 other views; with random
unit vectors it starts somewhat below ln(2N - 1).  The projection head is
thrown away, the encoder is frozen, and its features are computed once for the
probe.  Only pretraining uses random views; the probe sees clean pictures.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SIDE = 20


def glyphs(n, rng):
    """Four textures-in-a-disc."""
    y = rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    cx, cy = rng.uniform(8, 11, (2, n, 1, 1))
    p, q = rng.uniform(0, 6.28, (2, n, 1, 1))
    r = np.hypot(xx - cx, yy - cy)
    bank = [np.sin(1.3 * xx + p), np.sin(1.3 * yy + p), np.sin(1.3 * r + p), np.sin(1.2 * xx + p) * np.sin(1.2 * yy + q)]
    x = np.choose(y.reshape(n, 1, 1), bank) * (r < rng.uniform(7, 9, (n, 1, 1)))
    x = x + rng.normal(0, 0.3, x.shape)
    return torch.from_numpy((x / 0.6).astype(np.float32))[:, None], torch.from_numpy(y)


def view(x):
    """A random shift by up to 2 pixels, a gain and fresh noise for every picture."""
    n = len(x)
    padded = F.pad(x, (2, 2, 2, 2), mode="reflect")
    dx, dy = torch.randint(0, 5, (2, n))
    shifted = torch.stack([padded[i, :, dy[i]:dy[i] + SIDE, dx[i]:dx[i] + SIDE] for i in range(n)])
    return shifted * torch.empty(n, 1, 1, 1).uniform_(0.7, 1.3) + 0.2 * torch.randn_like(shifted)


def nt_xent(a, b, tau=0.3):
    z = F.normalize(torch.cat([a, b]), dim=1)
    sim = z @ z.T / tau
    sim = sim.masked_fill(torch.eye(len(z), dtype=torch.bool), float("-inf"))
    n = len(a)
    partner = torch.cat([torch.arange(n, 2 * n), torch.arange(n)])
    return F.cross_entropy(sim, partner)


def make_encoder():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )


def main():
    torch.manual_seed(25)
    rng = np.random.default_rng(25)
    x, y = glyphs(900, rng)
    xv, yv = glyphs(300, rng)

    encoder = make_encoder()
    projector = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16))
    opt = torch.optim.Adam([*encoder.parameters(), *projector.parameters()], lr=2e-3)
    encoder.train()
    projector.train()
    for epoch in range(5):
        for idx in torch.randperm(len(x)).split(60):
            batch = x[idx]
            loss = nt_xent(projector(encoder(view(batch))), projector(encoder(view(batch))))
            opt.zero_grad()
            loss.backward()
            opt.step()
        print(f"pretraining epoch {epoch}: {loss.item():.3f}")

    encoder.eval().requires_grad_(False)
    with torch.no_grad():
        f, fv = encoder(x), encoder(xv)
    mean, std = f.mean(0), f.std(0) + 1e-6
    f, fv = (f - mean) / std, (fv - mean) / std
    probe = nn.Linear(32, 4)
    opt = torch.optim.Adam(probe.parameters(), lr=1e-2)
    for _ in range(15):
        for idx in torch.randperm(len(f)).split(60):
            opt.zero_grad()
            F.cross_entropy(probe(f[idx]), y[idx]).backward()
            opt.step()
    with torch.no_grad():
        acc = (probe(fv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
