"""Leaf outlines with DisturbLabel (Xie et al., 2016): in every epoch a small share of the
training labels is replaced by random ones, which regularises the loss layer."""
import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import BatchSampler, RandomSampler

SPECIES = ("oak", "maple", "willow", "ginkgo", "holly", "birch")


def outline(species, theta):
    """Radius of the leaf's edge as a function of the angle."""
    if species == "oak":
        return 0.75 + 0.18 * np.cos(8 * theta) - 0.15 * np.cos(2 * theta + math.pi)
    if species == "maple":
        return 0.45 + 0.5 * np.abs(np.cos(2.5 * theta)) ** 1.5
    if species == "willow":
        return 0.28 / np.sqrt(1 - 0.93 * np.cos(theta) ** 2)
    if species == "ginkgo":
        return np.where(np.abs(theta) < 1.1, 0.95 - 0.25 * np.exp(-(theta / 0.15) ** 2), 0.15)
    if species == "holly":
        return 0.6 + 0.28 * np.abs(((5 * theta / math.pi) % 2) - 1) + 0.12 * np.cos(2 * theta)
    return 0.55 + 0.25 * np.cos(theta) + 0.12 * np.cos(2 * theta)


def render(species, rng, side=28, zoom=3):
    big = side * zoom
    theta = np.linspace(-math.pi, math.pi, 120, endpoint=False)
    r = outline(species, theta) * rng.uniform(0.3, 0.43) * big * (1 + rng.normal(0, 0.03, theta.shape))
    turn = theta + rng.uniform(-0.6, 0.6)
    cx, cy = big / 2 + rng.uniform(-6, 6, 2)
    canvas = Image.new("L", (big, big), int(rng.integers(20, 80)))
    points = list(zip((cx + r * np.cos(turn)).tolist(), (cy + r * np.sin(turn)).tolist()))
    ImageDraw.Draw(canvas).polygon(points, fill=int(rng.integers(130, 230)))
    small = np.asarray(canvas.resize((side, side), Image.BILINEAR), dtype=np.float32)
    return small + rng.normal(0, 30, small.shape).astype(np.float32)


def herbarium(n, rng):
    labels = rng.integers(0, len(SPECIES), size=n)
    return np.stack([render(SPECIES[k], rng) for k in labels])[:, None], labels


def disturb(labels, rate, generator):
    """Labels for one epoch, `rate` of them drawn anew from all species."""
    noisy = torch.from_numpy(labels).clone()
    hit = torch.rand(len(noisy), generator=generator) < rate
    noisy[hit] = torch.randint(len(SPECIES), (int(hit.sum()),), generator=generator)
    return noisy


def build():
    def stage(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)]

    return nn.Sequential(*stage(1, 16), *stage(16, 32), nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(),
                         nn.Linear(64, len(SPECIES)))


def parameter_groups(model, decay):
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def accuracy(model, images, labels):
    model.eval()
    with torch.no_grad():
        out = model(images).argmax(1)
    return (out == torch.as_tensor(labels)).float().mean().item()


def run(epochs=11, batch=50, rate=0.15, lr=1e-3, seed=13):
    torch.manual_seed(seed)
    noise = torch.Generator().manual_seed(seed + 1)
    rng = np.random.default_rng(seed)
    x_train, y_train = herbarium(900, rng)
    x_val, y_val = herbarium(250, rng)
    x_test, y_test = herbarium(500, rng)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_val, x_test = (torch.from_numpy((x - mean) / std) for x in (x_train, x_val, x_test))

    model = build()
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-2), lr=lr)
    criterion = nn.CrossEntropyLoss()
    sampler = BatchSampler(RandomSampler(x_train), batch_size=batch, drop_last=True)

    for epoch in range(epochs):
        targets = disturb(y_train, rate, noise)
        model.train()
        losses = []
        for index in sampler:
            optimizer.zero_grad(set_to_none=True)
            loss = criterion(model(x_train[index]), targets[index])
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"[{epoch + 1:02d}/{epochs}] train loss {sum(losses) / len(losses):.3f}"
              f" | val accuracy {accuracy(model, x_val, y_val):.3f}")

    print(f"accuracy on the test leaves: {accuracy(model, x_test, y_test):.4f}")


if __name__ == "__main__":
    run()
