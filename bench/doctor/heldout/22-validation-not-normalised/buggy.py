import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

from transforms import Compose, Normalize, RandomShift, ToTensor

MEAN, STD = [0.62, 0.55, 0.58], [0.12, 0.11, 0.12]


class Petri(Dataset):
    """Number of dark spots (1..5) on a bright plate."""

    def __init__(self, n, rng, transform):
        self.transform = transform
        self.counts = rng.integers(1, 6, n)
        self.plates = rng.normal([165, 145, 155], 14, (n, 24, 24, 3))
        slots = [(r, c) for r in (2, 9, 16) for c in (2, 9, 16)]
        for plate, k in zip(self.plates, self.counts):
            for s in rng.permutation(9)[:k]:
                r, c = slots[s] + rng.integers(0, 3, 2)
                plate[r : r + 4, c : c + 4] -= 75
        self.plates = self.plates.clip(0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.counts)

    def __getitem__(self, i):
        return self.transform(self.plates[i]), int(self.counts[i]) - 1


train_tf = Compose([RandomShift(2), ToTensor(), Normalize(MEAN, STD)])
valid_tf = Compose([ToTensor()])

torch.manual_seed(6)
np.random.seed(6)
rng = np.random.default_rng(6)
train_loader = DataLoader(Petri(1500, rng, train_tf), batch_size=32, shuffle=True)
valid_loader = DataLoader(Petri(500, rng, valid_tf), batch_size=125)

model = nn.Sequential()
cin = 3
for cout in (16, 32):
    model.append(nn.Conv2d(cin, cout, 3, padding=1))
    model.append(nn.ReLU())
    model.append(nn.MaxPool2d(2))
    cin = cout
model.extend([nn.Flatten(), nn.Linear(32 * 36, 5)])

optimizer = torch.optim.Adam(model.parameters(), 1e-3)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(8):
    model.train()
    for x, y in train_loader:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = [(model(x).argmax(1) == y).float() for x, y in valid_loader]
    score = torch.cat(hits).mean().item()
    print(f"epoch {epoch}: loss {loss.item():.3f} valid {score:.3f}")
print(f"accuracy: {score:.4f}")
