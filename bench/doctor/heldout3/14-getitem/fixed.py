"""CIFAR-10 (a slice) with a numpy pipeline: crop and flip for training only."""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

BIN_DIR = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")


class CifarSlice(Dataset):
    mean = np.array([0.4914, 0.4822, 0.4465], dtype=np.float32)
    std = np.array([0.2470, 0.2435, 0.2616], dtype=np.float32)

    def __init__(self, filename, count, train):
        data = np.fromfile(os.path.join(BIN_DIR, filename), dtype=np.uint8, count=count * 3073)
        data = data.reshape(count, 3073)
        self.labels = data[:, 0].astype(np.int64)
        self.images = data[:, 1:].reshape(count, 3, 32, 32).transpose(0, 2, 3, 1)
        self.train = train

    def __len__(self):
        return len(self.labels)

    def _augment(self, image):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
        top, left = torch.randint(0, 5, (2,)).tolist()
        image = padded[top:top + 32, left:left + 32]
        if torch.rand(()) < 0.5:
            image = image[:, ::-1]
        return image

    def __getitem__(self, index):
        image = self.images[index].astype(np.float32) / 255.0
        if self.train:
            image = self._augment(image)
        image = (image - self.mean) / self.std
        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return tensor, self.labels[index]


def conv(c_in, c_out, stride=1):
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(conv(3, 24, 2), conv(24, 48, 2), conv(48, 64, 2))
        self.classifier = nn.Linear(64 * 4, 10)

    def forward(self, x):
        x = nn.functional.avg_pool2d(self.features(x), 2)
        return self.classifier(x.flatten(1))


def train_epoch(model, loader, criterion, optimizer):
    model.train()
    seen, total = 0, 0.0
    for images, labels in loader:
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        seen += len(labels)
    return total / seen


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    correct = 0
    for images, labels in loader:
        correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(loader.dataset)


def main():
    torch.manual_seed(8)
    train_loader = DataLoader(CifarSlice("data_batch_4.bin", 2500, train=True), batch_size=50, shuffle=True)
    test_loader = DataLoader(CifarSlice("test_batch.bin", 800, train=False), batch_size=200)
    model = Net()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(1, 5):
        print(f"epoch {epoch}: train loss {train_epoch(model, train_loader, criterion, optimizer):.3f}")
    print(f"accuracy: {evaluate(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
