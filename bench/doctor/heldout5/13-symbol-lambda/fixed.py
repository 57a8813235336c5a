import math
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, TensorDataset

BASE_LR = 0.02
DECAY = 0.9
EPOCHS = 5
STROKES = {
    "plus": [(-1, 0, 1, 0), (0, -1, 0, 1)],
    "times": [(-1, -1, 1, 1), (-1, 1, 1, -1)],
    "tee": [(-1, -1, 1, -1), (0, -1, 0, 1)],
    "ell": [(-1, -1, -1, 1), (-1, 1, 1, 1)],
    "vee": [(-1, -1, 0, 1), (0, 1, 1, -1)],
    "equals": [(-1, -0.5, 1, -0.5), (-1, 0.5, 1, 0.5)],
}


def draw_symbol(name):
    ground = tuple(random.randint(0, 70) for _ in range(3))
    ink = tuple(random.randint(140, 255) for _ in range(3))
    img = Image.new("RGB", (24, 24), ground)
    pen = ImageDraw.Draw(img)
    scale = random.uniform(6, 9)
    turn = math.radians(random.uniform(-14, 14))
    cx, cy = random.uniform(10.5, 13.5), random.uniform(10.5, 13.5)

    def place(x, y):
        return (cx + scale * (x * math.cos(turn) - y * math.sin(turn)),
                cy + scale * (x * math.sin(turn) + y * math.cos(turn)))

    for x0, y0, x1, y1 in STROKES[name]:
        pen.line([place(x0, y0), place(x1, y1)], fill=ink, width=2)
    return np.asarray(img, dtype=np.float32).transpose(2, 0, 1) / 255


def make_dataset(n):
    names = list(STROKES)
    labels = torch.arange(n) % len(names)
    images = np.stack([draw_symbol(names[k]) for k in labels.tolist()])
    images += np.random.normal(0, 0.15, images.shape).astype(np.float32)
    return torch.from_numpy(images), labels


class SymbolNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.c1 = nn.Conv2d(3, 16, 3, padding=1)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.f1 = nn.Linear(32 * 6 * 6, 64)
        self.f2 = nn.Linear(64, num_classes)
        for c in (self.c1, self.c2):
            nn.init.kaiming_normal_(c.weight, nonlinearity="relu")
            nn.init.zeros_(c.bias)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.f1(torch.flatten(x, 1)))
        return self.f2(x)


def main():
    random.seed(6)
    np.random.seed(6)
    torch.manual_seed(6)
    x_train, y_train = make_dataset(1800)
    x_test, y_test = make_dataset(480)
    mean = x_train.mean(dim=(0, 2, 3), keepdim=True)
    std = x_train.std(dim=(0, 2, 3), keepdim=True)
    loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=45, shuffle=True)

    model = SymbolNet(len(STROKES))
    optimizer = torch.optim.SGD(model.parameters(), lr=BASE_LR, momentum=0.9, nesterov=True)
    scheduler = LambdaLR(optimizer, lr_lambda=lambda epoch: DECAY ** epoch)

    for epoch in range(EPOCHS):
        model.train()
        epoch_loss = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            epoch_loss += loss.item() * x.size(0)
        scheduler.step()
        print(f"epoch {epoch + 1}: {epoch_loss / len(loader.dataset):.4f}")

    model.eval()
    with torch.no_grad():
        predicted = model((x_test - mean) / std).argmax(dim=1)
    print(f"accuracy: {(predicted == y_test).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
