"""Self-normalising net: SELU, LeCun-normal weights and AlphaDropout.

No batch norm anywhere, so every convolution keeps its bias; inputs must have
mean 0 and variance 1 for the fixed point to hold.
"""
import numpy as np
import torch
from torch import nn

SIDE = 16


def gratings(n, rng):
    """Four orientations of a noisy grating, random wavelength and phase."""
    y = rng.integers(0, 4, n)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    theta = (y * np.pi / 4 + rng.uniform(-0.25, 0.25, n)).reshape(n, 1, 1)
    wave = rng.uniform(0.8, 1.6, (n, 1, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, 1, 1))
    x = np.sin(wave * (np.cos(theta) * xx + np.sin(theta) * yy) + phase) + rng.normal(0, 0.6, (n, SIDE, SIDE))
    return torch.from_numpy(x.astype(np.float32)).unsqueeze(1), torch.from_numpy(y)


def lecun_(module):
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        # fan_in mode with gain 1 is LeCun's initialisation, as SELU demands
        nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="linear")
        nn.init.zeros_(module.bias)


def build():
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, stride=2), nn.SELU(),
        nn.Conv2d(12, 24, 3, padding=1, stride=2), nn.SELU(),
        nn.Flatten(),
        nn.AlphaDropout(0.05),
        nn.Linear(24 * 16, 48), nn.SELU(),
        nn.AlphaDropout(0.05),
        nn.Linear(48, 4),
    )
    net.apply(lecun_)
    nn.init.normal_(net[-1].weight, std=0.01)  # the logits start small: first loss ln 4
    return net


def score(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(21)
    rng = np.random.default_rng(21)
    x, y = gratings(1200, rng)
    xv, yv = gratings(400, rng)
    mean, std = x.mean(), x.std()
    x, xv = (x - mean) / std, (xv - mean) / std

    net = build()
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(5):
        net.train()
        for batch in torch.randperm(len(x)).split(60):
            opt.zero_grad(set_to_none=True)
            loss = loss_fn(net(x[batch]), y[batch])
            loss.backward()
            opt.step()
        print(f"epoch {epoch}: last loss {loss.item():.3f}, validation {score(net, xv, yv):.3f}")
    print(f"accuracy: {score(net, xv, yv):.3f}")
