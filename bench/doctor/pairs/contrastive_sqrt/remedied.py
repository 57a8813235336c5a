import torch
import torch.nn as nn
import torch.nn.functional as F


class Embedder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, stride=2)
        self.conv2 = nn.Conv2d(12, 24, 3, stride=2)
        self.fc = nn.Linear(24 * 9, dim)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        return self.fc(x.flatten(1))


def distances(a, b):
    sq = ((a[:, None] - b[None]) ** 2).sum(-1)
    return torch.sqrt(sq + 1e-8)


def contrastive(emb, y, margin=2.0):
    d = distances(emb, emb)
    same = (y[:, None] == y[None]).float()
    return (same * d**2 + (1 - same) * F.relu(margin - d) ** 2).mean()


def sample(protos, n):
    y = torch.randint(0, len(protos), (n,))
    return protos[y] + torch.randn(n, 1, 16, 16) * 1.3, y


torch.manual_seed(0)
protos = torch.randn(6, 1, 16, 16)
x, y = sample(protos, 1200)
xt, yt = sample(protos, 300)
model = Embedder()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for i in torch.randperm(len(x)).split(40):
        loss = contrastive(model(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    emb = model(x)
    centres = torch.stack([emb[y == c].mean(0) for c in range(6)])
    acc = (distances(model(xt), centres).argmin(1) == yt).float().mean().item()
print(f"accuracy: {acc:.4f}")
