"""config-driven builder, as in the group's other repos"""
import json

import torch
import torch.nn as nn

SPEC = json.loads("""
{
  "layers": [
    {"type": "conv", "in": 3, "out": 12, "k": 3, "s": 1},
    {"type": "relu"},
    {"type": "pool", "k": 2},
    {"type": "conv", "in": 12, "out": 24, "k": 3, "s": 1},
    {"type": "relu"},
    {"type": "pool", "k": 4},
    {"type": "flatten"}
  ],
  "optim": {"lr": 0.05, "momentum": 0.9},
  "batch": 40,
  "epochs": 8
}
""")


def build(spec):
    make = {
        "conv": lambda d: nn.Conv2d(d["in"], d["out"], d["k"], d["s"], padding=d["k"] // 2),
        "relu": lambda d: nn.ReLU(),
        "pool": lambda d: nn.AvgPool2d(d["k"]),
        "flatten": lambda d: nn.Flatten(),
    }
    body = nn.Sequential(*(make[d["type"]](d) for d in spec["layers"]))
    with torch.no_grad():
        width = body(torch.zeros(1, 3, 32, 32)).shape[1]
    return nn.Sequential(body, nn.Linear(width, 5))


def tiles(n):
    """Which cell of a coarse plus-shaped layout holds the rough tile: top, bottom, left, right, middle?"""
    y = torch.randint(0, 5, (n,))
    x = 0.3 * torch.randn(n, 3, 32, 32)
    pos = [(2, 11), (20, 11), (11, 2), (11, 20), (11, 11)]
    check = ((torch.arange(10).view(-1, 1) + torch.arange(10)) % 2 * 2 - 1).float()
    for i in range(n):
        for k, (a, b) in enumerate(pos):
            a, b = a + int(torch.randint(-1, 2, (1,))), b + int(torch.randint(-1, 2, (1,)))
            if k == y[i]:
                x[i, :, a:a + 10, b:b + 10] += 0.45 * check * torch.rand(3, 1, 1)
            else:
                x[i, :, a:a + 10, b:b + 10] += 0.25 * torch.randn(3, 10, 10)
    return x, y


def main(spec):
    torch.manual_seed(0)
    (x, y), (tx, ty) = tiles(1000), tiles(400)
    net = build(spec)
    opt = torch.optim.SGD(net.parameters(), **spec["optim"])
    for epoch in range(spec["epochs"]):
        net.train()
        total = 0.0
        for idx in torch.randperm(len(y)).split(spec["batch"]):
            opt.zero_grad()
            loss = nn.functional.cross_entropy(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        print("epoch", epoch, "loss", round(total / len(y), 3))
    net.eval()
    with torch.no_grad():
        print(f"accuracy: {(net(tx).argmax(1) == ty).float().mean():.3f}")


main(SPEC)
