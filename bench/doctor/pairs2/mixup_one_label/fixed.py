"""mixup on small texture images"""
import numpy as np
import torch
import torch.nn as nn


def mixup(x, y, alpha, rng):
    lam = float(rng.beta(alpha, alpha))
    index = torch.as_tensor(rng.permutation(len(x)))
    mixed = lam * x + (1 - lam) * x[index]
    return mixed, y, y[index], lam


def mixup_loss(criterion, out, y_a, y_b, lam):
    return lam * criterion(out, y_a) + (1 - lam) * criterion(out, y_b)


def textures(n, rng):
    y = rng.integers(0, 6, n)
    x = rng.normal(0, 1, (n, 1, 22, 22)).astype(np.float32)
    t = torch.from_numpy(x)
    kernels = torch.zeros(6, 1, 5, 5)
    kernels[0, 0, 2, :] = kernels[1, 0, :, 2] = 1
    kernels[2, 0] = torch.eye(5)
    kernels[3, 0] = torch.eye(5).flip(0)
    kernels[4, 0, 1:4, 1:4] = 0.6
    kernels[5, 0, ::2, ::2] = 0.75
    all_six = nn.functional.conv2d(t, kernels)
    out = all_six[torch.arange(n), torch.from_numpy(y)].unsqueeze(1) / 2.2
    return out + 0.9 * torch.randn(out.shape), torch.from_numpy(y)


def main():
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    train_x, train_y = textures(1200, rng)
    test_x, test_y = textures(600, rng)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 6))
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(12):
        model.train()
        losses = []
        for idx in torch.randperm(1200).chunk(24):
            mixed, y_a, y_b, lam = mixup(train_x[idx], train_y[idx], 0.4, rng)
            loss = mixup_loss(criterion, model(mixed), y_a, y_b, lam)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print("epoch", epoch, "loss", np.mean(losses).round(3))
    model.eval()
    with torch.no_grad():
        print("accuracy: %.3f" % (model(test_x).argmax(1) == test_y).float().mean())


if __name__ == "__main__":
    main()
