# %% [markdown]
# # A bag-of-patches network
# Every image is cut into 8×8 patches; one CNN looks at each patch, and the patch
# embeddings are averaged before the classifier.

# %%
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
N_CLASSES, SIDE, PATCH = 5, 32, 8

# %% Data: five kinds of coloured texture
def make_split(per_class, generator):
    ys = torch.arange(N_CLASSES).repeat_interleave(per_class)
    u = torch.arange(SIDE).float()
    row, col = torch.meshgrid(u, u, indexing="ij")
    images = []
    for y in ys.tolist():
        phase = torch.rand(1, generator=generator) * 6.28
        freq = 1.0 + 0.4 * torch.rand(1, generator=generator)
        if y == 0:
            base = torch.sin(freq * row + phase)
        elif y == 1:
            base = torch.sin(freq * col + phase)
        elif y == 2:
            base = torch.sin(freq * 0.7 * (row + col) + phase)
        elif y == 3:
            base = torch.sin(freq * 0.7 * (row - col) + phase)
        else:
            base = torch.sin(freq * row + phase) * torch.sin(freq * col) * 1.4
        tint = 0.5 + torch.rand(3, 1, 1, generator=generator)
        noise = torch.randn(3, SIDE, SIDE, generator=generator)
        images.append(base * tint + noise)
    return torch.stack(images), ys


gen = torch.Generator().manual_seed(123)
x_train, y_train = make_split(120, gen)
x_test, y_test = make_split(60, gen)
mu = x_train.mean(dim=(0, 2, 3), keepdim=True)
sd = x_train.std(dim=(0, 2, 3), keepdim=True)
x_train, x_test = (x_train - mu) / sd, (x_test - mu) / sd


# %% Model
def to_patches(x, p=PATCH):
    """(B, C, H, W) -> (B * n, C, p, p), n patches per image."""
    c = x.shape[1]
    tiles = x.unfold(2, p, p).unfold(3, p, p)
    tiles = tiles.permute(0, 2, 3, 1, 4, 5)
    return tiles.reshape(-1, c, p, p)


class PatchNet(nn.Module):
    def __init__(self, dim=32):
        super().__init__()
        self.embed = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, dim, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(dim),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.classify = nn.Linear(dim, N_CLASSES)

    def forward(self, x):
        z = self.embed(to_patches(x))
        z = z.view(x.size(0), -1, z.size(1)).mean(dim=1)
        return self.classify(z)


# %% Training
model = PatchNet()
opt = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
BATCH = 30
for epoch in range(6):
    model.train()
    losses = []
    for idx in torch.randperm(len(x_train)).split(BATCH):
        opt.zero_grad()
        loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"epoch {epoch}: {sum(losses) / len(losses):.3f}")

# %% Evaluation
model.eval()
right = 0
with torch.no_grad():
    for idx in torch.randperm(len(x_test)).split(60):
        right += (model(x_test[idx]).argmax(dim=1) == y_test[idx]).sum().item()
print(f"accuracy: {right / len(x_test):.3f}")
