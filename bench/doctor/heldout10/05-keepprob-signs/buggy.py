# Traffic-sign toy benchmark.
# Originally tf.contrib.slim (2017); moved to PyTorch by hand, hyper-parameters as in the old config.
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn, optim

config = {
    "data": {"size": 28, "train": 1600, "val": 400, "supersample": 2},
    "net": {"filters": [16, 32, 48], "hidden": 128, "keep_prob": 0.9},
    "fit": {"lr": 1e-3, "batch": 50, "epochs": 6},
}

SHAPES = ("disc", "triangle", "inverted", "square")
MARKS = ("bar", "arrow")
NUM = len(SHAPES) * len(MARKS)


def poly(cx, cy, r, k, rot):
    a = rot + 2 * np.pi * np.arange(k) / k
    return [(float(cx + r * np.cos(t)), float(cy + r * np.sin(t))) for t in a]


def draw_sign(cls, rs, size, ss):
    shape, mark = SHAPES[cls // 2], MARKS[cls % 2]
    S = size * ss
    bg = tuple(int(v) for v in rs.randint(40, 200, 3))
    im = Image.new("RGB", (S, S), bg)
    d = ImageDraw.Draw(im)
    cx, cy = S / 2 + rs.uniform(-3, 3) * ss, S / 2 + rs.uniform(-3, 3) * ss
    r = rs.uniform(8.5, 11.5) * ss
    tilt = rs.normal(0, 0.1)
    face = tuple(int(v) for v in rs.randint(150, 256, 3))
    rim = (int(rs.randint(140, 220)), int(rs.randint(0, 50)), int(rs.randint(0, 50)))
    pts = {
        "disc": lambda: poly(cx, cy, r, 40, 0),
        "triangle": lambda: poly(cx, cy, r * 1.1, 3, -np.pi / 2 + tilt),
        "inverted": lambda: poly(cx, cy, r * 1.1, 3, np.pi / 2 + tilt),
        "square": lambda: poly(cx, cy, r, 4, np.pi / 4 + tilt),
    }[shape]()
    d.polygon(pts, fill=face, outline=rim)
    w = r * 0.38
    ink = tuple(int(v) for v in rs.randint(0, 60, 3))
    if mark == "bar":
        d.rectangle([cx - w, cy - 2 * ss, cx + w, cy + 2 * ss], fill=ink)
    else:
        d.line([(cx, cy + w), (cx, cy - w)], fill=ink, width=2 * ss)
        d.line([(cx - w, cy), (cx, cy - w), (cx + w, cy)], fill=ink, width=2 * ss)
    im = im.resize((size, size), Image.BILINEAR)
    arr = np.asarray(im, dtype=np.float32) / 255
    return arr + rs.normal(0, 0.05, arr.shape).astype(np.float32)


def dataset(count, seed):
    rs = np.random.RandomState(seed)
    c = config["data"]
    labels = rs.randint(0, NUM, count)
    images = np.stack([draw_sign(k, rs, c["size"], c["supersample"]) for k in labels])
    images = (images - 0.47) / 0.24
    return torch.as_tensor(images.transpose(0, 3, 1, 2).copy()), torch.as_tensor(labels)


def fully_connected(i, o, keep_prob):
    return [nn.Linear(i, o), nn.ReLU(), nn.Dropout(keep_prob)]


def conv(i, o):
    return [nn.Conv2d(i, o, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]


def sign_net(filters, hidden, keep_prob):
    stack, prev = [], 3
    for f in filters:
        stack += conv(prev, f)
        prev = f
    side = config["data"]["size"] // 2 ** len(filters)
    return nn.Sequential(
        *stack,
        nn.Flatten(),
        *fully_connected(prev * side * side, hidden, keep_prob),
        *fully_connected(hidden, hidden, keep_prob),
        nn.Linear(hidden, NUM),
    )


def evaluate(net, X, Y):
    net.eval()
    with torch.no_grad():
        p = net(X).argmax(1)
    return (p == Y).double().mean().item()


torch.manual_seed(2017)
Xtr, Ytr = dataset(config["data"]["train"], 1)
Xva, Yva = dataset(config["data"]["val"], 2)
net = sign_net(**config["net"])
opt = optim.Adam(net.parameters(), lr=config["fit"]["lr"])
ce = nn.CrossEntropyLoss()
bs = config["fit"]["batch"]

step = 0
for epoch in range(config["fit"]["epochs"]):
    perm = torch.randperm(len(Xtr))
    net.train()
    for j in range(0, len(Xtr), bs):
        idx = perm[j:j + bs]
        loss = ce(net(Xtr[idx]), Ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 16 == 0:
            print("step %4d   loss %.4f" % (step, loss.item()))
        step += 1
    print("--- epoch %d   val accuracy %.3f" % (epoch + 1, evaluate(net, Xva, Yva)))

print("done. accuracy on validation signs: %.4f" % evaluate(net, Xva, Yva))
