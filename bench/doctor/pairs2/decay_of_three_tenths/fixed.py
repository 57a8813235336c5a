from collections import OrderedDict

import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

HYPER = dict(lr=0.02, momentum=0.9,
             weight_decay=5e-4)


class Stream(IterableDataset):
    """Endless supply of bars: how thick is the bar (5 classes)?"""

    def __init__(self, length, seed):
        self.length, self.gen = length, torch.Generator().manual_seed(seed)

    def __iter__(self):
        for _ in range(self.length):
            k = int(torch.randint(0, 5, (1,), generator=self.gen))
            img = 0.5 * torch.randn(1, 20, 20, generator=self.gen)
            at = int(torch.randint(1, 20 - 2 * (k + 1), (1,), generator=self.gen))
            sl = slice(at, at + 2 * (k + 1) - 1)
            if torch.rand(1, generator=self.gen) < 0.5:
                img[:, sl] += 1
            else:
                img[:, :, sl] += 1
            yield img - 0.2, k


def net():
    return nn.Sequential(OrderedDict(
        conv1=nn.Conv2d(1, 12, 3), relu1=nn.ReLU(), pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(12, 24, 3), relu2=nn.ReLU(), flat=nn.Flatten(),
        fc1=nn.Linear(24 * 49, 40), relu3=nn.ReLU(), fc2=nn.Linear(40, 5)))


if __name__ == "__main__":
    torch.manual_seed(0)
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), **HYPER)
    loss_fn = nn.CrossEntropyLoss()
    model.train()
    smooth = None
    for step, (x, y) in enumerate(DataLoader(Stream(10000, 1), batch_size=50)):
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if step % 40 == 39:
            print("step", step + 1, "loss", round(smooth, 3))
    model.eval()
    hits, total = 0, 0
    with torch.no_grad():
        for x, y in DataLoader(Stream(600, 2), batch_size=100):
            hits += (model(x).argmax(1) == y).sum().item()
            total += len(y)
    print(f"accuracy: {hits / total:.3f}")
