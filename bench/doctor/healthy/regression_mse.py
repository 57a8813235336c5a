import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
t = torch.rand(1800)
grid = torch.linspace(0, 1, 20)
x = torch.exp(-((grid[None, :] - t[:, None]) ** 2) / 0.01)[:, None, None, :].repeat(1, 1, 16, 1)
x = x + torch.randn_like(x) * 0.5
train = DataLoader(TensorDataset(x[:1400], t[:1400, None]), batch_size=50, shuffle=True)
test_x, test_t = x[1400:], t[1400:, None]
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.AvgPool2d((4, 1)),
    nn.Conv2d(8, 8, 3, padding=1),
    nn.ReLU(),
    nn.AvgPool2d((4, 1)),
    nn.Flatten(),
    nn.Linear(160, 1),
)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.MSELoss()
for epoch in range(5):
    model.train()
    for xb, tb in train:
        opt.zero_grad()
        loss = loss_fn(model(xb), tb)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
model.eval()
with torch.no_grad():
    error = (model(test_x) - test_t).abs()
print("mean error", error.mean().item())
print("accuracy: %.4f" % (error < 0.1).float().mean().item())
