import os
import struct

import numpy as np
import torch
import torch.nn.functional as F


def cifar_records(fname, limit):
    size = 3073
    with open(fname, "rb") as f:
        for _ in range(limit):
            rec = f.read(size)
            label, = struct.unpack_from("B", rec)
            yield label, np.frombuffer(rec, np.uint8, offset=1).reshape(3, 32, 32)


def fake_records(seed, limit):
    r = np.random.default_rng(seed)
    for _ in range(limit):
        k = int(r.integers(10))
        im = r.integers(0, 120, (3, 32, 32))
        im[k % 3, 3 * k % 24:3 * k % 24 + 8] += 100
        yield k, im.astype(np.uint8)


def dataset(split, limit):
    base = os.environ.get("TENFOLD_DATA")
    if base:
        name = "data_batch_5.bin" if split == "train" else "test_batch.bin"
        recs = cifar_records(os.path.join(base, "cifar10", "cifar-10-batches-bin", name), limit)
    else:
        recs = fake_records(len(split), limit)
    labels, images = zip(*recs)
    x = torch.from_numpy(np.stack(images)).float().div(127.5).sub(1)
    y = torch.tensor(labels)
    living = (y >= 2) & (y <= 7)  # animals against vehicles
    return x, living.long()


class ConvNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.Conv2d(3, 16, 5, stride=2)
        self.b = torch.nn.Conv2d(16, 32, 5, stride=2)
        self.c = torch.nn.Linear(32 * 25, 64)
        self.d = torch.nn.Linear(64, 2)

    def forward(self, x):
        x = F.relu(self.a(x))
        x = F.relu(self.b(x))
        x = F.relu(self.c(x.flatten(1)))
        return self.d(x)


if __name__ == "__main__":
    torch.manual_seed(99)
    x, y = dataset("train", 3000)
    tx, ty = dataset("test", 1000)
    net = ConvNet()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(6):
        net.train()
        order, losses = torch.randperm(len(y)), []
        for i in range(0, len(y), 50):
            pick = order[i:i + 50]
            optimiser.zero_grad()
            loss = F.cross_entropy(net(x[pick]), y[pick])
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        print(epoch, "mean loss", np.mean(losses))
    net.eval()
    with torch.no_grad():
        hit = (net(tx).argmax(1) == ty).float().mean().item()
    print(f"accuracy: {hit:.3f}")
