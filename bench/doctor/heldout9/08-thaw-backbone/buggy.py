"""Transfer from a simple source task to scribbled glyphs: train the head first, then the whole net."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

GLYPHS = {
    0: [(0, 0), (2, 0), (2, 2)], 1: [(0, 0), (0, 2), (2, 2)], 2: [(0, 0), (2, 2), (2, 0)],
    3: [(0, 2), (1, 0), (2, 2)], 4: [(0, 0), (1, 2), (2, 0)], 5: [(0, 1), (2, 1), (2, 2)],
    6: [(0, 0), (2, 0), (0, 2), (2, 2)], 7: [(2, 0), (0, 0), (2, 2), (0, 2)],
    8: [(0, 0), (0, 2), (2, 0), (2, 2)], 9: [(1, 0), (1, 2), (2, 1)],
}


def glyph(label, rng):
    img = Image.new("L", (56, 56), 0)
    d = ImageDraw.Draw(img)
    ox, oy = rng.uniform(8, 16, 2)
    sx, sy = rng.uniform(12, 16, 2)
    pts = [(ox + sx * (x + rng.normal(0, 0.11)), oy + sy * (y + rng.normal(0, 0.11))) for x, y in GLYPHS[label]]
    d.line(pts, fill=int(rng.integers(150, 256)), width=int(rng.integers(3, 6)), joint="curve")
    return np.asarray(img.resize((28, 28), Image.BILINEAR), dtype=np.float32) / 255


def stroke(label, rng):
    """Source task: a single line in one of four orientations, solid."""
    img = Image.new("L", (56, 56), 0)
    d = ImageDraw.Draw(img)
    t = label * np.pi / 4 + rng.uniform(-0.25, 0.25)
    cx, cy = rng.uniform(20, 36, 2)
    r = rng.uniform(12, 20)
    d.line([cx - r * np.cos(t), cy - r * np.sin(t), cx + r * np.cos(t), cy + r * np.sin(t)],
           fill=int(rng.integers(150, 256)), width=int(rng.integers(3, 7)))
    return np.asarray(img.resize((28, 28), Image.BILINEAR), dtype=np.float32) / 255


def make(draw, classes, n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, n)
    x = np.stack([draw(k, rng) for k in y])[:, None]
    x = x + rng.normal(0, 0.1, x.shape)
    return torch.tensor((x - 0.1) / 0.25, dtype=torch.float32), torch.tensor(y)


def separable(c_in, c_out, stride):
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, stride, 1, groups=c_in, bias=False), nn.BatchNorm2d(c_in), nn.ReLU(),
        nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(),
    )


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            separable(16, 24, 2), separable(24, 32, 2), separable(32, 32, 1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
        self.head = nn.Linear(32, classes)

    def forward(self, x):
        return self.head(self.backbone(x))


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad_(flag)


def batches(x, y, size):
    for idx in torch.randperm(len(x)).split(size):
        yield x[idx].to(DEVICE), y[idx].to(DEVICE)


def run_epoch(net, opt, x, y, size=50):
    net.train()
    total = 0.0
    for xb, yb in batches(x, y, size):
        opt.zero_grad()
        loss = F.cross_entropy(net(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * len(yb)
    return total / len(x)


@torch.no_grad()
def accuracy(net, x, y):
    net.eval()
    preds = torch.cat([net(b.to(DEVICE)).argmax(1).cpu() for b in x.split(200)])
    return (preds == y).float().mean().item()


def pretrain():
    x, y = make(stroke, 4, 400, seed=1)
    net = Net(4).to(DEVICE)
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(2):
        print(f"source epoch {epoch}: loss {run_epoch(net, opt, x, y):.3f}")
    return net


def finetune(net, x, y, classes, warm=1, full=5):
    net.head = nn.Linear(net.head.in_features, classes).to(DEVICE)
    set_trainable(net.backbone, False)
    opt = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.04, momentum=0.9)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, warm + full)
    for epoch in range(warm + full):
        if epoch == warm:
            set_trainable(net.backbone, True)
        loss = run_epoch(net, opt, x, y)
        sched.step()
        print(f"target epoch {epoch}: loss {loss:.3f}")
    return net


if __name__ == "__main__":
    torch.manual_seed(4)
    x_train, y_train = make(glyph, 10, 1200, seed=2)
    x_test, y_test = make(glyph, 10, 400, seed=3)
    net = finetune(pretrain(), x_train, y_train, 10)
    print(f"accuracy: {accuracy(net, x_test, y_test):.3f}")
