import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

CLASSES = ["up", "down", "left", "right"]


def draw_arrow(direction):
    img = torch.rand(1, 16, 16) * 0.5
    r, c = random.randint(5, 10), random.randint(5, 10)
    shape = torch.zeros(9, 9)
    shape[4, :] = 1
    for k in range(4):
        shape[4 - k, 8 - k] = shape[4 + k, 8 - k] = 1
    turns = {"right": 0, "up": 1, "left": 2, "down": 3}[direction]
    shape = torch.rot90(shape, turns)
    img[0, r - 4 : r + 5, c - 4 : c + 5] += shape
    return img


class Arrows(Dataset):
    def __init__(self, n, train):
        self.labels = [random.randrange(4) for _ in range(n)]
        self.images = [draw_arrow(CLASSES[k]) for k in self.labels]
        self.train = train

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i]
        if self.train:
            img = self.augment(img)
        return (img - 0.3) / 0.3, self.labels[i]

    def augment(self, img):
        img = img + 0.1 * torch.randn_like(img)
        if random.random() < 0.5:
            img = torch.flip(img, dims=[2])
        return img


def main():
    random.seed(0)
    torch.manual_seed(0)
    train = DataLoader(Arrows(1500, True), batch_size=30, shuffle=True)
    test = DataLoader(Arrows(400, False), batch_size=100)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(400, 4),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(5):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss %.3f" % loss.item())
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in test:
            correct += (model(x).argmax(1) == y).sum().item()
    print("accuracy: %.4f" % (correct / 400))


main()
