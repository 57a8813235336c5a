# %% [markdown]
# # Four classes of CIFAR-10 with a small net

# %%
import os
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = 5
np.random.seed(SEED)
torch.manual_seed(SEED)
KEEP = [0, 1, 3, 6]  # airplane, automobile, cat, frog

# %%
path = os.path.join(os.environ.get("TENFOLD_DATA", "data"), "cifar10", "cifar-10-batches-bin", "data_batch_1.bin")
if os.path.exists(path):
    raw = np.fromfile(path, dtype=np.uint8).reshape(-1, 3073)
    labels, images = raw[:, 0], raw[:, 1:].reshape(-1, 3, 32, 32)
else:
    labels = np.random.choice(KEEP, 3600)
    base = np.random.RandomState(0).uniform(80, 170, (10, 3, 8, 8)).repeat(4, 2).repeat(4, 3)
    images = np.clip(base[labels] + np.random.normal(0, 90, (3600, 3, 32, 32)), 0, 255).astype(np.uint8)

chosen = np.flatnonzero(np.isin(labels, KEEP))[:3200]
x = torch.from_numpy(images[chosen]).float() / 255
y = torch.from_numpy(np.searchsorted(KEEP, labels[chosen])).long()

# %%
order = torch.randperm(len(x))
n_test, n_val = 500, 500
test_idx, val_idx, train_idx = order[:n_test], order[n_test:n_test + n_val], order[n_test + n_val:]
mean = x[train_idx].mean((0, 2, 3)).view(1, 3, 1, 1)
std = x[train_idx].std((0, 2, 3)).view(1, 3, 1, 1)
x = (x - mean) / std
print(len(train_idx), "train", len(val_idx), "val", len(test_idx), "test")

# %%
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False)
        self.b2 = nn.BatchNorm2d(32)
        self.c3 = nn.Conv2d(32, 32, 3, padding=1, bias=False)
        self.b3 = nn.BatchNorm2d(32)
        self.fc = nn.Linear(32 * 4 * 4, 4)

    def forward(self, x):
        x = F.relu(self.b1(self.c1(x)))
        x = F.relu(self.b2(self.c2(x)))
        x = F.max_pool2d(F.relu(self.b3(self.c3(x))), 2)
        return self.fc(x.flatten(1))

# %%
def accuracy(net, idx):
    net.eval()
    with torch.no_grad():
        predicted = torch.cat([net(x[part]).argmax(1) for part in idx.split(250)])
    return (predicted == y[idx]).float().mean().item()

# %%
EPOCHS, BATCH = 6, 50
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=5e-4)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
best_val, best_test = 0.0, 0.0

for epoch in range(EPOCHS):
    net.train()
    shuffled = train_idx[torch.randperm(len(train_idx))]
    for batch in shuffled.split(BATCH):
        xb, yb = x[batch], y[batch]
        flip = torch.rand(len(batch)) < 0.5
        xb[flip] = xb[flip].flip(3)
        loss = F.cross_entropy(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scheduler.step()
    val_acc, test_acc = accuracy(net, val_idx), accuracy(net, test_idx)
    if val_acc > best_val:
        best_val, best_test = val_acc, test_acc
        best_epoch = epoch
    print(f"epoch {epoch}  loss {loss.item():.3f}  val {val_acc:.3f}  test {test_acc:.3f}")

# %%
print(f"best epoch {best_epoch}, val {best_val:.3f}")
print(f"accuracy: {best_test:.3f}")
