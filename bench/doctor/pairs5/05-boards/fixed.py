# %% [markdown]
# # Board inspection, second attempt
# The layout of a board is visible in a thumbnail, the surface finish only at full resolution.
# So: one small net for the thumbnail, one for the four quarters of the picture, features side by side.

# %%
import copy
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(8)
rng = np.random.default_rng(8)
LAYOUTS, FINISHES = ["rails", "ladder", "ramp"], ["brushed", "dotted", "milled"]
NUM_CLASSES = len(LAYOUTS) * len(FINISHES)

# %% the pictures
yy, xx = np.mgrid[0:32, 0:32]

def finish_pattern(kind):
    if kind == 0:
        return (xx + rng.integers(2)) % 2 * 2.0 - 1
    if kind == 1:
        return ((xx + rng.integers(2)) % 2) * ((yy + rng.integers(2)) % 2) * 2.6 - 0.65
    return ((xx + yy + rng.integers(2)) % 2) * 2.0 - 1

def board(label):
    layout, finish = divmod(label, len(FINISHES))
    shift, thick = rng.integers(-4, 5), rng.uniform(2.5, 4.5)
    d = {0: xx - 16, 1: yy - 16, 2: (xx - yy) / 1.4}[layout] + shift
    img = 0.45 + rng.uniform(0.15, 0.25) * (np.abs(d) < thick)
    h, w = rng.integers(10, 17, size=2)
    t, l = rng.integers(0, 32 - h), rng.integers(0, 32 - w)
    img[t:t + h, l:l + w] += rng.uniform(0.1, 0.2) * finish_pattern(finish)[t:t + h, l:l + w]
    img = img * rng.uniform(0.7, 1.2) + 0.1 * rng.uniform(-1, 1) * yy / 32
    img[rng.integers(32), :] += rng.normal(0, 0.2)
    return img + rng.normal(0, 0.09, (32, 32))

def make(n):
    labels = rng.permutation(np.arange(n) % NUM_CLASSES)
    return np.stack([board(k) for k in labels]).astype(np.float32)[:, None], labels

(x_train, y_train), (x_val, y_val), (x_test, y_test) = make(1350), make(270), make(540)
mu, sd = x_train.mean(), x_train.std()

def loader(x, y, **kw):
    return DataLoader(TensorDataset(torch.from_numpy((x - mu) / sd), torch.from_numpy(y)), **kw)

train_dl = loader(x_train, y_train, batch_size=45, shuffle=True)
val_dl = loader(x_val, y_val, batch_size=90)
test_dl = loader(x_test, y_test, batch_size=90)

# %% the net
def conv(i, o, k=3, s=1):
    return nn.Sequential(nn.Conv2d(i, o, k, s, k // 2, bias=False), nn.BatchNorm2d(o), nn.ReLU())

class TwoScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.overview = nn.Sequential(conv(1, 12), nn.MaxPool2d(2), conv(12, 24), nn.MaxPool2d(2),
                                      nn.Flatten(), nn.Linear(24 * 4, 32), nn.ReLU())
        self.detail = nn.Sequential(conv(1, 16), conv(16, 16, s=2), conv(16, 24), nn.AdaptiveMaxPool2d(1), nn.Flatten())
        self.fc = nn.Linear(32 + 4 * 24, NUM_CLASSES)

    @staticmethod
    def quarters(x):
        """(N, 1, 32, 32) -> (4 N, 1, 16, 16)"""
        n, c = x.shape[:2]
        q = x.unfold(2, 16, 16).unfold(3, 16, 16)           # N, 1, 2, 2, 16, 16
        return q.permute(0, 2, 3, 1, 4, 5).reshape(n * 4, c, 16, 16)

    def forward(self, x):
        n = x.size(0)
        coarse = self.overview(F.avg_pool2d(x, 4))
        fine = self.detail(self.quarters(x))
        fine = fine.view(n, 4, -1)
        return self.fc(torch.cat([coarse, fine.flatten(1)], dim=1))

net = TwoScale()
print(sum(p.numel() for p in net.parameters()), "parameters")

# %% training
def evaluate(dl):
    net.eval()
    loss = hits = 0
    with torch.no_grad():
        for xb, yb in dl:
            out = net(xb)
            loss += F.cross_entropy(out, yb, reduction="sum").item()
            hits += (out.argmax(1) == yb).sum().item()
    return loss / len(dl.dataset), hits / len(dl.dataset)

EPOCHS = 8
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS * len(train_dl))
best_loss, best_net = float("inf"), None
for epoch in range(EPOCHS):
    net.train()
    seen = []
    for xb, yb in train_dl:
        loss = F.cross_entropy(net(xb), yb)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        seen.append(loss.item())
    val_loss, val_acc = evaluate(val_dl)
    if val_loss < best_loss:
        best_loss, best_net = val_loss, copy.deepcopy(net.state_dict())
    print(f"{epoch + 1}/{EPOCHS} train {np.mean(seen):.3f} val {val_loss:.3f} ({val_acc:.3f})")

# %% the result
net.load_state_dict(best_net)
print("test accuracy", round(evaluate(test_dl)[1], 4))
