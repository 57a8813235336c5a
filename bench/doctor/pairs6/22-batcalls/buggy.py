#!/usr/bin/env python
# Species from echolocation calls. The five species differ by the frequency
# at which the call levels off (quasi constant-frequency tail).
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TAIL = [0.13, 0.185, 0.24, 0.295, 0.35]       # cycles per sample
SPECIES = ["noctule", "serotine", "nathusius", "common_pip", "soprano_pip"]


def make_call(rng, species):
    n, t0, dur = 1056, rng.integers(200, 420), rng.integers(330, 480)
    t = np.arange(dur) / dur
    tail = TAIL[species] + rng.normal(0, 0.012)
    freq = tail + rng.uniform(0.05, 0.13) * np.exp(-t / rng.uniform(0.08, 0.2))
    call = np.sin(2 * np.pi * np.cumsum(freq) + rng.uniform(0, 6.28)) * np.hanning(dur) ** 0.5
    sig = rng.normal(0, rng.uniform(0.5, 1.2), n)
    sig[t0:t0 + dur] += rng.uniform(0.5, 1.3) * call
    if rng.random() < 0.5:                     # insect click
        c = rng.integers(0, n - 20)
        sig[c:c + 20] += rng.normal(0, 1.5, 20)
    return sig


def spectrograms(n, rng):
    y = rng.integers(0, len(TAIL), n)
    sig = torch.tensor(np.stack([make_call(rng, k) for k in y]), dtype=torch.float32)
    spec = torch.stft(sig, 64, hop_length=32, window=torch.hann_window(64),
                      center=False, return_complex=True).abs()
    spec = torch.log1p(spec[:, 1:33, :32])      # drop DC: 32 bins x 32 frames
    return spec.unsqueeze(1), torch.as_tensor(y)


def jitter_onset(x, max_frames=4):
    """The detector does not trigger at the same point of every call."""
    s = torch.randint(-max_frames, max_frames + 1, (len(x),)).tolist()
    return torch.stack([torch.roll(xi, k, dims=1) for xi, k in zip(x, s)])


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d((8, 2)), nn.Flatten(),
        nn.Linear(32 * 16, 48), nn.ReLU(), nn.Linear(48, len(SPECIES)))


def run_epoch(model, x, y, opt, sched, batch):
    model.train()
    order, total = torch.randperm(len(x)), 0.0
    for idx in order.split(batch):
        loss = F.cross_entropy(model(jitter_onset(x[idx])), y[idx])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item() * len(idx)
    return total / len(x)


@torch.inference_mode()
def score(model, x, y):
    model.eval()
    pred = torch.cat([model(xb).argmax(1) for xb in x.split(200)])
    return (pred == y).float().mean().item()


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=9)
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--lr", type=float, default=0.06)
    p.add_argument("--seed", type=int, default=3)
    return p.parse_args()


def main():
    args = parse()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    xtr, ytr = spectrograms(1344, rng)
    xva, yva = spectrograms(300, rng)
    xte, yte = spectrograms(500, rng)
    mu, sd = xtr.mean(), xtr.std()
    xtr, xva, xte = ((a - mu) / sd for a in (xtr, xva, xte))

    model = build_model()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, nesterov=True)
    steps = args.epochs * -(-len(xtr) // args.batch)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=args.lr, total_steps=steps)
    for ep in range(args.epochs):
        loss = run_epoch(model, xtr, ytr, opt, sched, args.batch)
        print("ep %2d  loss %.3f  val %.3f" % (ep, loss, score(model, xva, yva)))
    print("accuracy on %d held-out calls: %.4f" % (len(yte), score(model, xte, yte)))


if __name__ == "__main__":
    main()
