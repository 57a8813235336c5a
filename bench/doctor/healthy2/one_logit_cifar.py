"""Ships or horses? Two CIFAR-10 classes, one logit, BCEWithLogitsLoss.

The output layer has a single unit; the decision is `logit > 0`.  At test time
the logits of the picture and of its mirror image are averaged.
"""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

NEGATIVE, POSITIVE = 7, 8  # horse, ship
FOLDER = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")


def load(part):
    records = np.fromfile(os.path.join(FOLDER, part), np.uint8).reshape(-1, 3073)
    records = records[np.isin(records[:, 0], (NEGATIVE, POSITIVE))]
    images = torch.tensor(records[:, 1:].reshape(-1, 3, 32, 32), dtype=torch.float32) / 127.5 - 1
    return images, torch.tensor(records[:, 0] == POSITIVE, dtype=torch.float32)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 16, 4, stride=4), nn.GELU(),  # patches, no overlap
            nn.Conv2d(16, 32, 3, padding=1), nn.GELU(), nn.AvgPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1), nn.GELU(),
            nn.Flatten(), nn.Linear(32 * 16, 1),
        )

    def forward(self, x):
        return self.net(x).squeeze(1)


torch.manual_seed(4)
train_x, train_y = load("data_batch_2.bin")
valid_x, valid_y = (t[:600] for t in load("data_batch_4.bin"))
loader = DataLoader(TensorDataset(train_x, train_y), batch_size=40, shuffle=True)

model = Detector()
criterion = nn.BCEWithLogitsLoss()
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(4):
    model.train()
    total, right, count = 0.0, 0, 0
    for images, targets in loader:
        mirrored = torch.rand(len(images)) < 0.5
        images[mirrored] = images[mirrored].flip(-1)  # the loader stacked a copy
        logits = model(images)
        loss = criterion(logits, targets)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += loss.item() * len(images)
        right += ((logits > 0) == (targets > 0.5)).sum().item()
        count += len(images)
    print(f"epoch {epoch + 1}: loss {total / count:.3f}, running training accuracy {right / count:.3f}")

model.eval()
with torch.no_grad():
    logits = (model(valid_x) + model(valid_x.flip(-1))) / 2
print(f"accuracy: {((logits > 0) == (valid_y > 0.5)).float().mean().item():.3f}")
