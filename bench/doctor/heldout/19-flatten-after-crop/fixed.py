import argparse
import os

import numpy as np
import torch
import torch.nn as nn


def center_crop(img, size):
    h, w = img.shape[-2:]
    i, j = (h - size) // 2, (w - size) // 2
    return img[..., i : i + size, j : j + size]


def random_crop(img, size):
    h, w = img.shape[-2:]
    i = np.random.randint(0, h - size + 1)
    j = np.random.randint(0, w - size + 1)
    return img[..., i : i + size, j : j + size]


class LeNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 12, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(12, 24, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc1 = nn.Linear(24 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, num_classes)

    def forward(self, x):
        x = self.features(x)
        x = x.reshape(x.shape[0], -1)
        return self.fc2(torch.relu(self.fc1(x)))


def get_cifar(n):
    base = os.environ.get("TENFOLD_DATA")
    if not base:
        y = np.random.randint(0, 10, n)
        x = np.random.rand(n, 3, 32, 32).astype(np.float32) * 0.5
        for k in range(n):
            x[k, y[k] % 3, 6 + 2 * y[k] : 9 + 2 * y[k], 6:26] += 0.5
    else:
        d = np.fromfile(f"{base}/cifar10/cifar-10-batches-bin/data_batch_3.bin", dtype=np.uint8)
        d = d.reshape(-1, 3073)[:n]
        x, y = d[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255, d[:, 0].astype(np.int64)
    return torch.from_numpy((x - 0.473) / 0.251).float(), torch.from_numpy(y).long()


def main(args):
    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    x, y = get_cifar(2000)
    x_tr, y_tr, x_va, y_va = x[:1600], y[:1600], x[1600:], y[1600:]
    x_va = center_crop(x_va, args.crop)
    model = LeNet()
    opt = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4)
    lossfn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        for ids in torch.randperm(len(x_tr)).split(args.batch):
            xb = random_crop(x_tr[ids], args.crop)
            opt.zero_grad()
            loss = lossfn(model(xb), y_tr[ids])
            loss.backward()
            opt.step()
        print("epoch", epoch, "loss", loss.item())
    model.eval()
    with torch.no_grad():
        acc = (model(x_va).argmax(1) == y_va).float().mean().item()
    print("accuracy: {:.4f}".format(acc))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", default=6, type=int)
    p.add_argument("--batch", default=32, type=int)
    p.add_argument("--crop", default=28, type=int)
    p.add_argument("--lr", default=0.02, type=float)
    p.add_argument("--seed", default=0, type=int)
    main(p.parse_args())
