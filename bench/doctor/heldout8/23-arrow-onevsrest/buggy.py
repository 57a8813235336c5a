import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
import random
import numpy as np

# Eight arrow directions; one sigmoid per class against all others, as in one-stage detectors.
NUM_CLASSES = 8
IMG = 32


def draw_arrow(direction):
    shade = random.randint(20, 110)
    img = Image.new("L", (IMG, IMG), shade)
    d = ImageDraw.Draw(img)
    for _ in range(3):
        x, y = random.randint(0, IMG), random.randint(0, IMG)
        d.ellipse([x - 2, y - 2, x + 2, y + 2], fill=random.randint(20, 160))
    ang = direction * math.pi / 4 + random.uniform(-0.25, 0.25)
    cx, cy = IMG / 2 + random.uniform(-4, 4), IMG / 2 + random.uniform(-4, 4)
    length = random.uniform(7, 11)
    ink = random.randint(150, 255)
    ux, uy = math.cos(ang), -math.sin(ang)
    tip = (cx + length * ux, cy + length * uy)
    d.line([(cx - length * ux, cy - length * uy), tip], fill=ink, width=2)
    for side in (2.5, -2.5):
        d.line([tip, (tip[0] + 6 * math.cos(ang + side), tip[1] - 6 * math.sin(ang + side))], fill=ink, width=2)
    return np.asarray(img, dtype=np.float32)


def make_split(n):
    labels = [i % NUM_CLASSES for i in range(n)]
    random.shuffle(labels)
    images = np.stack([draw_arrow(c) for c in labels])
    images += np.random.normal(0, 8, images.shape)
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1), torch.tensor(labels)


class ArrowNet(nn.Module):
    def __init__(self, num_classes=NUM_CLASSES):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.conv4 = nn.Conv2d(48, 48, 3, stride=2, padding=1)
        self.fc = nn.Linear(48 * 4 * 4, 96)
        self.cls = nn.Linear(96, num_classes)
        self.reset_parameters(prior=1.0 / num_classes)

    def reset_parameters(self, prior):
        prior_bias = -math.log((1 - prior) / prior)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
                nn.init.constant_(m.bias, prior_bias)
        nn.init.normal_(self.cls.weight, std=0.01)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = F.relu(self.fc(x.flatten(1)))
        return self.cls(x)


def one_vs_rest_loss(logits, labels):
    target = F.one_hot(labels, NUM_CLASSES).float()
    return F.binary_cross_entropy_with_logits(logits, target)


def batches(x, y, size):
    order = torch.randperm(len(y))
    for k in range(0, len(y) - size + 1, size):
        idx = order[k:k + size]
        yield x[idx], y[idx]


def main():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    x_train, y_train = make_split(1600)
    x_test, y_test = make_split(400)
    mean, std = x_train.mean(), x_train.std()
    x_train = (x_train - mean) / std
    x_test = (x_test - mean) / std

    model = ArrowNet()
    epochs, size = 6, 32
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=epochs)
    for epoch in range(1, epochs + 1):
        begin, losses = time.time(), []
        model.train()
        for x, y in batches(x_train, y_train, size):
            optimizer.zero_grad()
            loss = one_vs_rest_loss(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print(f"{epoch}: loss {np.mean(losses):.4f} ({time.time() - begin:.1f} s)")

    model.eval()
    with torch.no_grad():
        predicted = model(x_test).argmax(dim=1)
    print(f"accuracy: {(predicted == y_test).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
