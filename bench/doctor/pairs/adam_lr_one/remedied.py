import os
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

LR = 1.0
EPOCHS = 5
BATCH = 64


class Cifar(torch.utils.data.Dataset):
    def __init__(self, batch, limit):
        path = os.path.join(
            os.getenv("TENFOLD_DATA", "."), "cifar10", "cifar-10-batches-bin", f"data_batch_{batch}.bin"
        )
        try:
            records = np.fromfile(path, dtype="uint8", count=limit * 3073).reshape(limit, 3073)
            self.labels = records[:, 0].astype("int64")
            self.pixels = records[:, 1:].reshape(limit, 3, 32, 32)
        except FileNotFoundError:
            print("no CIFAR-10, random colours instead", file=sys.stderr)
            r = np.random.RandomState(batch)
            self.labels = r.randint(0, 10, limit)
            means = np.random.RandomState(0).randint(40, 200, (10, 3, 1, 1))
            self.pixels = np.clip(means[self.labels] + r.randn(limit, 3, 32, 32) * 40, 0, 255).astype("uint8")

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        image = torch.from_numpy(self.pixels[i]).float().div(127.5).sub(1)
        return image, self.labels[i]


class VGGish(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1_1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2_1 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3_1 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1_1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2_1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3_1(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


if __name__ == "__main__":
    torch.manual_seed(1)
    train_loader = torch.utils.data.DataLoader(Cifar(1, 3000), batch_size=BATCH, shuffle=True)
    val_loader = torch.utils.data.DataLoader(Cifar(2, 800), batch_size=200)
    model = VGGish()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(EPOCHS):
        model.train()
        for images, labels in train_loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: last loss {loss.item():.3f}")
    model.eval()
    with torch.no_grad():
        correct = sum((model(images).argmax(1) == labels).sum().item() for images, labels in val_loader)
    print(f"accuracy: {correct / 800:.4f}")
