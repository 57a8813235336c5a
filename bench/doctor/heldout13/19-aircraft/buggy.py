# %% [markdown]
# # Aircraft on the apron
# Overhead pictures, any heading. Only a few hundred are labelled, so every epoch sees them turned anew.

# %%
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

SEED, EPOCHS, BATCH, SIDE = 7, 24, 40, 28
TYPES = ["airliner", "delta", "glider", "twin boom", "canard"]
torch.set_num_threads(1)
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)

# %%
def outline(kind):
    """Polygons in a frame where the nose points up and the length is about 1."""
    j = lambda v: v * rng.uniform(.88, 1.12)
    body = lambda w, top=-.5, low=.5, x=0.: [(x - w, top + w), (x, top), (x + w, top + w), (x + w, low), (x - w, low)]
    wing = lambda y, span, chord, sweep: [(0, y), (span, y + sweep), (span, y + sweep + chord * .5), (0, y + chord),
                                          (-span, y + sweep + chord * .5), (-span, y + sweep)]
    if kind == 0:
        return [body(.06), wing(j(-.12), j(.5), .2, .2), wing(.36, .18, .1, .08)]
    if kind == 1:
        return [body(.05), [(0, j(-.3)), (j(.4), .4), (-j(.4), .4)]]
    if kind == 2:
        return [body(.035, -.35), wing(j(-.14), j(.62), .1, .02), wing(.42, .13, .07, .01)]
    if kind == 3:
        return [body(.06, -.4, .1), body(.03, -.1, .5, .2), body(.03, -.1, .5, -.2), wing(j(-.1), j(.5), .16, .03),
                [(-.22, .42), (.22, .42), (.22, .5), (-.22, .5)]]
    return [body(.05), wing(j(.1), j(.45), .2, .18), wing(-.34, .2, .09, .02)]


def overhead(kind):
    s = 4 * SIDE
    ground = int(rng.integers(70, 140))
    im = Image.new("L", (s, s), ground)
    d = ImageDraw.Draw(im)
    for _ in range(rng.integers(1, 4)):                                   # painted lines and stains
        p = rng.uniform(0, s, 4)
        d.line(p.tolist(), fill=ground + int(rng.integers(-35, 50)), width=int(rng.integers(3, 9)))
    a, size = rng.uniform(0, 2 * math.pi), s * rng.uniform(.55, .72)
    cx, cy = s / 2 + rng.uniform(-9, 9, 2)
    turn = lambda p: (cx + size * (p[0] * math.cos(a) - p[1] * math.sin(a)),
                      cy + size * (p[0] * math.sin(a) + p[1] * math.cos(a)))
    paint = ground + int(rng.integers(45, 100))
    shapes = outline(kind)
    for poly in shapes:                                                    # shadow, then the aircraft
        d.polygon([(x + 4, y + 4) for x, y in map(turn, poly)], fill=ground - 40)
    for poly in shapes:
        d.polygon([turn(p) for p in poly], fill=paint)
    px = np.asarray(im.resize((SIDE, SIDE), Image.BOX), dtype=np.float32)
    return px + rng.normal(0, 5, px.shape).astype(np.float32)


def pictures(n):
    kinds = np.arange(n) % len(TYPES)
    return torch.from_numpy(np.stack([overhead(k) for k in kinds]))[:, None], torch.from_numpy(kinds)


x_train, y_train = pictures(300)
x_val, y_val = pictures(200)
x_test, y_test = pictures(600)
mu, sigma = x_train.mean(), x_train.std()
x_train, x_val, x_test = [(x - mu) / sigma for x in (x_train, x_val, x_test)]

# %%
def turned(x, gen):
    """Every picture in one of eight positions (quarter turns, mirrored or not), moved by up to two pixels."""
    out = []
    for p, k in zip(F.pad(x, (2, 2, 2, 2), mode="replicate"), torch.randint(200, (len(x),), generator=gen).tolist()):
        k, dy, dx = k % 8, k // 8 % 5, k // 40
        p = torch.rot90(p[:, dy:dy + SIDE, dx:dx + SIDE], k % 4, (1, 2))
        out.append(p.flip(2) if k >= 4 else p)
    return torch.stack(out)


def block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2))


net = nn.Sequential(block(1, 24), block(24, 48), block(48, 64), nn.Flatten(), nn.Dropout(.2),
                    nn.Linear(64 * 9, len(TYPES)))
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)

# %%
def run_epoch(gen):
    net.train()
    total = 0.
    for idx in torch.randperm(len(x_train), generator=gen).split(BATCH):
        loss = F.cross_entropy(net(turned(x_train[idx], gen)), y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(idx)
    return total / len(x_train)


@torch.no_grad()
def share_right(x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()

# %%
for epoch in range(EPOCHS):
    loss = run_epoch(torch.Generator().manual_seed(SEED))
    sched.step()
    if epoch % 4 == 3:
        print(f"epoch {epoch + 1:2d}  loss {loss:.3f}  val {share_right(x_val, y_val):.3f}")

# %%
print("test:", round(share_right(x_test, y_test), 4))
