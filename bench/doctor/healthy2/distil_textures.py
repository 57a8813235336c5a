# Knowledge distillation: a wide teacher is trained on texture images, then a
# small student learns from its softened outputs and from the true labels.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
rng = np.random.default_rng(3)
CLASSES = ["stripes", "checks", "rings", "blobs", "noise-lines", "spokes"]
SIZE = 20


def draw(kind):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    a = rng.uniform(0, np.pi)
    f = rng.uniform(0.7, 1.3)
    u = np.cos(a) * xx + np.sin(a) * yy
    v = -np.sin(a) * xx + np.cos(a) * yy
    p, q = rng.uniform(0, 6.28, 2)
    cx, cy = rng.uniform(5, 15, 2)
    if kind == 0:
        img = np.sin(f * u + p)
    elif kind == 1:
        img = np.sign(np.sin(f * u + p) * np.sin(f * v + q))
    elif kind == 2:
        img = np.sin(f * np.hypot(xx - cx, yy - cy) + p)
    elif kind == 3:
        img = -np.ones_like(xx)
        for _ in range(rng.integers(4, 8)):
            bx, by = rng.uniform(2, 18, 2)
            img += 2 * np.exp(-((xx - bx) ** 2 + (yy - by) ** 2) / rng.uniform(4, 10))
    elif kind == 4:
        img = rng.normal(0, 1, (SIZE, 1)).astype(np.float32) * np.ones_like(xx)
        if rng.random() < 0.5:
            img = img.T
    else:
        img = np.sin(rng.integers(5, 9) * np.arctan2(yy - cy, xx - cx) + p)
    img = rng.uniform(0.6, 1.4) * img + rng.normal(0, 0.35, img.shape)
    return img.astype(np.float32)


def make(n):
    y = rng.integers(0, len(CLASSES), n)
    x = np.stack([draw(k) for k in y])[:, None]
    return torch.from_numpy(x), torch.from_numpy(y)


def convnet(widths):
    layers, c = [], 1
    for w in widths:
        layers += [nn.Conv2d(c, w, 3, padding=1, bias=False), nn.BatchNorm2d(w), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        c = w
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, len(CLASSES)))


def batches(x, y, size=50):
    for idx in torch.randperm(len(x)).split(size):
        yield x[idx], y[idx]


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        return (net(x).argmax(1) == y).float().mean().item()


x_train, y_train = make(1200)
x_valid, y_valid = make(300)
mean, std = x_train.mean(), x_train.std()
x_train, x_valid = (x_train - mean) / std, (x_valid - mean) / std

teacher = convnet([12, 24, 48])
opt = torch.optim.Adam(teacher.parameters(), lr=2e-3)
for epoch in range(5):
    teacher.train()
    for x, y in batches(x_train, y_train):
        opt.zero_grad()
        F.cross_entropy(teacher(x), y).backward()
        opt.step()
print(f"teacher: {accuracy(teacher, x_valid, y_valid):.3f}")

teacher.eval()
teacher.requires_grad_(False)
student = convnet([6, 10, 16])
opt = torch.optim.Adam(student.parameters(), lr=5e-3)
T, alpha = 4.0, 0.7
for epoch in range(7):
    student.train()
    total = 0.0
    for x, y in batches(x_train, y_train):
        with torch.no_grad():
            soft = F.softmax(teacher(x) / T, dim=1)
        logits = student(x)
        # T * T keeps the size of the soft gradients independent of T
        distil = F.kl_div(F.log_softmax(logits / T, dim=1), soft, reduction="batchmean") * T * T
        loss = alpha * distil + (1 - alpha) * F.cross_entropy(logits, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(x)
    print(f"student epoch {epoch}: loss {total / len(x_train):.3f}  valid {accuracy(student, x_valid, y_valid):.3f}")

print(f"accuracy: {accuracy(student, x_valid, y_valid):.3f}")
