import math
import torch
import numpy as np
from torch.nn import BCEWithLogitsLoss, BatchNorm2d, Conv2d, Dropout2d, LeakyReLU, Linear, Module, Sequential

# Healthy leaf (0) or leaf with rust spots (1).  Single-logit output.


def leaf(sick: bool, rng: np.random.Generator, n: int = 32) -> np.ndarray:
    y, x = np.mgrid[0:n, 0:n] / (n - 1) * 2 - 1
    a = rng.uniform(0, math.pi)
    u, v = x * np.cos(a) + y * np.sin(a), y * np.cos(a) - x * np.sin(a)
    half = rng.uniform(0.35, 0.55) * np.clip(1 - (u / 0.95) ** 2, 0, None)
    inside = (np.abs(v) < half).astype(float)
    veins = 0.25 * (np.abs(v) < 0.05) + 0.12 * (np.abs(np.sin(9 * (u - 0.7 * np.abs(v)))) < 0.2)
    rgb = np.zeros((3, n, n)) + rng.uniform(0.55, 0.9)
    green = np.array([rng.uniform(.15, .35), rng.uniform(.45, .75), rng.uniform(.1, .25)])
    rgb = rgb * (1 - inside) + inside * (green[:, None, None] + veins)
    # spots: rust if sick, otherwise drops of water or soil, same size
    tint = np.array([.62, .33, .12]) if sick else (np.array([.6, .75, .8]) if rng.random() < .5 else np.array([.3, .3, .28]))
    for _ in range(rng.integers(2, 5)):
        cu = rng.uniform(-.6, .6)
        cv = rng.uniform(-.25, .25)
        w = np.exp(-(((u - cu) ** 2 + (v - cv) ** 2) / rng.uniform(.006, .014)) ** 2) * inside
        rgb = rgb * (1 - w) + tint[:, None, None] * w
    return rgb * rng.uniform(.8, 1.1) + rng.normal(0, .05, rgb.shape)


def greenhouse(n, seed):
    rng = np.random.default_rng(seed)
    t = rng.random(n) < 0.5
    im = np.stack([leaf(bool(k), rng) for k in t])
    return torch.tensor(im, dtype=torch.float32), torch.tensor(t, dtype=torch.float32)


class Encoder(Module):
    def __init__(self, w=16):
        super().__init__()
        self.seq = Sequential(
            Conv2d(3, w, 3, 2, 1, bias=False), BatchNorm2d(w), LeakyReLU(.1),
            Conv2d(w, 2 * w, 3, 2, 1, bias=False), BatchNorm2d(2 * w), LeakyReLU(.1),
            Conv2d(2 * w, 2 * w, 3, 1, 1, bias=False), BatchNorm2d(2 * w), LeakyReLU(.1),
            Dropout2d(.05),
        )

    def forward(self, x):
        return self.seq(x).amax((2, 3))


class Trainer:
    """Separate optimisers for encoder and head, as the head gets a larger step."""

    def __init__(self, train, val, batch_size=40):
        self.mean = train[0].mean((0, 2, 3))[:, None, None]
        self.std = train[0].std((0, 2, 3))[:, None, None]
        self.train_data = (self.normalise(train[0]), train[1])
        self.val_data = (self.normalise(val[0]), val[1])
        self.batch_size = batch_size
        self.encoder = Encoder()
        self.head = Linear(32, 1)
        self.criterion = BCEWithLogitsLoss()
        self.opt_enc = torch.optim.SGD(self.encoder.parameters(), lr=0.02, momentum=0.9)
        self.opt_head = torch.optim.SGD(self.head.parameters(), lr=0.05, momentum=0.9)
        self.history = []

    def normalise(self, x):
        return (x - self.mean) / self.std

    def logits(self, x):
        return self.head(self.encoder(x)).squeeze(1)

    def set_mode(self, training):
        self.encoder.train(training)
        self.head.train(training)

    def training_step(self, x, t):
        self.opt_head.zero_grad()
        loss = self.criterion(self.logits(x), t)
        loss.backward()
        self.opt_enc.step()
        self.opt_head.step()
        return loss.detach()

    def train_epoch(self):
        self.set_mode(True)
        x, t = self.train_data
        losses = [self.training_step(x[i], t[i]) for i in torch.randperm(len(t)).split(self.batch_size)]
        return torch.stack(losses).mean().item()

    @torch.no_grad()
    def validate(self):
        self.set_mode(False)
        x, t = self.val_data
        guess = torch.cat([self.logits(b) for b in x.split(100)]) > 0
        return (guess == t.bool()).float().mean().item()

    def run(self, epochs):
        for e in range(epochs):
            l = self.train_epoch()
            a = self.validate()
            self.history.append((l, a))
            print(f"{e:02d}  bce={l:.4f}  val_acc={a:.4f}")
        return self.history[-1][1]


if __name__ == "__main__":
    torch.manual_seed(31)
    trainer = Trainer(greenhouse(1600, 8), greenhouse(400, 9))
    print("final val accuracy: %.4f" % trainer.run(6))
