"""Wing scales: three orientations of a faint ribbed patch on a mottled ground.

There are only 600 photographs, so every one is expanded to four slightly different pictures.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 24
PATCH = 10


def smooth_field(n, rng, blur=3.0):
    f = np.fft.fftfreq(SIDE)
    lowpass = np.exp(-2 * np.pi ** 2 * blur ** 2 * (f[:, None] ** 2 + f[None, :] ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, SIDE, SIDE))) * lowpass).real
    return field / field.std(axis=(1, 2), keepdims=True)


def collect(n, rng):
    labels = rng.permutation(np.arange(n) % 3)
    images = smooth_field(n, rng) + rng.normal(0, 0.5, (n, SIDE, SIDE))
    v, u = np.mgrid[:PATCH, :PATCH]
    ribs = (u, v, u + v)
    for image, label in zip(images, labels):
        top, left = rng.integers(4, SIDE - PATCH - 3, 2)
        wave = np.where((ribs[label] + rng.integers(0, 4)) % 4 < 2, 1.0, -1.0)
        image[top:top + PATCH, left:left + PATCH] += 0.6 * wave
    return images, labels


def expand(images, labels, copies, rng):
    out = [images]
    for _ in range(copies - 1):
        moved = np.roll(images, int(rng.integers(0, 2)), axis=2)
        gain = rng.uniform(0.9, 1.1, (len(images), 1, 1))
        out.append(moved * gain + rng.normal(0, 0.1, images.shape))
    return np.concatenate(out), np.tile(labels, copies)


def prepare(seed):
    rng = np.random.default_rng(seed)
    images, labels = expand(*collect(600, rng), 4, rng)
    order = rng.permutation(len(images))
    cut = int(0.75 * len(images))
    train, test = order[:cut], order[cut:]
    x_train, y_train = images[train], labels[train]
    x_test, y_test = images[test], labels[test]
    mean, std = x_train.mean(), x_train.std()

    def tensors(x, y):
        return torch.tensor((x - mean) / std, dtype=torch.float32)[:, None], torch.tensor(y)

    return tensors(x_train, y_train), tensors(x_test, y_test)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 12, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * 6 * 6, 128), nn.ReLU(),
        nn.Linear(128, 3),
    )


def fit(net, x, y, epochs, batch, lr):
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            loss = F.cross_entropy(net(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print(f"epoch {epoch + 1}: loss {total / len(x):.4f}")


def score(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(dim=1) == y).double().mean().item()


if __name__ == "__main__":
    torch.manual_seed(12)
    (x_tr, y_tr), (x_te, y_te) = prepare(seed=12)
    print("pictures:", len(x_tr), "for training,", len(x_te), "for the test")
    model = build()
    fit(model, x_tr, y_tr, epochs=6, batch=30, lr=1.5e-3)
    print(f"accuracy: {score(model, x_te, y_te):.3f}")
