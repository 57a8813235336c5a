import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.utils.data import Dataset, DataLoader

MEAN = torch.tensor([0.35, 0.35, 0.35]).view(3, 1, 1)
STD = torch.tensor([0.25, 0.25, 0.25]).view(3, 1, 1)


class Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, x):
        for s in self.steps:
            x = s(x)
        return x


class ToTensor:
    def __call__(self, pic):
        a = np.array(pic, dtype=np.float32)
        return torch.from_numpy(a.transpose(2, 0, 1)) / 255.0


class Normalize:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def __call__(self, t):
        return (t - self.mean) / self.std


class Polygons(Dataset):
    def __init__(self, n, seed, transform):
        rng = np.random.RandomState(seed)
        self.items = []
        for i in range(n):
            corners = 3 + i % 4
            img = Image.fromarray(rng.randint(60, 120, (24, 24, 3)).astype(np.uint8))
            centre = tuple(rng.randint(9, 16, 2).tolist())
            ImageDraw.Draw(img).regular_polygon(
                (centre, 8), corners, rotation=int(rng.randint(0, 20)), fill=(200, 180, 170)
            )
            self.items.append((img, i % 4))
        self.transform = transform

    def __len__(self):
        return len(self.items)

    def __getitem__(self, k):
        img, label = self.items[k]
        return self.transform(img), label


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.layer2 = nn.Sequential(nn.Conv2d(12, 24, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Linear(24 * 4 * 4, 4)

    def forward(self, x):
        out = self.layer2(self.layer1(x))
        return self.fc(out.reshape(out.size(0), -1))


def main():
    torch.manual_seed(0)
    transform = Compose([ToTensor(), Normalize(MEAN, STD)])
    train_loader = DataLoader(Polygons(1600, 0, transform), batch_size=32, shuffle=True)
    test_loader = DataLoader(Polygons(400, 1, transform), batch_size=100)
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(4):
        model.train()
        for images, labels in train_loader:
            outputs = model(images)
            loss = criterion(outputs, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print("epoch", epoch, loss.item())
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in test_loader:
            correct += (model(images).argmax(1) == labels).sum().item()
    print("accuracy: %.4f" % (correct / 400))


if __name__ == "__main__":
    main()
