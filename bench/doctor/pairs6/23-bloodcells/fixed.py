"""Red cell indices from smear crops: trainer with callbacks, augmentation on the batch."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

CELLS = ("microcyte", "normocyte", "macrocyte", "elliptocyte")
SIZE = 36                      # crop in pixels, 0.45 um per pixel for all slides


def draw_cells(n, gen):
    y = torch.randint(0, len(CELLS), (n,), generator=gen)

    def u(lo, hi):
        return lo + (hi - lo) * torch.rand(n, 1, 1, generator=gen)
    lo = torch.tensor([5.6, 7.9, 10.3, 7.6])[y].view(-1, 1, 1)
    hi = torch.tensor([7.1, 9.4, 12.2, 9.4])[y].view(-1, 1, 1)
    radius = u(0, 1) * (hi - lo) + lo
    stretch = torch.where((y == 3).view(-1, 1, 1), u(1.5, 2.1), u(1.0, 1.06))
    phi = u(0, math.pi)
    yy, xx = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    dx, dy = xx - SIZE / 2 - u(-3, 3), yy - SIZE / 2 - u(-3, 3)
    a = (dx * phi.cos() + dy * phi.sin()) / stretch.sqrt()
    b = (-dx * phi.sin() + dy * phi.cos()) * stretch.sqrt()
    dist = (a ** 2 + b ** 2).sqrt()
    body = torch.sigmoid((radius - dist) / u(0.4, 0.8))
    pallor = torch.exp(-(dist / (radius * u(0.3, 0.5))) ** 2) * u(0.3, 0.7)
    stain = body * (1 - pallor) * u(0.6, 1.0)
    tint = torch.stack([stain * u(.1, .2), stain * u(.5, .7), stain * u(.35, .5)], 1)
    plasma = torch.randn(n, 3, SIZE + 8, SIZE + 8, generator=gen)
    for _ in range(2):                              # slightly out of focus
        plasma = F.avg_pool2d(plasma, 5, stride=1)
    img = u(0.8, 0.95).unsqueeze(1) - tint + 0.4 * plasma
    return img.clamp(0, 1), y


class RandomPose:
    """Random rotation, shift and magnification of a batch."""

    def __init__(self, degrees=180.0, shift=0.08, zoom=(0.97, 1.03)):
        self.degrees, self.shift, self.zoom = degrees, shift, zoom

    def __call__(self, x):
        n = len(x)
        ang = (torch.rand(n) * 2 - 1) * math.radians(self.degrees)
        s = 1.0 / torch.empty(n).uniform_(*self.zoom)
        t = (torch.rand(n, 2) * 2 - 1) * self.shift
        theta = torch.stack([torch.stack([s * ang.cos(), -s * ang.sin(), t[:, 0]], 1),
                             torch.stack([s * ang.sin(), s * ang.cos(), t[:, 1]], 1)], 1)
        grid = F.affine_grid(theta, x.shape, align_corners=False)
        return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


class Callback:
    def on_epoch_end(self, trainer, epoch, logs):
        pass


class Printer(Callback):
    def on_epoch_end(self, trainer, epoch, logs):
        print(f"[{epoch:02d}] " + "  ".join(f"{k}={v:.3f}" for k, v in logs.items()))


class Decay(Callback):
    def __init__(self, factor):
        self.factor = factor

    def on_epoch_end(self, trainer, epoch, logs):
        for group in trainer.optimizer.param_groups:
            group["lr"] *= self.factor


class KeepBest(Callback):
    def __init__(self):
        self.loss, self.weights = float("inf"), None

    def on_epoch_end(self, trainer, epoch, logs):
        if logs["val_loss"] < self.loss:
            self.loss = logs["val_loss"]
            self.weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}


class Trainer:
    def __init__(self, model, optimizer, augment, callbacks):
        self.model, self.optimizer, self.augment, self.callbacks = model, optimizer, augment, callbacks

    def fit(self, train, val, epochs):
        for epoch in range(1, epochs + 1):
            self.model.train()
            for x, y in train:
                self.optimizer.zero_grad()
                F.cross_entropy(self.model(self.augment(x)), y).backward()
                self.optimizer.step()
            loss, acc = self.evaluate(val)
            for cb in self.callbacks:
                cb.on_epoch_end(self, epoch, {"val_loss": loss, "val_acc": acc})

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        loss = correct = count = 0
        for x, y in loader:
            z = self.model(x)
            loss += F.cross_entropy(z, y, reduction="sum").item()
            correct += (z.argmax(1) == y).sum().item()
            count += len(y)
        return loss / count, correct / count


def make_net():
    layers, c = [], 3
    for width in (12, 24, 32):
        layers += [nn.Conv2d(c, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
                   nn.ReLU(), nn.MaxPool2d(2)]
        c = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 4 * 4, 64), nn.ReLU(),
                         nn.Linear(64, len(CELLS)))


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(42)
    gen = torch.Generator().manual_seed(7)
    (xa, ya), (xv, yv), (xt, yt) = (draw_cells(n, gen) for n in (1200, 320, 480))
    mean, std = xa.mean((0, 2, 3), keepdim=True), xa.std((0, 2, 3), keepdim=True)
    train = DataLoader(TensorDataset((xa - mean) / std, ya), batch_size=40, shuffle=True)
    val = DataLoader(TensorDataset((xv - mean) / std, yv), batch_size=160)
    test = DataLoader(TensorDataset((xt - mean) / std, yt), batch_size=160)

    net, best = make_net(), KeepBest()
    trainer = Trainer(net, torch.optim.Adam(net.parameters(), lr=2e-3), RandomPose(),
                      [Printer(), Decay(0.75), best])
    trainer.fit(train, val, epochs=9)
    net.load_state_dict(best.weights)
    print("test loss %.3f, test accuracy %.4f" % trainer.evaluate(test))
