# %%
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(1)

# %% data: 5 textures
N, S = 2000, 16
proto = torch.randn(5, 1, S, S)


def sample(n):
    y = torch.randint(0, 5, (n,))
    return 0.5 * proto[y] + 0.8 * torch.randn(n, 1, S, S), y


X, Y = sample(N)
Xv, Yv = sample(500)


# %% model
class TextureNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 4 * 4, 5)

    def forward(self, x):
        n = x.size(0)
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = x.flatten(1)
        return self.fc(x)


# %% training
model = TextureNet()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(5):
    p = torch.randperm(N)
    for i in range(0, N, 40):
        xb, yb = X[p[i : i + 40]], Y[p[i : i + 40]]
        loss = F.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch}: {loss.item():.3f}")

# %% evaluation
with torch.no_grad():
    hits = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in zip(Xv.split(50), Yv.split(50)))
print(f"accuracy: {hits / len(Yv):.4f}")
