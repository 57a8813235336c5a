#!/usr/bin/env python
# coding: utf-8

# # Bearing condition from vibration spectrograms
# Every recording is one bearing on the test bench, just under two seconds long. We cut it into
# overlapping windows and classify the spectrogram of a window.

# In[1]:

import numpy as np
import torch
import torch.nn as nn
from scipy import signal
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
torch.manual_seed(42)
rng = np.random.default_rng(42)
STATES = ["healthy", "outer race", "inner race", "cage"]

# ## Recordings

# In[2]:

FS = 4096
WIN, STEP = 1024, 512
N_WIN = 13


def record(state, rng):
    n = WIN + STEP * (N_WIN - 1)
    t = np.arange(n) / FS
    shaft = rng.uniform(22, 32)
    res = rng.uniform(500, 1500), rng.uniform(900, 1900)
    sig = rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(100, 1900) * t)
    sig += rng.uniform(0.1, 0.6) * np.sin(2 * np.pi * rng.uniform(100, 1900) * t)
    per_turn = {"healthy": 1.0, "outer race": 1.25, "inner race": 2.1, "cage": 0.55}[state]
    per_turn *= rng.lognormal(0, 0.08)
    gain = rng.lognormal(0, 0.35) * (0.4 if state == "healthy" else 1.0)
    hits = np.zeros(n)
    at = np.cumsum(FS / (per_turn * shaft) * rng.normal(1, 0.04, 400))
    at = at[at < n].astype(int)
    hits[at] = gain * rng.normal(1, 0.15, len(at))
    if state == "inner race":
        hits *= 0.6 + 0.4 * np.sin(2 * np.pi * shaft / 2 * t + rng.uniform(0, 6))
    tau = np.arange(200) / FS
    ring = sum(np.exp(-tau * 350) * np.sin(2 * np.pi * f * tau) for f in res)
    sig += 3 * signal.fftconvolve(hits, ring)[:n]
    return sig + rng.uniform(0.3, 0.7) * rng.normal(0, 1, n)


recordings, states = [], []
for k in range(84):
    states.append(k % len(STATES))
    recordings.append(record(STATES[states[-1]], rng))
states = np.array(states)

# ## Windows and spectrograms

# In[3]:


def picture(x):
    _, _, s = signal.spectrogram(x, FS, nperseg=62, noverlap=31, mode="psd")
    return np.log10(s + 1e-8)


pics, labels, rec_of, win_of = [], [], [], []
for r, sig in enumerate(recordings):
    for w in range(N_WIN):
        pics.append(picture(sig[w * STEP:w * STEP + WIN]))
        labels.append(states[r])
        rec_of.append(r)
        win_of.append(w)
pics = np.stack(pics).astype("float32")
labels, rec_of, win_of = np.array(labels), np.array(rec_of), np.array(win_of)
print(pics.shape)

# ## Hold out a quarter
# The states took turns on the bench; the last quarter has all four.

# In[4]:

test_mask = rec_of >= 0.75 * len(recordings)
x_tr, y_tr = pics[~test_mask], labels[~test_mask]
x_te, y_te = pics[test_mask], labels[test_mask]
mu, sd = x_tr.mean(), x_tr.std()
to_t = lambda x, y: TensorDataset(torch.from_numpy((x - mu) / sd)[:, None], torch.from_numpy(y))
train_dl = DataLoader(to_t(x_tr, y_tr), batch_size=32, shuffle=True, drop_last=True)
test_dl = DataLoader(to_t(x_te, y_te), batch_size=256)

# ## Model

# In[5]:

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
    nn.AdaptiveAvgPool2d((4, 4)), nn.Flatten(), nn.Dropout(0.25), nn.Linear(48 * 16, len(STATES)),
)
criterion = nn.CrossEntropyLoss()
EPOCHS = 9
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=EPOCHS * len(train_dl))

# In[6]:

for epoch in range(EPOCHS):
    model.train()
    tot = 0.0
    for xb, yb in train_dl:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        sched.step()
        tot += loss.item()
    print(f"epoch {epoch:2d}  loss {tot / len(train_dl):.4f}")

# ## Result

# In[7]:

model.eval()
confusion = torch.zeros(len(STATES), len(STATES), dtype=torch.long)
with torch.no_grad():
    for xb, yb in test_dl:
        for t, p in zip(yb, model(xb).argmax(1)):
            confusion[t, p] += 1
print(confusion)
print("held-out accuracy:", round((confusion.diag().sum() / confusion.sum()).item(), 4))
