import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

PICK = [0, 2, 4, 7]  # airplane, bird, deer, horse


def load(name):
    folder = os.environ.get("TENFOLD_DATA", "")
    path = os.path.join(folder, "cifar10", "cifar-10-batches-bin", name)
    if not folder:
        r = np.random.RandomState(len(name))
        y = r.randint(0, 4, 1500)
        x = r.randint(0, 110, (1500, 3, 32, 32))
        for i, c in enumerate(y):
            a, b = r.randint(0, 20, 2)
            x[i, :, a:a + 4 + 2 * (c % 2) * 3, b:b + 4 + 2 * (c // 2) * 3] += 90
        return x.astype(np.uint8), y
    rec = np.fromfile(path, np.uint8).reshape(-1, 3073)
    keep = np.isin(rec[:, 0], PICK)
    rec = rec[keep]
    return rec[:, 1:].reshape(-1, 3, 32, 32), np.array([PICK.index(v) for v in rec[:, 0]])


def augment(img):
    if np.random.rand() < 0.5:
        img = img[:, :, ::-1]
    img = np.pad(img, ((0, 0), (5, 5), (5, 5)), mode="reflect")
    i, j = np.random.randint(0, 11, 2)
    return img[:, i:i + 32, j:j + 32]


def to_tensor(img):
    return (torch.from_numpy(np.ascontiguousarray(img)).float() / 255 - 0.47) / 0.25


class SmallCifar(Dataset):
    def __init__(self, images, labels, train):
        self.train = train
        self.labels = labels
        self.images = [augment(im) for im in images] if train else images

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return to_tensor(self.images[index]), int(self.labels[index])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        chans = [3, 16, 32, 64]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1, bias=False) for a, b in zip(chans, chans[1:]))
        self.norms = nn.ModuleList(nn.BatchNorm2d(b) for b in chans[1:])
        self.fc = nn.Linear(64 * 16, 4)

    def forward(self, x):
        for conv, norm in zip(self.convs, self.norms):
            x = F.relu(norm(conv(x)))
        return self.fc(x.flatten(1))


def evaluate(net, loader):
    net.eval()
    correct = 0
    with torch.no_grad():
        for x, y in loader:
            correct += (net(x).argmax(1) == y).sum().item()
    return correct / len(loader.dataset)


def main():
    np.random.seed(0)
    torch.manual_seed(0)
    x, y = load("data_batch_1.bin")
    tx, ty = load("data_batch_2.bin")
    train = SmallCifar(x[:640], y[:640], train=True)
    test = SmallCifar(tx[:1000], ty[:1000], train=False)
    train_loader = DataLoader(train, batch_size=64, shuffle=True)
    test_loader = DataLoader(test, batch_size=200)
    net = Net()
    epochs = 30
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        net.train()
        total = 0.0
        for xb, yb in train_loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            opt.step()
            total += loss.item()
        sched.step()
        if epoch % 5 == 4:
            print("epoch", epoch + 1, "train loss", round(total / len(train_loader), 4))
    print(f"accuracy: {evaluate(net, test_loader):.3f}")


if __name__ == "__main__":
    main()
