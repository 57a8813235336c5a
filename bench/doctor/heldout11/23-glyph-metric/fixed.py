"""Letters of an invented alphabet: classification with a metric-learning side loss, functional style."""
from functools import partial

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

HYPER = dict(letters=8, per_letter=200, side=20, embed=32, margin=1.0, pull=0.3,
             batch_letters=8, batch_each=6, steps=260, lr=0.004, seed=19)


# --- the alphabet -----------------------------------------------------------
def invent_alphabet(n, rng):
    """Every letter is two or three strokes between points of a 3 x 3 grid."""
    grid = [(x, y) for y in (0.15, 0.5, 0.85) for x in (0.2, 0.5, 0.8)]
    letters, used = [], set()
    while len(letters) < n:
        strokes = [tuple(rng.choice(9, size=rng.integers(2, 4), replace=False)) for _ in range(rng.integers(2, 4))]
        edges = frozenset(frozenset(map(int, e)) for s in strokes for e in zip(s, s[1:]))
        if len(edges) >= 3 and all(len(edges ^ other) >= 3 for other in used):
            used.add(edges)
            letters.append([[grid[i] for i in s] for s in strokes])
    return letters


def write_letter(strokes, side, rng):
    big = side * 3
    page = Image.new("L", (big, big), int(rng.integers(0, 40)))
    pen = ImageDraw.Draw(page)
    angle, scale = rng.normal(0, 0.12), rng.uniform(0.75, 1.0)
    shift = rng.uniform(-0.08, 0.08, 2)
    rot = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    for s in strokes:
        pts = (np.array(s) - 0.5 + rng.normal(0, 0.035, (len(s), 2))) @ rot.T * scale + 0.5 + shift
        pen.line([tuple(p) for p in pts * big], fill=int(rng.integers(150, 255)), width=int(rng.integers(3, 7)))
    for _ in range(rng.integers(0, 3)):
        x, y = rng.uniform(0, big, 2)
        pen.line([x, y, x + rng.uniform(-12, 12), y + rng.uniform(-12, 12)], fill=120, width=3)
    ink = np.asarray(page.resize((side, side), Image.BOX), dtype=np.float32) / 255
    return ink + rng.normal(0, 0.1, ink.shape).astype(np.float32)


def scribe(alphabet, each, side, rng):
    x = np.stack([write_letter(s, side, rng) for s in alphabet for _ in range(each)])
    return torch.from_numpy(x)[:, None], torch.arange(len(alphabet)).repeat_interleave(each)


# --- batches with several copies of each letter ------------------------------
def balanced_batches(y, letters, each, steps, gen):
    members = [torch.nonzero(y == c).flatten() for c in range(int(y.max()) + 1)]
    for _ in range(steps):
        chosen = torch.randperm(len(members), generator=gen)[:letters]
        yield torch.cat([members[c][torch.randperm(len(members[c]), generator=gen)[:each]] for c in chosen.tolist()])


# --- losses -----------------------------------------------------------------
def pairwise_distance(z):
    sq = (z * z).sum(1)
    d2 = sq[:, None] + sq[None] - 2 * z @ z.T
    return d2.clamp(min=1e-6).sqrt()


def contrastive(z, y, margin):
    d = pairwise_distance(z)
    same = (y[:, None] == y[None]).float()
    other = 1 - same
    same = same - torch.eye(len(y))
    near = (same * d ** 2).sum() / same.sum()
    far = (other * F.relu(margin - d) ** 2).sum() / other.sum()
    return near + far


def total_loss(logits, z, y, side_loss, weight):
    ce = F.cross_entropy(logits, y)
    return ce + weight * side_loss(z, y), ce.detach()


# --- network ----------------------------------------------------------------
def make_net(n_letters, embed):
    def conv(i, o):
        return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))

    trunk = nn.Sequential(conv(1, 16), conv(16, 32), nn.Flatten(), nn.Linear(32 * 25, embed))
    return nn.ModuleDict(dict(trunk=trunk, head=nn.Sequential(nn.ReLU(), nn.Linear(embed, n_letters))))


def run(net, x):
    z = net["trunk"](x)
    return net["head"](z), F.normalize(z)


def score(net, x, y):
    net.eval()
    with torch.no_grad():
        hits = [(run(net, a)[0].argmax(1) == b).float() for a, b in zip(x.split(200), y.split(200))]
    net.train()
    return torch.cat(hits).mean().item()


def learn(net, x, y, x_val, y_val, h):
    opt = torch.optim.Adam(net.parameters(), lr=h["lr"])
    sched = torch.optim.lr_scheduler.LinearLR(opt, 1.0, 0.02, total_iters=h["steps"])
    side_loss = partial(contrastive, margin=h["margin"])
    gen = torch.Generator().manual_seed(h["seed"])
    net.train()
    for step, idx in enumerate(balanced_batches(y, h["batch_letters"], h["batch_each"], h["steps"], gen), 1):
        logits, z = run(net, x[idx])
        loss, ce = total_loss(logits, z, y[idx], side_loss, h["pull"])
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        sched.step()
        if step % 52 == 0:
            print(f"step {step}: ce {ce.item():.3f}, validation accuracy {score(net, x_val, y_val):.3f}")
    return net


def main(h):
    torch.manual_seed(h["seed"])
    alphabet = invent_alphabet(h["letters"], np.random.default_rng(h["seed"]))
    sets = [scribe(alphabet, n, h["side"], np.random.default_rng(s)) for n, s in ((h["per_letter"], 1), (40, 2), (60, 3))]
    (x, y), (x_val, y_val), (x_test, y_test) = sets
    mean, std = x.mean(), x.std()
    net = learn(make_net(h["letters"], h["embed"]), (x - mean) / std, y, (x_val - mean) / std, y_val, h)
    print(f"test accuracy {score(net, (x_test - mean) / std, y_test):.3f}")


if __name__ == "__main__":
    main(HYPER)
