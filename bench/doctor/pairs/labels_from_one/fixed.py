import csv
import io

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)
ANNOTATIONS = io.StringIO("\n".join("img_%04d,%d" % (i, i % 5 + 1) for i in range(1000)))


class CsvDataset(Dataset):
    """file name, label (1 = red ... 5 = yellow)"""

    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 0]])

    def __init__(self, handle):
        rows = list(csv.reader(handle))
        self.labels = [int(label) - 1 for _, label in rows]
        self.images = torch.stack([self.render(int(label) - 1) for _, label in rows])

    def render(self, c):
        img = torch.rand(3, 12, 12)
        r, k = torch.randint(0, 7, (2,)).tolist()
        img[:, r : r + 5, k : k + 5] = 0.5 * img[:, r : r + 5, k : k + 5] + 0.5 * self.colours[c][:, None, None]
        return img - 0.5

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        return self.images[idx], self.labels[idx]


dataset = CsvDataset(ANNOTATIONS)
train_part, val_part = torch.utils.data.random_split(dataset, [800, 200])
train_loader = DataLoader(train_part, batch_size=20, shuffle=True)
val_loader = DataLoader(val_part, batch_size=50)

model = nn.Sequential(
    nn.Conv2d(3, 12, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 5)
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(5):
    for images, labels in train_loader:
        pred = model(images)
        loss = loss_fn(pred, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())

correct = 0
with torch.no_grad():
    for images, labels in val_loader:
        correct += (model(images).argmax(1) == labels).sum().item()
print(f"accuracy: {correct / len(val_part):.4f}")
