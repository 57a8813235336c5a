"""CIFAR-10 (slice) with a plain Sequential CNN and AdamW."""
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

DATA = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin")


def load_slice(filename, n):
    with open(os.path.join(DATA, filename), "rb") as fh:
        buf = np.frombuffer(fh.read(n * 3073), dtype=np.uint8).reshape(n, 3073)
    labels = torch.tensor(buf[:, 0], dtype=torch.long)
    images = torch.tensor(buf[:, 1:], dtype=torch.float32).view(n, 3, 32, 32).div_(255)
    return images, labels


class Standardise:
    def __init__(self, images):
        self.mean = images.mean(dim=(0, 2, 3)).view(1, 3, 1, 1)
        self.std = images.std(dim=(0, 2, 3)).view(1, 3, 1, 1)

    def __call__(self, images):
        return (images - self.mean) / self.std


def conv_unit(cin, cout, stride=1):
    return [nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)]


def make_model(widths=(16, 32, 64), classes=10):
    layers, cin = [], 3
    for w in widths:
        layers += conv_unit(cin, w, stride=2)
        cin = w
    layers += [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Dropout(0.1), nn.Linear(cin * 4, classes)]
    return nn.Sequential(*layers)


def parameter_groups(model, weight_decay):
    """Decay for the kernels and matrices, none for the rest."""
    decay, no_decay = [], []
    for name, param in model.named_parameters():
        if not param.requires_grad:
            continue
        if "bn" in name or name.endswith("bias"):
            no_decay.append(param)
        else:
            decay.append(param)
    return [
        {"params": decay, "weight_decay": weight_decay},
        {"params": no_decay, "weight_decay": 0.0},
    ]


def random_flip(x):
    mask = (torch.rand(x.size(0), 1, 1, 1) < 0.5).float()
    return mask * x.flip(3) + (1 - mask) * x


def fit(model, x, y, epochs=6, batch_size=100, lr=4e-3, weight_decay=0.05):
    optimizer = torch.optim.AdamW(parameter_groups(model, weight_decay), lr=lr)
    per_epoch = len(x) // batch_size
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=lr, total_steps=epochs * per_epoch)
    for epoch in range(epochs):
        model.train()
        running = 0.0
        for idx in torch.randperm(len(x)).view(per_epoch, batch_size):
            loss = F.cross_entropy(model(random_flip(x[idx])), y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item() / per_epoch
        print(f"epoch {epoch + 1}: {running:.3f}")


@torch.no_grad()
def accuracy(model, x, y):
    model.eval()
    return torch.cat([model(part).argmax(1) for part in x.split(500)]).eq(y).float().mean().item()


def main():
    torch.manual_seed(18)
    x_train, y_train = load_slice("data_batch_2.bin", 3500)
    x_test, y_test = load_slice("test_batch.bin", 1000)
    standardise = Standardise(x_train)
    model = make_model()
    fit(model, standardise(x_train), y_train)
    print(f"accuracy: {accuracy(model, standardise(x_test), y_test):.3f}")


if __name__ == "__main__":
    main()
