# %% [markdown]
# # Bird calls from field recorders
# Spectrogram patches, 24 frequency bins x 40 frames. Recorder laptops have little memory, so small batches with accumulation.

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import TensorDataset, DataLoader

torch.manual_seed(21)
CALLS = ["rising", "falling", "arch", "trill", "two_note", "buzz", "harmonic"]
N_F, N_T = 24, 40

# %% recordings
f_axis = np.arange(N_F)[:, None]


def line(freq, on, width=0.8):
    """one tone whose frequency moves over the frames; `on` is its loudness"""
    return np.exp(-((f_axis - freq[None]) / width) ** 2) * on[None]


def recording(rng, call):
    t = np.arange(N_T)
    start, length = rng.uniform(3, 12), rng.uniform(18, 26)
    u = np.clip((t - start) / length, 0, 1)
    on = ((t >= start) & (t <= start + length)).astype(float)
    low, span = rng.uniform(4, 9), rng.uniform(6, 10)
    if call == "rising":
        s = line(low + span * u, on)
    elif call == "falling":
        s = line(low + span * (1 - u), on)
    elif call == "arch":
        s = line(low + span * 4 * u * (1 - u), on)
    elif call == "trill":
        s = line(low + span / 2 + 2.0 * np.sin(2 * np.pi * u * rng.uniform(4, 6)), on)
    elif call == "two_note":
        s = line(np.where(u < 0.5, low + span / 3, low + 2 * span / 3), on)
    elif call == "buzz":
        s = line(low + span / 2 + 0 * u, on, width=rng.uniform(3, 4)) * 0.7
    else:
        s = line(low + 0 * u, on) + 0.7 * line(low + span + 0 * u, on)
    s = s * rng.uniform(0.7, 1.5)
    hum = rng.uniform(0, 0.8) * np.exp(-f_axis / 3)
    return s + hum + np.abs(rng.normal(0, 0.65, s.shape))


def recordings(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(CALLS), n)
    x = np.stack([recording(rng, CALLS[k]) for k in y])
    return torch.tensor(np.log1p(x), dtype=torch.float32)[:, None], torch.tensor(y)


xtr, ytr = recordings(1440, 0)
xva, yva = recordings(350, 1)
xte, yte = recordings(600, 2)
mu, sd = xtr.mean((0, 3), keepdim=True), xtr.std((0, 3), keepdim=True)   # per frequency bin
xtr, xva, xte = [(v - mu) / sd for v in (xtr, xva, xte)]

# %% network
class CallNet(nn.Module):
    def __init__(self, n_out, w=12):
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(1, w, 3, padding=1, bias=False), nn.GroupNorm(3, w)
        self.c2, self.n2 = nn.Conv2d(w, 2 * w, 3, padding=1, bias=False), nn.GroupNorm(3, 2 * w)
        self.c3, self.n3 = nn.Conv2d(2 * w, 3 * w, 3, padding=1, bias=False), nn.GroupNorm(3, 3 * w)
        self.out = nn.Linear(3 * w * 3 * 5, n_out)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.n1(self.c1(x))), 2)
        x = F.max_pool2d(F.relu(self.n2(self.c2(x))), 2)
        x = F.max_pool2d(F.relu(self.n3(self.c3(x))), 2)
        return self.out(x.flatten(1))


net = CallNet(len(CALLS))

# %% training
EPOCHS, MICRO, ACCUM, PEAK = 7, 6, 4, 0.015
loader = DataLoader(TensorDataset(xtr, ytr), batch_size=MICRO, shuffle=True)
assert len(loader) % ACCUM == 0
updates = EPOCHS * len(loader) // ACCUM
opt = torch.optim.SGD(net.parameters(), lr=PEAK, momentum=0.9)


def rate(step):
    """trapezoid: 10 % warm-up, plateau up to 60 %, then down to nothing"""
    p = step / updates
    return PEAK * max(min(p / 0.1, 1.0, (1 - p) / 0.4), 1e-4)


@torch.no_grad()
def accuracy(x, y):
    net.eval()
    return (net(x).argmax(1) == y).float().mean().item()


step, curve = 0, []
for epoch in range(EPOCHS):
    net.train()
    for i, (xb, yb) in enumerate(loader, 1):
        loss = F.cross_entropy(net(xb), yb)
        (loss / ACCUM).backward()
        curve.append(loss.item())
        if i % ACCUM == 0:
            for g in opt.param_groups:
                g["lr"] = rate(step)
            opt.step()
            opt.zero_grad()
        step += 1
    print(f"epoch {epoch}  step {step}  loss {np.mean(curve[-len(loader):]):.3f}  val {accuracy(xva, yva):.3f}")

# %% result
with torch.no_grad():
    net.eval()
    pred = net(xte).argmax(1)
for k, name in enumerate(CALLS):
    print(f"{name:10s} recall {(pred[yte == k] == k).float().mean():.2f}")
print(f"test accuracy {(pred == yte).float().mean():.4f}")
