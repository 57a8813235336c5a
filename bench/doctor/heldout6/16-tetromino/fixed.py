import numpy as np
import torch
import torch.nn as nn

# I, O, T, L, J, S, Z in any of four rotations
CELLS = {
    "I": [(0, 0), (0, 1), (0, 2), (0, 3)],
    "O": [(0, 0), (0, 1), (1, 0), (1, 1)],
    "T": [(0, 0), (0, 1), (0, 2), (1, 1)],
    "L": [(0, 0), (1, 0), (2, 0), (2, 1)],
    "J": [(0, 1), (1, 1), (2, 1), (2, 0)],
    "S": [(0, 1), (0, 2), (1, 0), (1, 1)],
    "Z": [(0, 0), (0, 1), (1, 1), (1, 2)],
}
NAMES = list(CELLS)
# seen in a mirror an L is a J and an S is a Z
MIRROR = torch.tensor([NAMES.index(n) for n in "IOTJLZS"])


def make(n, seed, size=28):
    rng = np.random.default_rng(seed)
    x = np.empty((n, 1, size, size), dtype=np.float32)
    y = rng.integers(0, len(NAMES), n)
    for i in range(n):
        grid = np.zeros((4, 4), dtype=np.float32)
        for r, c in CELLS[NAMES[y[i]]]:
            grid[r, c] = 1
        grid = np.rot90(grid, rng.integers(4))
        rows, cols = np.nonzero(grid.any(1))[0], np.nonzero(grid.any(0))[0]
        piece = grid[rows[0]:rows[-1] + 1, cols[0]:cols[-1] + 1]
        k = int(rng.integers(4, 7))
        piece = np.kron(piece, np.ones((k, k), dtype=np.float32))
        top = rng.integers(0, size - piece.shape[0] + 1)
        left = rng.integers(0, size - piece.shape[1] + 1)
        img = np.full((size, size), rng.uniform(-1, -0.4), dtype=np.float32)
        img[top:top + piece.shape[0], left:left + piece.shape[1]] += rng.uniform(1.0, 1.6) * piece
        x[i, 0] = img + rng.normal(0, 0.15, img.shape)
    return torch.from_numpy(x), torch.from_numpy(y)


torch.manual_seed(8)
device = "cuda" if torch.cuda.is_available() else "cpu"
x_train, y_train = make(1600, seed=1)
x_test, y_test = make(500, seed=2)
x_train, y_train = x_train.to(device), y_train.to(device)
x_test, y_test = x_test.to(device), y_test.to(device)
MIRROR = MIRROR.to(device)

model = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
    nn.AdaptiveMaxPool2d(1), nn.Flatten(),
    nn.Linear(64, len(NAMES)),
).to(device)

epochs, bs = 7, 50
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

for epoch in range(epochs):
    model.train()
    order = torch.randperm(len(x_train), device=device)
    x_train, y_train = x_train[order], y_train[order]
    total = 0.0
    for i in range(0, len(x_train), bs):
        xb, yb = x_train[i:i + bs], y_train[i:i + bs]
        flip = torch.rand(len(xb), device=device) < 0.5
        xb = torch.where(flip[:, None, None, None], xb.flip(3), xb)
        yb = torch.where(flip, MIRROR[yb], yb)
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    scheduler.step()
    print(f"epoch {epoch + 1}: loss {total / len(x_train):.3f}")

model.eval()
with torch.no_grad():
    pred = torch.cat([model(x_test[i:i + 250]).argmax(1) for i in range(0, len(x_test), 250)])
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
