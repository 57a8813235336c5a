import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class Symmetric(Dataset):
    def __init__(self, n, seed, train):
        g = torch.Generator().manual_seed(seed)
        self.train = train
        self.y = torch.randint(0, 4, (n,), generator=g)
        self.x = torch.randn(n, 1, 14, 14, generator=g) * 0.6
        for k in range(4):
            self.x[self.y == k, :, 3 * k : 3 * k + 4, 4:10] += 0.5

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        x = self.x[i]
        if self.train and torch.rand(()) < 0.5:
            x = x.flip(-1)
        return x, self.y[i]


@torch.no_grad()
def predict(model, x):
    return (F.softmax(model(x), 1) + F.softmax(model(x.flip(-1)), 1)) / 2


torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 12, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(300, 4),
)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(4):
    model.train()
    for x, y in DataLoader(Symmetric(1500, 0, True), batch_size=50, shuffle=True):
        opt.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        opt.step()
    print(epoch, loss.item())
model.eval()
right = sum(
    (predict(model, x).argmax(1) == y).sum().item() for x, y in DataLoader(Symmetric(400, 1, False), batch_size=100)
)
print("accuracy: %.4f" % (right / 400))
