"""How many colonies grew on the dish?  A tiny Keras-like wrapper around torch."""
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

EDGE = 32
MOST = 5            # dishes with 1 .. 5 colonies; class = count - 1


def dish(count, rs):
    yy, xx = np.mgrid[0:EDGE, 0:EDGE].astype(float)
    agar = rs.uniform(0.25, 0.45) + rs.normal(0, 0.004) * (yy - 16) + rs.normal(0, 0.004) * (xx - 16)
    placed = []
    while len(placed) < count:
        r = rs.uniform(1.5, 2.7)
        y, x = rs.uniform(r + 2.5, EDGE - 3.5 - r, 2)
        if all(np.hypot(y - b, x - a) > r + s + 1.2 for b, a, s in placed):
            placed.append((y, x, r))
    for y, x, r in placed:
        agar = agar + rs.uniform(0.25, 0.45) / (1 + np.exp(3 * (np.hypot(yy - y, xx - x) - r)))
    return agar + rs.normal(0, 0.035, agar.shape)


def make_dishes(n, rs):
    y = rs.integers(1, MOST + 1, n)
    x = np.stack([dish(c, rs) for c in y]).astype(np.float32)
    return torch.from_numpy(x)[:, None], torch.from_numpy(y - 1)


# ------------------------------------------------------------------ augmentation
class Flip:
    def __call__(self, x):
        for axis in (2, 3):
            pick = torch.rand(len(x), 1, 1, 1) < 0.5
            x = torch.where(pick, x.flip(axis), x)
        return x


class ResizedCrop:
    """Cut a random square window out of each image and scale it back to the full size."""

    def __init__(self, area=(0.45, 1.0)):
        self.area = area

    def __call__(self, x):
        n, _, h, w = x.shape
        out = torch.empty_like(x)
        sides = (torch.empty(n).uniform_(*self.area).sqrt() * h).round().long().tolist()
        for i, s in enumerate(sides):
            top = int(torch.randint(h - s + 1, ()))
            left = int(torch.randint(w - s + 1, ()))
            window = x[i:i + 1, :, top:top + s, left:left + s]
            out[i:i + 1] = F.interpolate(window, size=(h, w), mode="bilinear", align_corners=False)
        return out


class Contrast:
    def __call__(self, x):
        return x * torch.empty(len(x), 1, 1, 1).uniform_(0.85, 1.15)


# ------------------------------------------------------------------ the wrapper
class Sequential:
    def __init__(self, *layers):
        self.net = nn.Sequential(*layers)

    def summary(self):
        print(f"{sum(p.numel() for p in self.net.parameters())} parameters")

    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer(self.net.parameters()), loss

    def fit(self, x, y, epochs, batch_size, augment=(), validation_data=None):
        plan = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, epochs)
        for epoch in range(epochs):
            t0, total, right = time.time(), 0.0, 0
            self.net.train()
            for rows in torch.randperm(len(x)).split(batch_size):
                bx, by = x[rows], y[rows]
                for step in augment:
                    bx = step(bx)
                self.optimizer.zero_grad()
                z = self.net(bx)
                value = self.loss(z, by)
                value.backward()
                self.optimizer.step()
                total += value.item() * len(rows)
                right += (z.argmax(1) == by).sum().item()
            plan.step()
            line = f"Epoch {epoch + 1}/{epochs} - {time.time() - t0:.1f}s - loss: {total / len(x):.4f} - acc: {right / len(x):.4f}"
            if validation_data is not None:
                vloss, vacc = self.evaluate(*validation_data)
                line += f" - val_loss: {vloss:.4f} - val_acc: {vacc:.4f}"
            print(line)

    @torch.no_grad()
    def evaluate(self, x, y, batch_size=250):
        self.net.eval()
        z = torch.cat([self.net(b) for b in x.split(batch_size)])
        return self.loss(z, y).item(), (z.argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(21)
    rs = np.random.default_rng(21)

    (x_train, y_train), (x_val, y_val), (x_test, y_test) = (make_dishes(n, rs) for n in (1500, 300, 600))
    mu, sigma = x_train.mean(), x_train.std()
    x_train, x_val, x_test = ((x - mu) / sigma for x in (x_train, x_val, x_test))

    model = Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.AvgPool2d(4), nn.Flatten(), nn.Linear(32 * 2 * 2, MOST),
    )
    model.summary()
    model.compile(optimizer=lambda p: torch.optim.Adam(p, lr=5e-3), loss=nn.CrossEntropyLoss())
    model.fit(x_train, y_train, epochs=12, batch_size=50, augment=[Flip(), ResizedCrop(), Contrast()],
              validation_data=(x_val, y_val))
    print(f"test accuracy: {model.evaluate(x_test, y_test)[1]:.4f}")
