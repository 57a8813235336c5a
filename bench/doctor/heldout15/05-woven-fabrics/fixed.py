# A little Keras-like front end, used here to recognise weaves (plain, twill, satin, ...) in textile scans.
import numpy as np
import torch
from torch import nn


class GaussianNoise(nn.Module):
    """Adds sensor noise while training, nothing at inference time."""

    def __init__(self, stddev):
        super().__init__()
        self.stddev = stddev

    def forward(self, x):
        if not self.training:
            return x
        return x + self.stddev * torch.randn_like(x)


class Rescale(nn.Module):
    def __init__(self, offset, factor):
        super().__init__()
        self.offset, self.factor = float(offset), float(factor)

    def forward(self, x):
        return (x.float() - self.offset) * self.factor


class Model:
    def __init__(self, *layers):
        self.net = nn.Sequential(*layers)

    def compile(self, optimizer, loss, learning_rate):
        self.optimizer = getattr(torch.optim, optimizer)(self.net.parameters(), lr=learning_rate)
        self.learning_rate = learning_rate
        self.loss = loss

    def fit(self, x, y, epochs, batch_size, validation_data):
        history = {"loss": [], "accuracy": [], "val_accuracy": []}
        for e in range(epochs):
            self.net.train()
            for group in self.optimizer.param_groups:      # linear decay
                group["lr"] = self.learning_rate * (1 - e / epochs)
            loss_sum = hits = 0
            for pick in torch.randperm(len(x)).split(batch_size):
                out = self.net(x[pick])
                loss = self.loss(out, y[pick])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                loss_sum += loss.item() * len(pick)
                hits += (out.argmax(1) == y[pick]).sum().item()
            history["loss"].append(loss_sum / len(x))
            history["accuracy"].append(hits / len(x))
            history["val_accuracy"].append(self.evaluate(*validation_data))
            print(f"Epoch {e + 1}/{epochs} - " + " - ".join(f"{k}: {v[-1]:.4f}" for k, v in history.items()))
        return history

    @torch.no_grad()
    def predict(self, x, batch_size=128):
        self.net.eval()
        return torch.cat([self.net(part).softmax(1) for part in x.split(batch_size)])

    def evaluate(self, x, y):
        return (self.predict(x).argmax(1) == y).float().mean().item()


# One repeat of every weave: 1 = warp thread on top
WEAVES = {
    "plain": [[1, 0], [0, 1]],
    "basket": [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]],
    "twill": [[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]],
    "herringbone": [[1, 1, 0, 0, 0, 0, 1, 1], [0, 1, 1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 1, 1, 0, 0], [1, 0, 0, 1, 1, 0, 0, 1]],
    "satin": [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [0, 0, 0, 1, 0]],
    "rep": [[1, 0], [1, 0], [0, 1], [0, 1]],
}
SIZE = 28


def scan(weave, rng):
    """An 8-bit grey scan of a piece of cloth."""
    repeat = np.array(WEAVES[weave])
    pitch = rng.uniform(2.2, 3.2)
    angle = np.deg2rad(rng.uniform(-8, 8))
    v, u = np.mgrid[0:SIZE, 0:SIZE]
    a = (u * np.cos(angle) - v * np.sin(angle)) / pitch + rng.uniform(20, 40)
    b = (u * np.sin(angle) + v * np.cos(angle)) / pitch + rng.uniform(20, 40)
    top = repeat[b.astype(int) % repeat.shape[0], a.astype(int) % repeat.shape[1]]
    round_ = np.where(top == 1, np.sin(np.pi * (a % 1)), np.sin(np.pi * (b % 1)))
    warp, weft = rng.uniform(110, 190), rng.uniform(40, 100)
    grey = np.where(top == 1, warp, weft) * (.65 + .35 * round_)
    grey = grey * (1 + rng.uniform(-.3, .3) * (u / SIZE - .5)) + rng.normal(0, 22, grey.shape)
    return np.clip(grey, 0, 255).astype(np.uint8)


def load(n, rng):
    names = list(WEAVES)
    y = rng.permutation(np.arange(n) % len(names))
    x = np.stack([scan(names[i], rng) for i in y])
    return torch.from_numpy(x[:, None]), torch.from_numpy(y)


torch.set_num_threads(1)
torch.manual_seed(77)
rng = np.random.default_rng(77)
x_train, y_train = load(1200, rng)
x_val, y_val = load(240, rng)
x_test, y_test = load(480, rng)
mean, std = x_train.float().mean(), x_train.float().std()

model = Model(
    Rescale(mean, 1 / std),
    GaussianNoise(8 / std),
    nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    nn.Conv2d(16, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
    nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    nn.Linear(48, len(WEAVES)),
)
model.compile(optimizer="Adam", loss=nn.CrossEntropyLoss(), learning_rate=3e-3)
model.fit(x_train, y_train, epochs=7, batch_size=40, validation_data=(x_val, y_val))
print("Test accuracy:", round(model.evaluate(x_test, y_test), 4))
