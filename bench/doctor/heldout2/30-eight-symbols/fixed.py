import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
symbols = """
#####  ..#..  #...#  #####  ..#..  #####  #...#  #.#.#
#...#  ..#..  .#.#.  ..#..  .#.#.  ....#  #...#  .#.#.
#...#  #####  ..#..  ..#..  #...#  #####  #####  #.#.#
#...#  ..#..  .#.#.  ..#..  .#.#.  #....  #...#  .#.#.
#####  ..#..  #...#  ..#..  ..#..  #####  #...#  #.#.#
""".split()
bitmaps = torch.tensor([[[c == "#" for c in symbols[8 * r + s]] for r in range(5)] for s in range(8)]).float()


def sample(n):
    y = torch.randint(8, (n,))
    x = 0.7 * torch.randn(n, 1, 16, 16)
    for i in range(n):
        a, b = torch.randint(7, (2,)).tolist()
        x[i, 0, a : a + 10, b : b + 10] += bitmaps[y[i]].repeat_interleave(2, 0).repeat_interleave(2, 1)
    return TensorDataset((x - 0.2) / 0.8, y)


train_dl = DataLoader(sample(1600), batch_size=32, shuffle=True)
valid_dl = DataLoader(sample(400), batch_size=8)

model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * 4 * 4, 8),
)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_func = nn.CrossEntropyLoss()


def accuracy(out, yb):
    preds = torch.argmax(out, dim=1)
    return (preds == yb).float().mean()


for epoch in range(6):
    model.train()
    for xb, yb in train_dl:
        loss = loss_func(model(xb), yb)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    model.eval()
    with torch.no_grad():
        out = [(model(xb), yb) for xb, yb in valid_dl]
    valid_loss = sum(loss_func(o, yb) for o, yb in out) / len(out)
    valid_acc = sum(accuracy(o, yb) for o, yb in out) / len(out)
    print(epoch, f"{valid_loss.item():.4f}", f"{valid_acc.item():.3f}")

print(f"accuracy: {valid_acc.item():.3f}")
