import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--accumulate", type=int, default=4)
parser.add_argument("--micro-batch", type=int, default=16)
parser.add_argument("--epochs", type=int, default=5)
args = parser.parse_args()

torch.manual_seed(0)
protos = torch.randn(6, 3, 12, 12)
y = torch.randint(0, 6, (2048,))
x = protos[y] * 0.4 + torch.randn(2048, 3, 12, 12)
train_loader = DataLoader(TensorDataset(x[:1536], y[:1536]), batch_size=args.micro_batch, shuffle=True)
val_loader = DataLoader(TensorDataset(x[1536:], y[1536:]), batch_size=128)

model = nn.Sequential(
    nn.Conv2d(3, 16, 3),
    nn.GroupNorm(4, 16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(288, 6),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

for epoch in range(args.epochs):
    model.train()
    optimizer.zero_grad()
    for i, (inputs, labels) in enumerate(train_loader):
        loss = F.cross_entropy(model(inputs), labels) / args.accumulate
        loss.backward()
        if (i + 1) % args.accumulate == 0:
            optimizer.step()
            optimizer.zero_grad()
    print("epoch", epoch, "loss", loss.item() * args.accumulate)

model.eval()
with torch.no_grad():
    hits = sum((model(inputs).argmax(1) == labels).sum().item() for inputs, labels in val_loader)
print(f"accuracy: {hits / 512:.4f}")
