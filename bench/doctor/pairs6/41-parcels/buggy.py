"""Land cover of satellite parcels, on a layer library of its own (parameters as plain tensors)."""
import math

import numpy as np
import torch
import torch.nn.functional as F

COVER = ["water", "forest", "field_rows", "orchard", "town", "bare_soil"]


# ------------------------------------------------------------------ layers
def he(gen, *shape, gain=math.sqrt(2)):
    """Weights that keep the size of the signal through a ReLU."""
    fan_in = shape[1]
    w = torch.randn(*shape, generator=gen) * (gain / math.sqrt(fan_in))
    return w.requires_grad_()


def zeros(n):
    return torch.zeros(n, requires_grad=True)


class Layer:
    params = ()

    def __call__(self, x):
        raise NotImplementedError


class Conv(Layer):
    def __init__(self, gen, n_in, n_out, k=3, stride=1):
        self.w, self.b = he(gen, n_out, n_in, k, k), zeros(n_out)
        self.params, self.stride, self.pad = (self.w, self.b), stride, k // 2

    def __call__(self, x):
        return F.conv2d(x, self.w, self.b, stride=self.stride, padding=self.pad)


class Dense(Layer):
    def __init__(self, gen, n_in, n_out, gain=math.sqrt(2)):
        self.w, self.b = he(gen, n_out, n_in, gain=gain), zeros(n_out)
        self.params = (self.w, self.b)

    def __call__(self, x):
        return x @ self.w.T + self.b


class Relu(Layer):
    def __call__(self, x):
        return x.clamp(min=0)


class MaxPool(Layer):
    def __init__(self, k):
        self.k = k

    def __call__(self, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // self.k, self.k, w // self.k, self.k).amax((3, 5))


class Flat(Layer):
    def __call__(self, x):
        return x.reshape(len(x), -1)


class Net:
    def __init__(self, *layers):
        self.layers = layers

    def params(self):
        return [p for layer in self.layers for p in layer.params]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def predict(self, x):
        with torch.no_grad():
            return torch.cat([self(part).argmax(1) for part in x.split(200)])


# ------------------------------------------------------------------ parcels
def parcel(rng, cover, n=24):
    y, x = np.mgrid[:n, :n].astype(float)
    a, p = rng.uniform(0, np.pi), rng.uniform(0, 6.3, 2)
    u, v = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
    d = rng.uniform(4.0, 6.5)
    rough = rng.normal(size=(n, n))
    smooth = (rough + np.roll(rough, 1, 0) + np.roll(rough, 1, 1) + np.roll(rough, (1, 1), (0, 1))) / 2
    if cover == "water":
        tone, mix = 0.05 * smooth, (0.20, 0.30, 0.38)
    elif cover == "forest":
        tone, mix = 0.16 * smooth, (0.22, 0.36, 0.24)
    elif cover == "field_rows":
        tone, mix = 0.14 * np.sin(2 * np.pi * u / d + p[0]), (0.34, 0.42, 0.26)
    elif cover == "orchard":
        tone, mix = 0.10 * (np.cos(2 * np.pi * u / d + p[0]) + np.cos(2 * np.pi * v / d + p[1])), (0.34, 0.40, 0.26)
    elif cover == "town":
        blocks = rng.uniform(-0.25, 0.25, (6, 6)).repeat(4, 0).repeat(4, 1)
        tone, mix = np.roll(blocks, rng.integers(0, 4, 2), (0, 1)), (0.40, 0.38, 0.37)
    else:
        tone, mix = 0.06 * smooth, (0.44, 0.37, 0.28)
    tint = np.array(mix) + rng.normal(0, 0.05, 3)
    haze = rng.uniform(0, 0.15)
    image = (tint[:, None, None] + tone) * rng.uniform(0.7, 1.25) * (1 - haze) + haze
    return image + rng.normal(0, 0.06, (3, n, n))


def parcels(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(COVER), n)
    x = np.stack([parcel(rng, COVER[k]) for k in y])
    return torch.from_numpy(x.astype(np.float32)), torch.from_numpy(y)


# ------------------------------------------------------------------ training
def main(epochs=8, batch=32, lr=0.02):
    gen = torch.Generator().manual_seed(4)
    x, y = parcels(1200, 1)
    xv, yv = parcels(300, 2)
    xt, yt = parcels(600, 3)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, xv, xt = (x - mean) / std, (xv - mean) / std, (xt - mean) / std

    net = Net(
        Conv(gen, 3, 12), Relu(), Conv(gen, 12, 12), Relu(), MaxPool(2),
        Conv(gen, 12, 24), Relu(), MaxPool(2),
        Conv(gen, 24, 32), Relu(), MaxPool(2),
        Flat(), Dense(gen, 32 * 9, 48), Relu(), Dense(gen, 48, len(COVER), gain=0.1),
    )
    sgd = torch.optim.SGD(net.params(), lr=lr, momentum=0.9)
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(y), generator=gen).split(batch):
            loss = F.cross_entropy(net(x[idx]), y[idx])
            sgd.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.params(), 2.0)
            sgd.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch + 1}: loss {total / len(y):.3f}, validation {(net.predict(xv) == yv).float().mean():.3f}")
    print(f"accuracy on {len(yt)} test parcels {(net.predict(xt) == yt).float().mean():.4f}")


if __name__ == "__main__":
    main()
