import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset
from PIL import Image, ImageDraw
import numpy as np


def letters(text, n, seed):
    rng = np.random.RandomState(seed)
    x, y = np.zeros((n, 1, 20, 20), np.float32), rng.randint(0, len(text), n)
    for i in range(n):
        page = Image.new("L", (20, 20))
        ImageDraw.Draw(page).text(tuple(rng.randint(2, 8, 2).tolist()), text[y[i]], fill=255, font_size=12)
        x[i, 0] = np.asarray(page, np.float32) / 255 + rng.randn(20, 20) * 0.1
    return TensorDataset(torch.from_numpy((x - 0.1) / 0.25), torch.from_numpy(y))


class LetterNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 3),
            nn.BatchNorm2d(8),
            nn.ELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3),
            nn.BatchNorm2d(16),
            nn.ELU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(16 * 9, classes)

    def forward(self, x):
        return self.fc(self.conv(x).flatten(1))


hparams = dict(lr=5e-8, batch_size=32, epochs=4)
torch.manual_seed(0)
train_loader = DataLoader(letters("ABCDEFGH", 1600, 0), batch_size=hparams["batch_size"], shuffle=True)
test_loader = DataLoader(letters("ABCDEFGH", 400, 1), batch_size=100)
model = LetterNet(8)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-05)
criterion = nn.CrossEntropyLoss()
for epoch in range(hparams["epochs"]):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())
model.eval()
correct = 0
with torch.no_grad():
    for x, y in test_loader:
        correct += (model(x).argmax(1) == y).sum().item()
print(f"accuracy: {correct / 400:.4f}")
