# %% [markdown]
# # Faint marks on grey paper
# Five kinds of mark, low contrast.

# %%
import numpy as np
import torch
import torch.nn as nn

np.random.seed(9)
torch.manual_seed(9)
S = 24
kinds = ["disc", "ring", "hbar", "vbar", "plus"]

# %%
def mark(k):
    yy, xx = np.mgrid[0:S, 0:S]
    cy, cx = np.random.randint(8, 16, size=2)
    r = np.random.randint(5, 8)
    dist = np.hypot(yy - cy, xx - cx)
    h = (abs(yy - cy) <= 1) & (abs(xx - cx) <= r)
    v = (abs(xx - cx) <= 1) & (abs(yy - cy) <= r)
    mask = [dist <= r, (dist <= r) & (dist >= r - 2), h, v, h | v][k]
    paper = 115 + np.random.uniform(-8, 8)
    return paper + 40 * mask + 13 * np.random.randn(S, S)


labels = np.random.randint(0, len(kinds), size=2200)
images = np.stack([mark(k) for k in labels]).astype(np.float32)[:, None]
x_train, x_val = images[:1600], images[1600:]
y_train, y_val = torch.tensor(labels[:1600]), torch.tensor(labels[1600:])
mean, std = float(x_train.mean()), float(x_train.std())
print("images", images.shape, "mean %.1f std %.1f" % (mean, std))

# %%
def standardise(a):
    a = np.asarray(a, dtype=np.float32)
    a -= mean
    a /= std
    return a


# %%
model = nn.Sequential(
    nn.Conv2d(1, 12, 5, padding=2, bias=False),
    nn.BatchNorm2d(12),
    nn.LeakyReLU(0.1),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1, bias=False),
    nn.BatchNorm2d(24),
    nn.LeakyReLU(0.1),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * 6 * 6, len(kinds)),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)

# %%
def evaluate(x, y):
    model.eval()
    z = torch.from_numpy(standardise(x))
    with torch.no_grad():
        guess = torch.cat([model(part).argmax(dim=1) for part in z.split(200)])
    return (guess == y).float().mean().item()


# %%
z_train = torch.from_numpy(standardise(x_train))
history = []
for epoch in range(4):
    model.train()
    perm = torch.from_numpy(np.random.permutation(len(z_train)))
    losses = []
    for idx in perm.split(32):
        opt.zero_grad()
        loss = loss_fn(model(z_train[idx]), y_train[idx])
        loss.backward()
        opt.step()
        losses.append(loss.item())
    history.append((np.mean(losses), evaluate(x_val, y_val)))
    print("epoch %d: train loss %.3f, val acc %.3f" % (epoch + 1, *history[-1]))

# %%
print("accuracy: %.3f" % history[-1][1])
