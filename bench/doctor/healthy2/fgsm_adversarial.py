"""Adversarial training: half of every batch is attacked by one gradient step.

The gradient with respect to the *pictures* comes from torch.autograd.grad,
which leaves the parameters' .grad untouched.  The attack is made in eval mode
so that it does not move the running statistics of batch norm.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EPS = 0.15


def make_faces(n, rng, s=18):
    """0: smile, 1: frown, 2: straight mouth."""
    y = rng.integers(0, 3, n)
    rows, cols = np.mgrid[0:s, 0:s].astype(np.float32)
    ox, oy = rng.uniform(-1.5, 1.5, (2, n, 1, 1))
    cols, rows = cols - 8.5 - ox, rows - 8.5 - oy
    eyes = sum(np.exp(-((cols - e) ** 2 + (rows + 3) ** 2) / 1.5) for e in (-3, 3))
    bend = np.array([-0.14, 0.14, 0.0])[y].reshape(n, 1, 1) * rng.uniform(0.7, 1.2, (n, 1, 1))
    mouth = np.exp(-((rows - 3.0 - bend * (cols ** 2 - 8)) ** 2) / 0.8) * (np.abs(cols) < 5)
    x = rng.uniform(0.7, 1.3, (n, 1, 1)) * (eyes + mouth) + rng.normal(0, 0.15, (n, s, s))
    return torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(y)


def attack(model, x, y):
    was_training = model.training
    model.eval()
    x = x.clone().requires_grad_(True)
    (g,) = torch.autograd.grad(F.cross_entropy(model(x), y), x)
    model.train(was_training)
    return (x + EPS * g.sign()).detach()


def rate(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(9)
    rng = np.random.default_rng(9)
    x, y = make_faces(1000, rng)
    xv, yv = make_faces(300, rng)
    mean, std = x.mean(), x.std()
    x, xv = (x - mean) / std, (xv - mean) / std

    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1, stride=2, bias=False), nn.BatchNorm2d(12), nn.ReLU(),
        nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24 * 16, 3),
    )
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(5):
        model.train()
        for idx in torch.randperm(len(x)).split(50):
            xb, yb = x[idx], y[idx]
            half = len(xb) // 2
            mixed = torch.cat([attack(model, xb[:half], yb[:half]), xb[half:]])
            opt.zero_grad()
            loss = F.cross_entropy(model(mixed), yb)
            loss.backward()
            opt.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}, clean {rate(model, xv, yv):.3f}, "
              f"attacked {rate(model, attack(model, xv, yv), yv):.3f}")
    print(f"accuracy: {rate(model, xv, yv):.3f}")


if __name__ == "__main__":
    main()
