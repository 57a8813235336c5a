"""Stochastic weight averaging on four CIFAR-10 classes.

After a warm start the rate stays constant and the weights of every epoch are
averaged.  Averaged weights need fresh batch-norm statistics: update_bn passes
once over the training pictures before the average is evaluated.
"""
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

KEEP = [0, 1, 6, 8]  # plane, car, frog, ship -> 0..3
BASE = os.environ["TENFOLD_DATA"] + "/cifar10/cifar-10-batches-bin/"


def subset(file, limit):
    raw = np.fromfile(BASE + file, dtype=np.uint8).reshape(-1, 3073)
    raw = raw[np.isin(raw[:, 0], KEEP)][:limit]
    y = np.searchsorted(KEEP, raw[:, 0])
    x = raw[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255.0
    return torch.from_numpy(x), torch.from_numpy(y)


def main():
    torch.manual_seed(12)
    x, y = subset("data_batch_3.bin", 2000)
    xv, yv = subset("data_batch_1.bin", 500)
    mean, std = x.mean((0, 2, 3), keepdim=True), x.std((0, 2, 3), keepdim=True)
    x, xv = (x - mean) / std, (xv - mean) / std
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)

    net = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, len(KEEP)),
    )
    decay = [p for p in net.parameters() if p.dim() > 1]
    plain = [p for p in net.parameters() if p.dim() <= 1]  # batch norm and biases
    opt = torch.optim.SGD([{"params": decay, "weight_decay": 5e-4}, {"params": plain, "weight_decay": 0.0}],
                          lr=0.1, momentum=0.9)
    average = AveragedModel(net)
    swa_start, epochs = 3, 6
    swa_rate = SWALR(opt, swa_lr=0.03, anneal_epochs=1)

    for epoch in range(epochs):
        net.train()
        losses = []
        for xb, yb in loader:
            opt.zero_grad()
            loss = F.cross_entropy(net(xb), yb)
            loss.backward()
            opt.step()
            losses.append(loss.item())
        if epoch >= swa_start:
            average.update_parameters(net)
        if epoch >= swa_start - 1:
            swa_rate.step()
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")

    update_bn(loader, average)
    average.eval()
    with torch.no_grad():
        acc = (average(xv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
