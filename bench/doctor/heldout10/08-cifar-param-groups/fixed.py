# coding: utf-8
# Exported from cifar_subset.ipynb

# In[1]:
import os
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1234)
root = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")


# In[2]: four of the classes, 2400 images for training and 600 to look at
KEEP = [1, 4, 6, 8]        # automobile, deer, frog, ship

def read_bin(fname, limit):
    rec = np.fromfile(os.path.join(root, fname), dtype=np.uint8).reshape(-1, 3073)
    rec = rec[np.isin(rec[:, 0], KEEP)][:limit]
    lab = np.searchsorted(KEEP, rec[:, 0])
    return torch.from_numpy(rec[:, 1:].reshape(-1, 3, 32, 32).copy()), torch.from_numpy(lab)

train_u8, train_y = read_bin("data_batch_1.bin", 2400)
valid_u8, valid_y = read_bin("data_batch_2.bin", 600)
print(train_u8.shape, valid_u8.shape, torch.bincount(train_y).tolist())


# In[3]:
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(1, 3, 1, 1)

def prep(u8, augment=False):
    x = (u8.float() / 255 - MEAN) / STD
    if augment:
        flip = torch.rand(len(x)) < 0.5
        x[flip] = x[flip].flip(-1)
    return x


# In[4]:
class PreAct(nn.Module):
    def __init__(self, c, out, s):
        super().__init__()
        self.gn1 = nn.GroupNorm(4, c)
        self.conv1 = nn.Conv2d(c, out, 3, s, 1, bias=False)
        self.gn2 = nn.GroupNorm(4, out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.short = nn.Conv2d(c, out, 1, s, bias=False)

    def forward(self, x):
        h = F.relu(self.gn1(x))
        y = self.conv2(F.relu(self.gn2(self.conv1(h))))
        return y + self.short(h)

class Net(nn.Module):
    def __init__(self, k):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.b1 = PreAct(16, 24, 2)
        self.b2 = PreAct(24, 40, 2)
        self.norm = nn.GroupNorm(4, 40)
        self.fc = nn.Linear(40, k)

    def forward(self, x):
        x = self.b2(self.b1(self.stem(x)))
        return self.fc(F.relu(self.norm(x)).mean(dim=(-2, -1)))

net = Net(len(KEEP))
print(sum(p.numel() for p in net.parameters()), "parameters")


# In[5]: AdamW, warm-up and cosine
def configure_optimizer(model, lr, wd):
    params = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in params if p.dim() >= 2], "weight_decay": wd},
        {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.99))

EPOCHS, BS = 8, 48
opt = configure_optimizer(net, lr=3e-3, wd=0.02)
total = EPOCHS * (len(train_y) // BS)
sched = torch.optim.lr_scheduler.LambdaLR(
    opt, lambda i: min(1.0, (i + 1) / 20) * 0.5 * (1 + math.cos(math.pi * min(i, total) / total)))


# In[6]:
def accuracy(u8, y):
    net.eval()
    with torch.no_grad():
        pred = torch.cat([net(prep(u8[i:i + 200])).argmax(1) for i in range(0, len(y), 200)])
    return (pred == y).float().mean().item()

for epoch in range(EPOCHS):
    net.train()
    seen = 0.0
    idx = torch.randperm(len(train_y))[: len(train_y) // BS * BS].view(-1, BS)
    for rows in idx:
        loss = F.cross_entropy(net(prep(train_u8[rows], augment=True)), train_y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        seen += loss.item()
    print(f"epoch {epoch + 1}: loss {seen / len(idx):.3f}, valid {accuracy(valid_u8, valid_y):.3f}")


# In[7]:
print("accuracy:", round(accuracy(valid_u8, valid_y), 4))
