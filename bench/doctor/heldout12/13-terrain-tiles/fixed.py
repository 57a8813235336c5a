"""Terrain tiles with a home-grown Keras-like front end."""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


# =============================================================== layers
def init_normal(shape, fan_in, gain):
    """Normal initialisation after He et al. (2015): gain 2 before a ReLU, small before the softmax."""
    return nn.Parameter(torch.randn(shape) * (gain / fan_in) ** 0.5)


class Conv(nn.Module):
    def __init__(self, filters, kernel=3, activation="relu"):
        super().__init__()
        self.filters, self.kernel, self.activation = filters, kernel, activation

    def build(self, shape):
        c, h, w = shape
        fan_in = c * self.kernel * self.kernel
        self.weight = init_normal((self.filters, c, self.kernel, self.kernel), fan_in, 2.0 if self.activation == "relu" else 1.0)
        self.bias = nn.Parameter(torch.zeros(self.filters))
        return self.filters, h, w

    def forward(self, x):
        x = F.conv2d(x, self.weight, self.bias, padding=self.kernel // 2)
        return F.relu(x) if self.activation == "relu" else x


class MaxPool(nn.Module):
    def build(self, shape):
        c, h, w = shape
        return c, h // 2, w // 2

    def forward(self, x):
        return F.max_pool2d(x, 2)


class Flatten(nn.Module):
    def build(self, shape):
        return (int(np.prod(shape)),)

    def forward(self, x):
        return x.flatten(1)


class Dense(nn.Module):
    def __init__(self, units, activation=None):
        super().__init__()
        self.units, self.activation = units, activation

    def build(self, shape):
        self.weight = init_normal((self.units, shape[0]), shape[0], 2.0 if self.activation == "relu" else 0.1)
        self.bias = nn.Parameter(torch.zeros(self.units))
        return (self.units,)

    def forward(self, x):
        x = F.linear(x, self.weight, self.bias)
        return F.relu(x) if self.activation == "relu" else x


# =============================================================== model
class Sequential(nn.Module):
    def __init__(self, layers, input_shape):
        super().__init__()
        self.layers = nn.ModuleList(layers)
        shape = input_shape
        for layer in self.layers:
            shape = layer.build(shape)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    def summary(self):
        for layer in self.layers:
            print(f"{type(layer).__name__:10s}{sum(p.numel() for p in layer.parameters()):8d}")

    def compile(self, optimizer, loss, lr_schedule=None):
        self.optimizer, self.loss, self.lr_schedule = optimizer, loss, lr_schedule

    def fit(self, x, y, batch_size, epochs, validation_data):
        history = {"loss": [], "val_accuracy": []}
        for epoch in range(epochs):
            self.train()
            running = 0.0
            for idx in torch.randperm(len(x)).split(batch_size):
                self.optimizer.zero_grad()
                value = self.loss(self(x[idx]), y[idx])
                value.backward()
                self.optimizer.step()
                running += value.item() * len(idx)
            if self.lr_schedule is not None:
                self.lr_schedule.step()
            history["loss"].append(running / len(x))
            history["val_accuracy"].append(self.evaluate(*validation_data)[1])
            print(f"Epoch {epoch + 1}/{epochs} - loss: {history['loss'][-1]:.4f} - val_accuracy: {history['val_accuracy'][-1]:.4f}")
        return history

    @torch.no_grad()
    def evaluate(self, x, y):
        self.eval()
        out = torch.cat([self(part) for part in x.split(256)])
        return self.loss(out, y).item(), (out.argmax(1) == y).float().mean().item()


# =============================================================== data
CLASSES = ["water", "field", "forest", "town", "river", "road"]


def tile(kind, rng, n=24):
    """False-colour tile with 2 channels (visible, infrared)."""
    yy, xx = np.mgrid[0:n, 0:n].astype(np.float32)
    a = rng.uniform(0, np.pi)
    u, v = xx * np.cos(a) + yy * np.sin(a), -xx * np.sin(a) + yy * np.cos(a)
    img = np.full((2, n, n), rng.uniform(0.35, 0.6), np.float32)
    if kind == 0:
        img += 0.06 * np.sin(u / rng.uniform(1.5, 2.5) + rng.uniform(0, 6))
    elif kind == 1:
        img += 0.13 * np.sign(np.sin(u / rng.uniform(0.9, 1.6)))
    elif kind == 2:
        for cy, cx in rng.uniform(0, n, (22, 2)):
            img += 0.28 * np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 4.0)
        img -= 0.2
    elif kind == 3:
        for _ in range(7):
            y0, x0 = rng.integers(0, n - 5, 2)
            h, w = rng.integers(3, 7, 2)
            img[:, y0:y0 + h, x0:x0 + w] = rng.uniform(0.2, 0.9)
    else:
        bend = rng.uniform(2.0, 4.0) * np.sin(u / rng.uniform(3, 5) + rng.uniform(0, 6)) if kind == 4 else 0.0
        centre = -n / 2 * np.sin(a) + n / 2 * np.cos(a) + rng.uniform(-4, 4)
        img += rng.choice([-0.3, 0.3]) * (np.abs(v - centre - bend) < rng.uniform(1.2, 2.2))
    img[1] *= rng.uniform(0.7, 1.2)
    return img * rng.uniform(0.7, 1.2) + rng.normal(0, 0.06, img.shape)


def make(n, rng):
    y = rng.permutation(np.arange(n) % len(CLASSES))
    return torch.tensor(np.stack([tile(k, rng) for k in y]), dtype=torch.float32), torch.tensor(y)


if __name__ == "__main__":
    torch.manual_seed(8)
    rng = np.random.default_rng(8)
    (x_train, y_train), (x_val, y_val), (x_test, y_test) = make(1500, rng), make(300, rng), make(600, rng)
    mean, std = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
    x_train, x_val, x_test = [(x - mean) / std for x in (x_train, x_val, x_test)]

    model = Sequential([
        Conv(16), MaxPool(),
        Conv(24), Conv(24), MaxPool(),
        Conv(32), Conv(32), MaxPool(),
        Flatten(), Dense(48, activation="relu"), Dense(len(CLASSES)),
    ], input_shape=(2, 24, 24))
    model.summary()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    model.compile(optimizer, nn.CrossEntropyLoss(), torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10))
    model.fit(x_train, y_train, batch_size=50, epochs=10, validation_data=(x_val, y_val))
    print(f"test accuracy: {model.evaluate(x_test, y_test)[1]:.4f}")
