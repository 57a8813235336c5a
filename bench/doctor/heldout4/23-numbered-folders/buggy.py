# Display reader: folders train/1 ... train/10 (key "0" is number 10), test images with labels.csv
import csv
import os
import shutil
import tempfile
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

SEED = 2023
np.random.seed(SEED)
torch.manual_seed(SEED)

# ---------------------------------------------------------------- make the data set
SEGMENTS = ["abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcdfg"]


def seven_segment(digit):
    w, h = np.random.randint(8, 11), np.random.randint(14, 18)
    x0, y0 = np.random.randint(4, 21 - w), np.random.randint(2, 22 - h)
    x1, y1, ym = x0 + w, y0 + h, y0 + h // 2
    lines = dict(a=(x0, y0, x1, y0), b=(x1, y0, x1, ym), c=(x1, ym, x1, y1), d=(x0, y1, x1, y1),
                 e=(x0, ym, x0, y1), f=(x0, y0, x0, ym), g=(x0, ym, x1, ym))
    img = Image.new("L", (24, 24), int(np.random.randint(0, 60)))
    pen = ImageDraw.Draw(img)
    colour = int(np.random.randint(160, 256))
    for s in SEGMENTS[digit]:
        pen.line([int(v) for v in lines[s]], fill=colour, width=2)
    arr = np.asarray(img).astype(np.float32) + np.random.randn(24, 24) * 35
    return Image.fromarray(arr.clip(0, 255).astype(np.uint8))


root = tempfile.mkdtemp()
for number in range(1, 11):
    os.makedirs(f"{root}/train/{number}")
    for j in range(150):
        seven_segment(number % 10).save(f"{root}/train/{number}/{j:03d}.png")
os.makedirs(f"{root}/test")
with open(f"{root}/labels.csv", "w", newline="") as fh:
    out = csv.writer(fh)
    out.writerow(["file", "label"])
    for j in range(400):
        number = j % 10 + 1
        seven_segment(number % 10).save(f"{root}/test/{j:04d}.png")
        out.writerow([f"{j:04d}.png", number])


# ---------------------------------------------------------------- read it back
def read(path):
    return np.asarray(Image.open(path), dtype=np.float32) / 255


def load_train(folder):
    classes = sorted(os.listdir(folder))
    class_to_idx = {c: i for i, c in enumerate(classes)}
    xs, ys = [], []
    for c in classes:
        for f in sorted(os.listdir(f"{folder}/{c}")):
            xs.append(read(f"{folder}/{c}/{f}"))
            ys.append(class_to_idx[c])
    return np.stack(xs)[:, None], np.array(ys)


def load_test(folder, table):
    with open(table, newline="") as fh:
        rows = list(csv.DictReader(fh))
    xs = np.stack([read(f"{folder}/{r['file']}") for r in rows])[:, None]
    ys = np.array([int(r["label"]) - 1 for r in rows])
    return xs, ys


X, y = load_train(f"{root}/train")
X_test, y_test = load_test(f"{root}/test", f"{root}/labels.csv")
shutil.rmtree(root)

order = np.random.permutation(len(X))
tr, va = order[150:], order[:150]
m, s = X[tr].mean(), X[tr].std()
as_tensor = lambda a, b: (torch.from_numpy((a - m) / s), torch.from_numpy(b).long())
Xtr, ytr = as_tensor(X[tr], y[tr])
Xva, yva = as_tensor(X[va], y[va])
Xte, yte = as_tensor(X_test, y_test)


# ---------------------------------------------------------------- net
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 5, padding=2)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.f1 = nn.Linear(32 * 6 * 6, 64)
        self.f2 = nn.Linear(64, 10)

    def forward(self, t):
        t = F.max_pool2d(F.relu(self.c1(t)), 2)
        t = F.max_pool2d(F.relu(self.c2(t)), 2)
        return self.f2(F.relu(self.f1(t.flatten(1))))


def score(net, a, b):
    net.eval()
    with torch.no_grad():
        return (net(a).argmax(1) == b).float().mean().item()


net = LeNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for ep in range(6):
    net.train()
    for idx in torch.randperm(len(Xtr)).split(30):
        opt.zero_grad()
        F.cross_entropy(net(Xtr[idx]), ytr[idx]).backward()
        opt.step()
    print("epoch", ep + 1, "val", round(score(net, Xva, yva), 3))

print(f"accuracy: {score(net, Xte, yte):.3f}")
