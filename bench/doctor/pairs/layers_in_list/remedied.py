import torch
import torch.nn as nn
import torch.nn.functional as F


class DeepNet(nn.Module):
    """Stack of 3x3 convolutions, every second one with stride 2."""

    def __init__(self, depth=4, width=12, num_classes=6):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.blocks = nn.ModuleList([nn.Conv2d(width, width, 3, stride=1 + i % 2, padding=1) for i in range(depth)])
        self.head = nn.Linear(width * 16, num_classes)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for conv in self.blocks:
            x = F.relu(conv(x))
        return self.head(x.flatten(1))


def letters(n, gen):
    """Six 5x5 glyphs pasted somewhere on 16x16 noise."""
    glyphs = torch.tensor(
        [
            [0x1F, 0x10, 0x1E, 0x10, 0x1F],
            [0x1F, 0x04, 0x04, 0x04, 0x04],
            [0x11, 0x11, 0x1F, 0x11, 0x11],
            [0x10, 0x10, 0x10, 0x10, 0x1F],
            [0x11, 0x0A, 0x04, 0x0A, 0x11],
            [0x1F, 0x11, 0x11, 0x11, 0x1F],
        ]
    )
    bits = (glyphs[:, :, None] >> torch.arange(4, -1, -1)) & 1
    y = torch.randint(0, 6, (n,), generator=gen)
    x = torch.randn(n, 1, 16, 16, generator=gen) * 0.3
    pos = torch.randint(0, 11, (n, 2), generator=gen)
    for k in range(n):
        r, c = pos[k]
        x[k, 0, r : r + 5, c : c + 5] += bits[y[k]] * 1.5
    return x, y


def main(epochs=8, batch=40, lr=3e-3):
    gen = torch.Generator().manual_seed(123)
    torch.manual_seed(123)
    xtr, ytr = letters(2400, gen)
    xte, yte = letters(600, gen)
    model = DeepNet()
    optim = torch.optim.Adam(model.parameters(), lr=lr)
    for epoch in range(epochs):
        for idx in torch.randperm(len(xtr)).split(batch):
            loss = F.cross_entropy(model(xtr[idx]), ytr[idx])
            optim.zero_grad()
            loss.backward()
            optim.step()
        print(epoch, loss.item())
    with torch.no_grad():
        acc = (model(xte).argmax(1) == yte).float().mean()
    print(f"accuracy: {acc.item():.4f}")


if __name__ == "__main__":
    main()
