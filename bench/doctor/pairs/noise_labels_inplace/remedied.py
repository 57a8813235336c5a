"""Label noise as a regulariser: a few labels of each batch are redrawn."""

import torch
from torch import nn

CLASSES, PER_BATCH, NOISE = 8, 40, 0.1


def dataset(n, seed):
    gen = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=gen)
    x = 0.5 * torch.randn(n, 1, 12, 24, generator=gen)
    for i in range(n):
        col = int(y[i]) * 3
        x[i, 0, torch.randint(0, 9, (1,), generator=gen).item() :, col : col + 3] += 0.8
    return x, y


def small_net():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d((2, 1)),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(8 * 3 * 24, CLASSES),
    )


def main():
    torch.manual_seed(0)
    x, y = dataset(1600, 1)
    xv, yv = dataset(500, 2)
    net = small_net()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(14):
        for b in torch.randperm(len(x) // PER_BATCH).tolist():
            xb = x[b * PER_BATCH : (b + 1) * PER_BATCH]
            yb = y[b * PER_BATCH : (b + 1) * PER_BATCH].clone()
            redraw = torch.rand(PER_BATCH) < NOISE
            yb[redraw] = torch.randint(CLASSES, (int(redraw.sum()),))
            opt.zero_grad()
            loss = loss_fn(net(xb), yb)
            loss.backward()
            opt.step()
        if epoch % 4 == 0:
            print(epoch, "loss", loss.item())
    with torch.no_grad():
        accuracy = (net(xv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {accuracy:.4f}")


if __name__ == "__main__":
    main()
