# Fabric inspection: which weave is on the loom?  (twill left, twill right, plain, satin)
import numpy as np
import torch
from torch import nn

CFG = {
    "seed": 77,
    "image": 40,
    "n_train": 1200,
    "n_test": 400,
    "net": {
        "widths": [16, 24, 32],
        "activation": "swish",
        "norm": True,
    },
    "optim": {"name": "rmsprop", "lr": 1.5e-3, "steps": 220, "batch": 50},
}

ACTIVATIONS = {"relu": nn.ReLU, "silu": nn.SiLU, "gelu": nn.GELU, "elu": nn.ELU}


def activation(name):
    return ACTIVATIONS.get(name, nn.Identity)()


def weave(label, size, rng):
    i, j = np.mgrid[:size, :size]
    i, j = i + rng.integers(0, 16), j + rng.integers(0, 16)
    p = rng.uniform(4.5, 7.0)
    wave = {
        0: lambda: np.sin(2 * np.pi * (i + j) / p),
        1: lambda: np.sin(2 * np.pi * (i - j) / p),
        2: lambda: np.sin(2 * np.pi * i / p) * np.sin(2 * np.pi * j / p) * 1.4,
        3: lambda: np.sin(2 * np.pi * (i + 0.25 * j) / p),
    }[label]()
    light = rng.uniform(-0.3, 0.3) + rng.uniform(0.7, 1.1) * wave
    return light + rng.normal(0, 0.7, (size, size))


def make_split(n, size, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    rng.shuffle(labels)
    cloth = np.stack([weave(int(k), size, rng) for k in labels]).astype("float32")
    return torch.from_numpy(cloth)[:, None], torch.from_numpy(labels)


def build(net_cfg, classes):
    layers, c = [], 1
    for w in net_cfg["widths"]:
        layers.append(nn.Conv2d(c, w, 3, stride=2, padding=1, bias=not net_cfg["norm"]))
        if net_cfg["norm"]:
            layers.append(nn.BatchNorm2d(w))
        layers.append(activation(net_cfg["activation"]))
        c = w
    layers += [nn.AvgPool2d(5), nn.Flatten(), nn.Linear(c, classes), nn.LogSoftmax(dim=1)]
    return nn.Sequential(*layers)


def optimizer_from(cfg, params):
    kinds = {"rmsprop": torch.optim.RMSprop, "adam": torch.optim.Adam}
    return kinds[cfg["name"]](params, lr=cfg["lr"])


def endless(x, y, batch):
    while True:
        order = torch.randperm(len(x))
        for k in range(0, len(x) - batch + 1, batch):
            pick = order[k:k + batch]
            yield x[pick], y[pick]


torch.manual_seed(CFG["seed"])
x_train, y_train = make_split(CFG["n_train"], CFG["image"], 300)
x_test, y_test = make_split(CFG["n_test"], CFG["image"], 301)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

net = build(CFG["net"], 4)
opt = optimizer_from(CFG["optim"], net.parameters())
nll = nn.NLLLoss()

net.train()
stream = endless(x_train, y_train, CFG["optim"]["batch"])
history = []
for step in range(1, CFG["optim"]["steps"] + 1):
    xb, yb = next(stream)
    loss = nll(net(xb), yb)
    opt.zero_grad()
    loss.backward()
    opt.step()
    history.append(loss.item())
    if step % 55 == 0:
        print("step %4d   nll %.3f" % (step, sum(history[-55:]) / 55))

net.eval()
with torch.no_grad():
    guess = torch.cat([net(part).argmax(1) for part in x_test.split(100)])
print("accuracy", (guess == y_test).float().mean().item())
