# Orientation discrimination with oriented gratings (six angles, random phase).
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

N_CLASSES, SIZE = 6, 24


def gratings(n, rng):
    """n noisy sinusoidal gratings with orientation class k * 30 degrees."""
    yy, xx = np.mgrid[:SIZE, :SIZE].astype(np.float64)
    k = rng.integers(0, N_CLASSES, n)
    theta = k * math.pi / N_CLASSES + rng.normal(0.0, 0.06, n)
    freq = rng.uniform(0.12, 0.22, n)
    phase = rng.uniform(0, 2 * math.pi, n)
    contrast = rng.uniform(0.7, 1.2, n)
    proj = xx[None] * np.cos(theta)[:, None, None] + yy[None] * np.sin(theta)[:, None, None]
    wave = np.sin(2 * math.pi * freq[:, None, None] * proj + phase[:, None, None])
    img = contrast[:, None, None] * wave + rng.normal(0, 0.7, wave.shape)
    return img[:, None].astype(np.float32), k.astype(np.int64)


def build_net():
    net = nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 6 * 6, N_CLASSES),
    )
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return net


def soft_targets(y, eps=0.1):
    t = torch.full((y.size(0), N_CLASSES), eps / N_CLASSES)
    t.scatter_(1, y.unsqueeze(1), 1.0 - eps + eps / N_CLASSES)
    return t


def soft_cross_entropy(logits, targets):
    logp = F.log_softmax(logits, dim=1)
    return -(targets * logp).sum()


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        pred = torch.cat([net(part).argmax(1) for part in x.split(256)])
    return (pred == y).float().mean().item()


def main(epochs=5, batch=64, lr=0.02):
    rng = np.random.default_rng(11)
    torch.manual_seed(11)
    x_train, y_train = gratings(2400, rng)
    x_test, y_test = gratings(600, rng)
    mu, sd = x_train.mean(), x_train.std()
    x_train, x_test = [torch.from_numpy((a - mu) / sd) for a in (x_train, x_test)]
    y_train, y_test = torch.from_numpy(y_train), torch.from_numpy(y_test)

    net = build_net()
    opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    for epoch in range(epochs):
        net.train()
        order = torch.randperm(len(x_train))
        losses = []
        for idx in order.split(batch):
            loss = soft_cross_entropy(net(x_train[idx]), soft_targets(y_train[idx]))
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print("epoch %d  loss %.4f  train acc %.3f"
              % (epoch, np.mean(losses), accuracy(net, x_train[:500], y_train[:500])))
    print("accuracy: %.3f" % accuracy(net, x_test, y_test))


if __name__ == "__main__":
    main()
