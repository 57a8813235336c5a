import os

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def cifar(part, n):
    path = os.path.join(os.environ.get("TENFOLD_DATA", "."), "cifar10/cifar-10-batches-bin/data_batch_%d.bin" % part)
    if os.path.exists(path):
        a = np.fromfile(path, np.uint8, n * 3073).reshape(n, 3073)
        return torch.from_numpy(a[:, 1:].reshape(n, 3, 32, 32).astype(np.float32)), torch.from_numpy(
            a[:, 0].astype(np.int64)
        )
    rng = np.random.RandomState(part)
    y = rng.randint(0, 10, n)
    x = np.clip(rng.randn(n, 3, 32, 32) * 40 + 20 * y[:, None, None, None], 0, 255).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


def main(epochs=6, batch_size=64, max_lr=0.01):
    torch.manual_seed(0)
    (x, y), (xv, yv) = cifar(1, 3000), cifar(2, 1000)
    x, xv = (x - 121) / 63, (xv - 121) / 63
    loader = DataLoader(TensorDataset(x, y), batch_size, shuffle=True, drop_last=True)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, 2, 1, bias=False),
        nn.BatchNorm2d(16),
        nn.GELU(),
        nn.Conv2d(16, 32, 3, 2, 1, bias=False),
        nn.BatchNorm2d(32),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=max_lr, weight_decay=1e-2)
    scheduler = OneCycleLR(optimizer, max_lr=max_lr, epochs=epochs, steps_per_epoch=len(loader))
    for epoch in range(epochs):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(model(xb), yb)
            loss.backward()
            optimizer.step()
            scheduler.step()
        print(f"epoch {epoch} lr {scheduler.get_last_lr()[0]:.5f} loss {loss.item():.3f}")
    model.eval()
    with torch.inference_mode():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
