"""Read a dial gauge (which eighth of the dial does the needle point to?) with a fit/evaluate front end
in the manner of Keras."""
import math

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn


# ------------------------------------------------------------------ front end
class Accuracy:
    name = "accuracy"

    def __init__(self):
        self.reset()

    def reset(self):
        self.hits, self.count = 0, 0

    def update(self, outputs, targets):
        self.hits += int((outputs.argmax(dim=1) == targets).sum())
        self.count += targets.numel()

    def result(self):
        return self.hits / self.count


class Callback:
    def set_model(self, model):
        self.model = model

    def on_epoch_end(self, epoch, logs):
        pass

    def on_train_end(self):
        pass


class ProgressLine(Callback):
    def on_epoch_end(self, epoch, logs):
        print(f"Epoch {epoch + 1:2d}  " + "  ".join(f"{k}: {v:.4f}" for k, v in logs.items()))


class RestoreBest(Callback):
    def __init__(self, monitor="val_loss"):
        self.monitor, self.best, self.weights = monitor, math.inf, None

    def on_epoch_end(self, epoch, logs):
        if logs[self.monitor] < self.best:
            self.best = logs[self.monitor]
            self.weights = {k: v.clone() for k, v in self.model.net.state_dict().items()}

    def on_train_end(self):
        self.model.net.load_state_dict(self.weights)


class Model:
    def __init__(self, net):
        self.net = net

    def compile(self, optimizer, loss, metrics=()):
        self.optimizer, self.loss, self.metrics = optimizer, loss, list(metrics)

    def _reset_metrics(self):
        for m in self.metrics:
            m.reset()

    def _run(self, x, y, batch_size, training):
        self._reset_metrics()
        self.net.train(training)
        order = torch.randperm(len(x)) if training else torch.arange(len(x))
        loss_sum = 0.0
        with torch.set_grad_enabled(training):
            for idx in order.split(batch_size):
                outputs = self.net(x[idx])
                loss = self.loss(outputs, y[idx])
                if training:
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                loss_sum += loss.item() * len(idx)
                for m in self.metrics:
                    m.update(outputs, y[idx])
        logs = {"loss": loss_sum / len(x)}
        logs.update((m.name, m.result()) for m in self.metrics)
        return logs

    def fit(self, x, y, validation_data, epochs, batch_size=32, callbacks=()):
        for c in callbacks:
            c.set_model(self)
        for epoch in range(epochs):
            logs = self._run(x, y, batch_size, training=True)
            val_logs = self._run(*validation_data, batch_size, training=False)
            logs.update((f"val_{k}", v) for k, v in val_logs.items())
            for c in callbacks:
                c.on_epoch_end(epoch, logs)
        for c in callbacks:
            c.on_train_end()

    def evaluate(self, x, y, batch_size=80):
        return self._run(x, y, batch_size, training=False)


# ------------------------------------------------------------------ data
def gauge(sector, rng, side=28, zoom=4):
    s = side * zoom
    face, ink = rng.integers(140, 240), rng.integers(10, 90)
    canvas = Image.new("L", (s, s), int(rng.integers(70, 200)))
    d = ImageDraw.Draw(canvas)
    r = rng.uniform(0.30, 0.44) * s
    cx, cy = rng.uniform(r, s - r, 2)
    d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=int(face), outline=int(ink), width=zoom)
    a = (sector + rng.uniform(-0.42, 0.42)) * math.pi / 4
    dx, dy = math.cos(a), math.sin(a)
    tip, tail = rng.uniform(0.65, 0.9) * r, rng.uniform(0.2, 0.4) * r
    d.line([cx - tail * dx, cy - tail * dy, cx + tip * dx, cy + tip * dy], fill=int(ink), width=2 * zoom)
    small = np.asarray(canvas.resize((side, side), Image.BOX), dtype=np.float32) / 255
    glare = np.exp(-((np.mgrid[0:side, 0:side] - rng.uniform(0, side, (2, 1, 1))) ** 2).sum(0) / 40)
    return small + 0.3 * glare + rng.normal(0, 0.1, small.shape)


def gauges(n, rng):
    y = rng.permutation(np.arange(n) % 8)
    x = np.stack([gauge(int(k), rng) for k in y]).astype(np.float32)
    return torch.from_numpy((x[:, None] - 0.6) / 0.25), torch.from_numpy(y)


def main():
    torch.manual_seed(29)
    rng = np.random.default_rng(29)
    train, val, test = gauges(960, rng), gauges(240, rng), gauges(480, rng)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 49, 48), nn.ReLU(), nn.Linear(48, 8),
    )
    model = Model(net)
    model.compile(torch.optim.Adam(net.parameters(), lr=1.5e-3), nn.CrossEntropyLoss(), [Accuracy()])
    model.fit(*train, validation_data=val, epochs=10, callbacks=[ProgressLine(), RestoreBest()])
    result = model.evaluate(*test)
    print(f"test loss {result['loss']:.4f}, test accuracy {result['accuracy']:.4f}")


if __name__ == "__main__":
    main()
