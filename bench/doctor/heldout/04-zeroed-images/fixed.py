import io

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

COLOURS = ["#d03030", "#30b040", "#4050e0", "#d0c020"]


def draw(kind, rs):
    im = Image.new("RGB", (24, 24), tuple(int(v) for v in rs.randint(0, 70, 3)))
    d = ImageDraw.Draw(im)
    x, y = rs.randint(1, 10, 2)
    box = [int(x), int(y), int(x) + 11, int(y) + 11]
    fill = COLOURS[rs.randint(4)]
    if kind == 0:
        d.ellipse(box, fill=fill)
    elif kind == 1:
        d.rectangle(box, fill=fill)
    else:
        d.polygon([(box[0], box[3]), (box[2], box[3]), ((box[0] + box[2]) // 2, box[1])], fill=fill)
    buf = io.BytesIO()
    im.save(buf, "PNG")
    return buf.getvalue()


class ShapeDataset(Dataset):
    def __init__(self, n, seed):
        rs = np.random.RandomState(seed)
        self.targets = rs.randint(0, 3, n)
        self.images = np.zeros((n, 24, 24, 3), dtype=np.float32)
        for i in range(n):
            png = draw(self.targets[i], rs)
            self.images[i] = np.asarray(Image.open(io.BytesIO(png))) / 255.0

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        img = torch.from_numpy(self.images[i]).permute(2, 0, 1).float()
        return (img - 0.5) / 0.5, int(self.targets[i])


def build_model():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 6 * 6, 3),
    )


def evaluate(model, loader):
    model.eval()
    ok = n = 0
    with torch.no_grad():
        for img, lab in loader:
            ok += (model(img).max(1)[1] == lab).sum().item()
            n += lab.numel()
    return ok / n


def run():
    torch.manual_seed(3)
    train_loader = DataLoader(ShapeDataset(1200, 1), batch_size=50, shuffle=True)
    valid_loader = DataLoader(ShapeDataset(400, 2), batch_size=100)
    model = build_model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    loss_func = nn.CrossEntropyLoss()
    for ep in range(5):
        model.train()
        for img, lab in train_loader:
            loss = loss_func(model(img), lab)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print("epoch", ep, "valid", evaluate(model, valid_loader))
    print("accuracy: %.4f" % evaluate(model, valid_loader))


run()
