import os
import tempfile

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Checkpointer:
    def __init__(self, folder):
        self.path = os.path.join(folder, "best.pt")
        self.best = -1.0

    def save(self, model, score):
        if score > self.best:
            self.best = score
            torch.save(model.state_dict(), self.path)

    def restore(self, model):
        model.load_state_dict(torch.load(self.path, weights_only=True))


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


torch.manual_seed(0)
p = torch.randn(5, 1, 12, 12)
y = torch.randint(0, 5, (2000,))
x = 0.45 * p[y] + torch.randn(2000, 1, 12, 12)
train, val, test = random_split(TensorDataset(x, y), [1400, 300, 300])
train_dl, val_dl, test_dl = DataLoader(train, 50, shuffle=True), DataLoader(val, 100), DataLoader(test, 100)
model = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(400, 5))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
with tempfile.TemporaryDirectory() as folder:
    keeper = Checkpointer(folder)
    for epoch in range(5):
        model.train()
        for xb, yb in train_dl:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
        keeper.save(model, evaluate(model, val_dl))
        print(epoch, loss.item(), keeper.best)
    keeper.restore(model)
print("accuracy: %.4f" % evaluate(model, test_dl))
