"""Port of an old TF1 CIFAR script: same layers, same hyper-parameters."""
import os

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

HPARAMS = dict(
    filters=(16, 32, 48),
    dense=96,
    keep_conv=0.95,
    keep_dense=0.8,
    learning_rate=2e-3,
    batch_size=50,
    num_epochs=7,
    train_size=2500,
    eval_size=1000,
)


class CifarBin(Dataset):
    mean = np.float32([125.3, 123.0, 113.9]).reshape(3, 1, 1)
    std = np.float32([63.0, 62.1, 66.7]).reshape(3, 1, 1)

    def __init__(self, name, size):
        path = os.path.join(os.environ["TENFOLD_DATA"], "cifar10", "cifar-10-batches-bin", name)
        self.records = np.fromfile(path, np.uint8, 3073 * size).reshape(size, 3073)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, i):
        pixels = self.records[i, 1:].reshape(3, 32, 32).astype(np.float32)
        return torch.from_numpy((pixels - self.mean) / self.std), int(self.records[i, 0])


def conv_layer(cin, cout, keep):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Dropout2d(1 - keep),
    )


def dense_layer(fin, fout, keep):
    return nn.Sequential(
        nn.Linear(fin, fout),
        nn.ReLU(),
        nn.Dropout(1 - keep),
    )


class Model(nn.Module):
    def __init__(self, hp):
        super().__init__()
        f1, f2, f3 = hp["filters"]
        self.conv = nn.Sequential(
            conv_layer(3, f1, hp["keep_conv"]),
            conv_layer(f1, f2, hp["keep_conv"]),
            conv_layer(f2, f3, hp["keep_conv"]),
        )
        self.dense = dense_layer(f3 * 16, hp["dense"], hp["keep_dense"])
        self.logits = nn.Linear(hp["dense"], 10)

    def forward(self, images):
        return self.logits(self.dense(self.conv(images).flatten(1)))


def train_step(model, optimizer, images, labels):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


def evaluate(model, data):
    model.eval()
    correct = 0
    with torch.no_grad():
        for images, labels in data:
            correct += (model(images).argmax(dim=1) == labels).sum().item()
    return correct / len(data.dataset)


def main(hp):
    torch.manual_seed(1234)
    train_data = DataLoader(CifarBin("data_batch_4.bin", hp["train_size"]), hp["batch_size"], shuffle=True)
    eval_data = DataLoader(CifarBin("test_batch.bin", hp["eval_size"]), hp["batch_size"])
    model = Model(hp)
    optimizer = torch.optim.Adam(model.parameters(), lr=hp["learning_rate"])
    for epoch in range(hp["num_epochs"]):
        model.train()
        losses = [train_step(model, optimizer, images, labels) for images, labels in train_data]
        print("epoch %d: training loss %.3f" % (epoch + 1, np.mean(losses)))
    print("accuracy: %.3f" % evaluate(model, eval_data))


if __name__ == "__main__":
    main(HPARAMS)
