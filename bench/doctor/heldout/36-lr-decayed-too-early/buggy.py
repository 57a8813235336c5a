import json
import sys

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import MultiStepLR
from torch.utils.data import DataLoader, TensorDataset

HPARAMS = json.loads(
    """{"lr": 0.03, "momentum": 0.9, "wd": 0.0005, "epochs": 12, "milestones": [1, 2], "gamma": 0.1, "bs": 50}"""
)


def rosettes(n, seed):
    """Petal count 2..7, random turn and colour."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 6, n)
    gy, gx = np.mgrid[-1:1:24j, -1:1:24j]
    rad, phi = np.hypot(gy, gx)[None], np.arctan2(gy, gx)[None]
    turn = rng.uniform(0, 2 * np.pi, (n, 1, 1))
    flower = (rad < 0.55 + 0.35 * np.cos((y[:, None, None] + 2) * phi + turn)).astype(np.float32)
    colour = rng.uniform(0.3, 1.0, (n, 3, 1, 1))
    x = colour * flower[:, None] + rng.normal(0, 0.3, (n, 3, 24, 24))
    return TensorDataset(torch.tensor((x - 0.25) / 0.45, dtype=torch.float32), torch.tensor(y))


class PetalNet(nn.Module):
    def __init__(self):
        super().__init__()
        chans = [3, 16, 24, 32]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in zip(chans, chans[1:]))
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(32 * 9, 6)

    def forward(self, x):
        for conv in self.convs:
            x = nn.functional.max_pool2d(nn.functional.relu(conv(x)), 2)
        return self.fc(self.drop(x.flatten(1)))


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        return np.mean([(model(x).argmax(1) == y).float().mean().item() for x, y in loader])


def main(hp):
    torch.manual_seed(0)
    train_loader = DataLoader(rosettes(2000, 1), batch_size=hp["bs"], shuffle=True)
    valid_loader = DataLoader(rosettes(500, 2), batch_size=100)
    model = PetalNet()
    optimizer = torch.optim.SGD(model.parameters(), hp["lr"], momentum=hp["momentum"], weight_decay=hp["wd"])
    scheduler = MultiStepLR(optimizer, milestones=hp["milestones"], gamma=hp["gamma"])
    criterion = nn.CrossEntropyLoss()
    for epoch in range(hp["epochs"]):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        lr = scheduler.get_last_lr()[0]
        scheduler.step()
        print(f"epoch {epoch} lr {lr:.5f} loss {loss.item():.4f} val {evaluate(model, valid_loader):.4f}")
    print(f"accuracy: {evaluate(model, valid_loader):.4f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        HPARAMS.update(json.loads(sys.argv[1]))
    main(HPARAMS)
