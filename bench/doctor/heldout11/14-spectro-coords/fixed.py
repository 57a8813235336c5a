#!/usr/bin/env python
# Bird, engine or alarm: naming short sounds from their log spectrograms.

# %% settings
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
RATE, SAMPLES, N_FFT, HOP = 4000, 2048, 62, 64
LABELS = ["low_tone", "high_tone", "rise", "fall", "warble", "clicks"]
rng = np.random.default_rng(8)
torch.manual_seed(8)


# %% sounds
def sound(name):
    t = np.arange(SAMPLES) / RATE
    length = t[-1]
    if name == "low_tone":
        freq = np.full_like(t, rng.uniform(250, 750))
    elif name == "high_tone":
        freq = np.full_like(t, rng.uniform(1000, 1600))
    elif name in ("rise", "fall"):
        start, span = rng.uniform(300, 1000), rng.uniform(350, 700)
        freq = start + span * (t if name == "rise" else length - t) / length
    elif name == "warble":
        freq = rng.uniform(600, 1400) + rng.uniform(120, 220) * np.sin(2 * np.pi * rng.uniform(5, 9) * t)
    else:
        freq = None
    if freq is None:
        wave = np.zeros(SAMPLES)
        for start in rng.integers(0, SAMPLES - 20, rng.integers(3, 7)):
            wave[start:start + 8] += rng.choice([-1, 1]) * 2.0
    else:
        wave = np.sin(2 * np.pi * np.cumsum(freq) / RATE + rng.uniform(0, 6))
        on = rng.uniform(0, 0.12)
        wave *= (t > on) & (t < on + rng.uniform(0.32, 0.5))
    hum = 0.3 * np.sin(2 * np.pi * 100 * t + rng.uniform(0, 6))
    return wave * rng.uniform(0.6, 1.2) + hum + rng.normal(0, rng.uniform(0.3, 0.7), SAMPLES)


def spectrogram(waves):
    window = torch.hann_window(N_FFT)
    power = torch.stft(waves, N_FFT, HOP, window=window, return_complex=True).abs() ** 2
    return torch.log(power + 1e-3).unsqueeze(1)[..., :32]


def dataset(count):
    y = rng.integers(0, len(LABELS), count)
    waves = np.stack([sound(LABELS[k]) for k in y]).astype(np.float32)
    return spectrogram(torch.from_numpy(waves)), torch.from_numpy(y)


x_train, y_train = dataset(1600)
x_test, y_test = dataset(500)
print("spectrograms", tuple(x_train.shape), "on", device)


# %% network
class BinNorm(nn.Module):
    """Levels each frequency bin with statistics of the training recordings."""

    def __init__(self, reference):
        super().__init__()
        self.register_buffer("mean", reference.mean(dim=(0, 3), keepdim=True))
        self.register_buffer("std", reference.std(dim=(0, 3), keepdim=True))

    def forward(self, x):
        return (x - self.mean) / self.std


class FreqCoord(nn.Module):
    """Appends a channel that tells the height in the picture, after CoordConv."""

    def __init__(self, bins):
        super().__init__()
        self.register_buffer("ramp", torch.linspace(-1.0, 1.0, bins).view(1, 1, bins, 1))

    def forward(self, x):
        return torch.cat([x, self.ramp.expand(x.size(0), 1, -1, x.size(3))], dim=1)


class SoundNet(nn.Module):
    def __init__(self, reference, classes):
        super().__init__()
        self.prepare = nn.Sequential(BinNorm(reference), FreqCoord(reference.size(2)))
        self.conv1 = nn.Conv2d(2, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(32)
        self.out = nn.Linear(64, classes)

    def forward(self, x):
        x = self.prepare(x)
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        x = F.relu(self.norm3(self.conv3(x)))
        return self.out(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))


# %% training with mixup
def mixup(x, y, alpha=0.2):
    lam = float(np.random.default_rng(int(torch.randint(2**31, (1,)))).beta(alpha, alpha))
    other = torch.randperm(len(y), device=y.device)
    return lam * x + (1 - lam) * x[other], y, y[other], lam


net = SoundNet(x_train, len(LABELS)).to(device)
epochs, batch = 6, 40
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
for epoch in range(epochs):
    net.train()
    losses = []
    for index in torch.randperm(len(y_train)).split(batch):
        xb, yb = x_train[index].to(device), y_train[index].to(device)
        mixed, ya, yo, lam = mixup(xb, yb)
        logits = net(mixed)
        loss = lam * F.cross_entropy(logits, ya) + (1 - lam) * F.cross_entropy(logits, yo)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
    print(f"epoch {epoch}  mixed loss {np.mean(losses):.3f}")

# %% test
net.eval()
with torch.no_grad():
    guess = torch.cat([net(chunk.to(device)).argmax(1).cpu() for chunk in x_test.split(100)])
for k, name in enumerate(LABELS):
    print(f"  {name:10s} {(guess[y_test == k] == k).float().mean():.3f}")
print(f"test accuracy {(guess == y_test).float().mean():.3f}")
