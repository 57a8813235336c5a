# LeNet-5 für kleine Verkehrszeichen (künstlich gezeichnet, 32x32, RGB)
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw


class LeNet(nn.Module):
    def __init__(self, num_classes):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 4 * 4, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, num_classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


NAMES = ["stop", "yield", "no_entry", "parking", "limit"]


def draw_sign(kind, rng):
    bg = tuple(int(v) for v in rng.integers(40, 160, 3))
    im = Image.new("RGB", (32, 32), bg)
    d = ImageDraw.Draw(im)
    r = int(rng.integers(8, 13))
    cx, cy = (int(v) for v in rng.integers(13, 20, 2))
    box = (cx - r, cy - r, cx + r, cy + r)
    red, blue, white = (200, 30, 30), (30, 60, 190), (235, 235, 235)
    if kind == "stop":
        d.regular_polygon((cx, cy, r), 8, fill=red)
        d.line((cx - r // 2, cy, cx + r // 2, cy), fill=white, width=2)
    elif kind == "yield":
        d.regular_polygon((cx, cy, r), 3, rotation=180, fill=white, outline=red)
    elif kind == "no_entry":
        d.ellipse(box, fill=red)
        d.line((cx - r // 2, cy, cx + r // 2, cy), fill=white, width=5)
    elif kind == "parking":
        d.rectangle(box, fill=blue)
        d.line((cx, cy - r // 2, cx, cy + r // 2), fill=white, width=2)
    else:
        d.ellipse(box, fill=white, outline=red, width=3)
    pixels = np.asarray(im, dtype=np.float32) + rng.normal(0, 20, (32, 32, 3))
    return pixels.transpose(2, 0, 1)


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(NAMES), n)
    x = np.stack([draw_sign(NAMES[k], rng) for k in y]).astype(np.float32)
    return (torch.from_numpy(x) - 115.0) / 60.0, torch.from_numpy(y)


def main():
    torch.manual_seed(5)
    x_train, y_train = make_set(1000, 1)
    x_val, y_val = make_set(300, 2)
    net = LeNet(len(NAMES))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
    for epoch in range(6):
        net.train()
        running_loss = 0.0
        for step, idx in enumerate(torch.randperm(len(x_train)).split(25)):
            optimizer.zero_grad()
            outputs = net(x_train[idx])
            loss = F.cross_entropy(outputs, y_train[idx])
            loss.backward()
            optimizer.step()
            running_loss += loss.item()
        net.eval()
        with torch.no_grad():
            val_acc = (net(x_val).argmax(1) == y_val).float().mean().item()
        print("Epoche", epoch + 1, "Verlust %.3f" % (running_loss / (step + 1)), "Validierung %.3f" % val_acc)
    print("accuracy: %.3f" % val_acc)


main()
