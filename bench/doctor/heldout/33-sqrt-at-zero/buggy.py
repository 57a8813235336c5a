import numpy as np
import torch
import torch.nn as nn

from layers import Stem


class StatPool(nn.Module):
    """Mean and standard deviation of each channel over the map."""

    def forward(self, x):
        mean = x.mean(dim=(2, 3))
        var = x.var(dim=(2, 3), unbiased=False)
        return torch.cat([mean, torch.sqrt(var)], dim=1)


class TextureNet(nn.Module):
    def __init__(self, classes, width=12):
        super().__init__()
        self.stem = Stem(1, width)
        self.pool = StatPool()
        self.fc = nn.Linear(4 * width, classes)

    def forward(self, x):
        return self.fc(self.pool(self.stem(x)))


def noise_textures(n, rng):
    """White noise smoothed in one of four directions, or a blank tile."""
    y = rng.integers(0, 5, n)
    x = rng.normal(size=(n, 26, 26))
    out = np.empty((n, 1, 20, 20), dtype=np.float32)
    for i in range(n):
        im = x[i]
        if y[i] == 0:
            im = np.zeros_like(im)
        elif y[i] == 1:
            im = im + np.roll(im, 1, 0) + np.roll(im, 2, 0)
        elif y[i] == 2:
            im = im + np.roll(im, 1, 1) + np.roll(im, 2, 1)
        elif y[i] == 3:
            im = im + np.roll(im, (1, 1), (0, 1)) + np.roll(im, (2, 2), (0, 1))
        elif y[i] == 4:
            im = im + np.roll(im, (1, -1), (0, 1)) + np.roll(im, (2, -2), (0, 1))
        im = im[3:23, 3:23]
        out[i, 0] = im / max(im.std(), 1e-6)
    return torch.from_numpy(out), torch.from_numpy(y)


def main():
    torch.manual_seed(77)
    rng = np.random.default_rng(77)
    tr_x, tr_y = noise_textures(1500, rng)
    te_x, te_y = noise_textures(500, rng)
    model = TextureNet(5)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    lf = nn.CrossEntropyLoss()
    for epoch in range(1, 8):
        model.train()
        for idx in np.array_split(rng.permutation(1500), 50):
            loss = lf(model(tr_x[idx]), tr_y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"Epoch {epoch:02d} | loss {loss.item():.4f}")
    model.eval()
    with torch.no_grad():
        acc = (model(te_x).argmax(dim=1) == te_y).float().mean().item()
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
