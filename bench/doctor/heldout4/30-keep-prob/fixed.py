"""PyTorch version of our old TensorFlow 1 CIFAR demo (same layers, same hyper-parameters)."""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

FLAGS = {
    "learning_rate": 1e-3,
    "keep_prob": 0.9,
    "batch_size": 32,
    "num_epochs": 5,
    "num_train": 2560,
    "num_test": 1000,
}


def fake_cifar(count):
    """Used on machines without the data: ten colour / direction combinations."""
    rng = np.random.RandomState(3)
    labels = rng.randint(0, 10, count)
    yy, xx = np.mgrid[:32, :32]
    images = np.zeros((count, 3, 32, 32), np.float32)
    for i, k in enumerate(labels):
        angle = (k % 5) * np.pi / 5 + 0.1 * rng.randn()
        wave = np.sin(0.6 * (xx * np.cos(angle) + yy * np.sin(angle)) + rng.uniform(0, 6.28))
        tint = np.array([1.0, 0.3, 0.3]) if k < 5 else np.array([0.3, 0.3, 1.0])
        images[i] = 120 + 30 * tint[:, None, None] * wave + 35 * rng.randn(3, 32, 32)
    return images.clip(0, 255), labels


def read_cifar(count):
    path = os.environ.get("TENFOLD_DATA", "data") + "/cifar10/cifar-10-batches-bin/data_batch_1.bin"
    try:
        raw = np.fromfile(path, np.uint8, count * 3073).reshape(count, 3073)
    except FileNotFoundError:
        return fake_cifar(count)
    return raw[:, 1:].reshape(count, 3, 32, 32).astype(np.float32), raw[:, 0]


def inference(keep_prob, num_classes=10):
    dropout = nn.Dropout(1 - keep_prob)
    return nn.Sequential(
        nn.Conv2d(3, 24, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        dropout,
        nn.Conv2d(24, 48, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        dropout,
        nn.Flatten(),
        nn.Linear(48 * 4 * 4, 96),
        nn.ReLU(),
        dropout,
        nn.Linear(96, num_classes),
    )


def training(model, loader):
    optimizer = torch.optim.Adam(model.parameters(), lr=FLAGS["learning_rate"])
    for epoch in range(FLAGS["num_epochs"]):
        model.train()
        loss_value, hits, seen = 0.0, 0, 0
        for images, labels in loader:
            logits = model(images)
            loss = nn.functional.cross_entropy(logits, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss_value += loss.item() * len(labels)
            hits += (logits.argmax(1) == labels).sum().item()
            seen += len(labels)
        print("Epoch %d: loss = %.3f, train precision = %.3f" % (epoch, loss_value / seen, hits / seen))


def evaluation(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in loader:
            correct += (model(images).argmax(1) == labels).sum().item()
    return correct / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(1234)
    n = FLAGS["num_train"]
    images, labels = read_cifar(n + FLAGS["num_test"])
    mean = images[:n].mean(axis=(0, 2, 3), keepdims=True)
    std = images[:n].std(axis=(0, 2, 3), keepdims=True)
    images = torch.from_numpy(((images - mean) / std).astype(np.float32))
    labels = torch.from_numpy(labels.astype(np.int64))
    train_loader = DataLoader(TensorDataset(images[:n], labels[:n]), batch_size=FLAGS["batch_size"], shuffle=True)
    test_loader = DataLoader(TensorDataset(images[n:], labels[n:]), batch_size=250)
    net = inference(FLAGS["keep_prob"])
    training(net, train_loader)
    print("accuracy: %.3f" % evaluation(net, test_loader))
