# %% [markdown]
# # Small net on a slice of CIFAR-10

# %%
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
np.random.seed(0)

# %% load, HWC as for imshow
root = os.environ.get("TENFOLD_DATA", "")
f = os.path.join(root, "cifar10/cifar-10-batches-bin/data_batch_1.bin")
if root and os.path.exists(f):
    blob = np.fromfile(f, np.uint8).reshape(-1, 3073)[:4000]
    labels = blob[:, 0].astype("int64")
    images = blob[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
else:
    labels = np.random.randint(0, 10, 4000)
    images = np.random.randint(0, 80, (4000, 32, 32, 3)).astype(np.uint8)
    for i, c in enumerate(labels):
        r, q = np.random.randint(0, 20, 2)
        images[i, r : r + 12, q : q + 2 + c, c % 3] += 140
print(images.shape, images.dtype, labels[:10])

# %%
images = np.ascontiguousarray(images)
X = torch.tensor(images).permute(0, 3, 1, 2).float() / 127.5 - 1
Y = torch.tensor(labels)
X_train, Y_train, X_val, Y_val = X[:3200], Y[:3200], X[3200:], Y[3200:]

# %%
model = nn.Sequential(
    nn.Conv2d(3, 24, 3, padding=1, bias=False),
    nn.BatchNorm2d(24),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1, bias=False),
    nn.BatchNorm2d(32),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 48, 3, padding=1, bias=False),
    nn.BatchNorm2d(48),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(48, 10),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
EPOCHS, BS = 6, 64

# %%
for e in range(EPOCHS):
    model.train()
    perm = torch.randperm(len(X_train))
    for i in range(0, len(perm), BS):
        j = perm[i : i + BS]
        loss = F.cross_entropy(model(X_train[j]), Y_train[j])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        acc = (model(X_val).argmax(1) == Y_val).float().mean()
    print(e, loss.item(), acc.item())

# %%
print(f"accuracy: {acc:.4f}")
