import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

# pen strokes on a unit square, one list of polylines for each digit
STROKES = {
    0: [[(.5, .1), (.25, .25), (.2, .6), (.4, .9), (.65, .88), (.8, .55), (.75, .25), (.5, .1)]],
    1: [[(.35, .3), (.55, .1), (.52, .9)]],
    2: [[(.25, .3), (.4, .1), (.7, .15), (.72, .4), (.25, .88), (.8, .88)]],
    3: [[(.25, .15), (.7, .12), (.72, .35), (.45, .47), (.75, .6), (.7, .85), (.25, .88)]],
    4: [[(.6, .9), (.62, .1), (.2, .62), (.85, .62)]],
    5: [[(.75, .1), (.3, .12), (.28, .45), (.65, .45), (.75, .7), (.6, .9), (.25, .85)]],
    6: [[(.65, .1), (.3, .4), (.25, .75), (.5, .92), (.75, .75), (.6, .52), (.28, .65)]],
    7: [[(.2, .12), (.8, .12), (.42, .9)], [(.35, .5), (.7, .5)]],
    8: [[(.5, .48), (.28, .3), (.5, .1), (.72, .28), (.5, .48), (.25, .7), (.5, .92), (.76, .7), (.5, .48)]],
    9: [[(.72, .4), (.45, .48), (.28, .3), (.5, .1), (.72, .2), (.7, .55), (.55, .92)]],
}


def write_digit(label, rng, size=20, scale=3):
    img = Image.new("L", (size * scale, size * scale), 0)
    draw = ImageDraw.Draw(img)
    angle, shear = rng.normal(0, 0.16), rng.normal(0, 0.2)
    zoom = rng.uniform(0.65, 0.95, 2)
    rot = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mat = rot @ np.array([[1, shear], [0, 1]]) @ np.diag(zoom)
    shift = rng.uniform(-0.1, 0.1, 2) + 0.5
    width = int(rng.integers(4, 8))
    for line in STROKES[label]:
        pts = (np.array(line) - 0.5 + rng.normal(0, 0.025, (len(line), 2))) @ mat.T + shift
        draw.line([tuple(p) for p in pts * size * scale], fill=int(rng.integers(170, 256)), width=width, joint="curve")
    for _ in range(2):  # ink specks
        x, y = rng.uniform(0, size * scale, 2)
        draw.line([x, y, x + rng.normal(0, 8), y + rng.normal(0, 8)], fill=160, width=3)
    a = np.asarray(img.resize((size, size), Image.BOX), dtype=np.float32) / 255
    return np.clip(a + rng.normal(0, 0.12, a.shape), 0, 1)


def make_set(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = np.stack([write_digit(int(k), rng) for k in labels])
    return torch.tensor(images, dtype=torch.float32).unsqueeze(1), torch.tensor(labels)


ACTS = {"relu": nn.ReLU, "swish": nn.SiLU, "elu": nn.ELU}


def mlp(sizes, act):
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        layers.append(nn.Linear(n_in, n_out))
        layers.append(act())
    return nn.Sequential(*layers[:-1])


def conv_stage(c_in, c_out, act):
    return nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), act(), nn.MaxPool2d(2))


class Net(nn.Module):
    def __init__(self, act, hidden=(96, 48), classes=10):
        super().__init__()
        self.stages = nn.Sequential(conv_stage(1, 12, act), conv_stage(12, 24, act))
        self.classifier = mlp([24 * 5 * 5, *hidden, classes], act)

    def forward(self, x):
        x = self.stages(x)
        return self.classifier(x.flatten(1))


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(
                epoch, batch_idx * loader.batch_size, len(loader.dataset), loss.item()))


def test(model, loader, name):
    model.eval()
    loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += output.argmax(1).eq(target).sum().item()
    n = len(loader.dataset)
    print("{} set: average loss: {:.4f}, accuracy: {}/{} ({:.4f})".format(name, loss / n, correct, n, correct / n))


def main():
    parser = argparse.ArgumentParser(description="Handwritten digits")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--test-batch-size", type=int, default=250)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--lr", type=float, default=0.06)
    parser.add_argument("--momentum", type=float, default=0.9)
    parser.add_argument("--act", choices=sorted(ACTS), default="relu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x, y = make_set(2500, seed=100)
    mean, std = x.mean(), x.std()
    xv, yv = make_set(500, seed=200)
    xt, yt = make_set(800, seed=300)
    train_loader = DataLoader(TensorDataset((x - mean) / std, y), batch_size=args.batch_size, shuffle=True)
    val_loader = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=args.test_batch_size)
    test_loader = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=args.test_batch_size)

    model = Net(ACTS[args.act])
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, val_loader, "Validation")
    test(model, test_loader, "Test")


if __name__ == "__main__":
    main()
