"""Reads how many bars (two to five) an image shows. Settings come from an old configuration file."""
import json

import numpy as np
import torch
from torch import nn

SETTINGS = json.loads("""
{
    "dropout_keep": 0.9,
    "channels": [12, 24],
    "rate": 0.002,
    "epochs": 4
}
""")


class Bars(torch.utils.data.Dataset):
    def __init__(self, size, seed):
        rng = np.random.default_rng(seed)
        self.counts = rng.integers(2, 6, size)
        self.images = []
        for count in self.counts:
            image = rng.normal(0, 0.4, (24, 24))
            for row in rng.choice(7, count, replace=False):
                image[1 + 3 * row : 3 + 3 * row, rng.integers(0, 4) : rng.integers(20, 24)] += 1.5
            self.images.append(torch.tensor(image[None], dtype=torch.float32))

    def __len__(self):
        return len(self.counts)

    def __getitem__(self, index):
        return self.images[index], int(self.counts[index]) - 2


class Reader(nn.Module):
    def __init__(self, settings):
        super().__init__()
        first, second = settings["channels"]
        self.body = nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        )
        self.drop = nn.Dropout(1 - settings["dropout_keep"])
        self.hidden, self.out = nn.Linear(second * 36, 48), nn.Linear(48, 4)

    def forward(self, x):
        return self.out(self.drop(torch.relu(self.hidden(self.drop(self.body(x))))))


torch.manual_seed(2)
train = torch.utils.data.DataLoader(Bars(1500, 0), batch_size=30, shuffle=True)
test = torch.utils.data.DataLoader(Bars(500, 1), batch_size=100)
reader, loss_of = Reader(SETTINGS), nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(reader.parameters(), lr=SETTINGS["rate"])
for epoch in range(SETTINGS["epochs"]):
    reader.train()
    for images, counts in train:
        optimizer.zero_grad()
        loss = loss_of(reader(images), counts)
        loss.backward()
        optimizer.step()
    print("epoch", epoch + 1, "loss", round(loss.item(), 3))
reader.eval()
with torch.no_grad():
    right = sum((reader(images).argmax(1) == counts).sum().item() for images, counts in test)
print(f"accuracy: {right / len(test.dataset):.3f}")
