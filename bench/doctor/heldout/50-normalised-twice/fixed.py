import os
import pathlib

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


def load_images(n):
    """Float images in 0..1, channels first."""
    root = os.environ.get("TENFOLD_DATA")
    if root is None:
        rng = np.random.default_rng(0)
        y = rng.integers(0, 10, n)
        x = rng.uniform(0, 0.6, (n, 3, 32, 32))
        for i in range(n):
            x[i, :, 3 * y[i] : 3 * y[i] + 4, :] += 0.4 * rng.uniform(0.5, 1, (3, 1, 1))
    else:
        file = pathlib.Path(root) / "cifar10" / "cifar-10-batches-bin" / "data_batch_3.bin"
        raw = np.frombuffer(file.read_bytes()[: n * 3073], dtype=np.uint8).reshape(n, 3073)
        x, y = raw[:, 1:].reshape(n, 3, 32, 32) / 255.0, raw[:, 0]
    return x.astype(np.float32), y.astype(np.int64)


class ImageSet(Dataset):
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    std = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)

    def __init__(self, images, labels, flip):
        self.images, self.labels, self.flip = images, labels, flip

    def transform(self, image):
        t = torch.from_numpy(image)
        if self.flip and torch.rand(1).item() < 0.5:
            t = torch.flip(t, [2])
        return (t - self.mean) / self.std

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), self.labels[i]


def vgg(cfg=(16, "M", 32, "M", 64, "M"), n_classes=10):
    layers, c = [], 3
    for v in cfg:
        if v == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(c, v, 3, padding=1), nn.ReLU(True)]
            c = v
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(c * 16, n_classes))


def main():
    torch.manual_seed(88)
    x, y = load_images(3000)
    train = DataLoader(ImageSet(x[:2500], y[:2500], True), batch_size=50, shuffle=True)
    val = DataLoader(ImageSet(x[2500:], y[2500:], False), batch_size=250)
    model = vgg()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, weight_decay=5e-4)
    ce = nn.CrossEntropyLoss()
    for epoch in range(10):
        model.train()
        for xb, yb in train:
            optimizer.zero_grad()
            loss = ce(model(xb), yb)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            acc = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in val) / 500
        print(f"epoch {epoch + 1:2d}: loss {loss.item():.3f}, val acc {acc:.3f}")
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
