# Fabric weave recognition. Ported from our tf.keras notebook (Sequential / compile / fit).
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

CLASS_NAMES = ["plain", "twill", "satin", "basket", "herringbone"]
NUM_CLASSES = len(CLASS_NAMES)
IMG = 28
np.random.seed(42)
torch.manual_seed(42)


# --- scans ------------------------------------------------------------------
def weave(name):
    i, j = np.mgrid[:IMG, :IMG] + np.random.randint(0, 12, (2, 1, 1))
    p = np.random.choice([4, 5, 6])
    if name == "plain":
        t = ((i // (p // 2)) + (j // (p // 2))) % 2
    elif name == "twill":
        t = ((i + j) % p) < p / 2
    elif name == "satin":
        t = ((2 * i + j) % p == 0) | ((i + 3 * j) % (p + 1) == 0)
    elif name == "basket":
        t = ((i // p) + (j // p)) % 2
    else:
        t = ((i + np.abs(j % 14 - 7)) % p) < p / 2
    t = t.astype(np.float32)
    return np.random.uniform(60, 110) + np.random.uniform(50, 110) * t + np.random.normal(0, 22, t.shape)


def scan(name, bad_rate):
    img = weave(name)
    if np.random.rand() < bad_rate:      # fabric not flat on the glass: washed-out scan
        img = img.mean() + 0.08 * (img - img.mean())
    return img.clip(0, 255).astype(np.uint8)


def read_rolls(per_class, bad_rate=0.0):
    """Rolls are scanned class after class."""
    images, labels = [], []
    for k, name in enumerate(CLASS_NAMES):
        for _ in range(per_class):
            images.append(scan(name, bad_rate))
            labels.append(k)
    return images, labels


def usable(img):
    return img.std() > 12


def to_arrays(images, labels):
    pairs = list(zip(filter(usable, images), labels))
    x = np.stack([p[0] for p in pairs]).astype("float32")[..., np.newaxis] / 255.0
    y = np.eye(NUM_CLASSES, dtype="float32")[[p[1] for p in pairs]]
    return x, y


# --- the little bit of Keras that we used --------------------------------------
class Sequential(nn.Sequential):
    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer, loss
        return self

    def fit(self, x, y, batch_size=32, epochs=1):
        x, y = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(y)
        for epoch in range(epochs):
            self.train()
            order, logs = torch.randperm(len(x)), []
            for start in range(0, len(x), batch_size):
                take = order[start:start + batch_size]
                self.optimizer.zero_grad()
                out = self(x[take])
                loss = self.loss(out, y[take])
                loss.backward()
                self.optimizer.step()
                logs.append((loss.item(), (out.argmax(1) == y[take].argmax(1)).float().mean().item()))
            print("Epoch %d/%d - loss: %.4f - accuracy: %.4f" % ((epoch + 1, epochs) + tuple(np.mean(logs, axis=0))))

    @torch.no_grad()
    def evaluate(self, x, y):
        self.eval()
        p = self(torch.from_numpy(x).permute(0, 3, 1, 2)).argmax(1).numpy()
        t = y.argmax(1)
        table = np.zeros((NUM_CLASSES, NUM_CLASSES), int)
        np.add.at(table, (t, p), 1)
        print(table)
        return float((p == t).mean())


class Standardize(nn.Module):
    """keras.layers.Normalization after adapt()."""

    def __init__(self, x):
        super().__init__()
        self.register_buffer("mean", torch.tensor(float(x.mean())))
        self.register_buffer("std", torch.tensor(float(x.std())))

    def forward(self, t):
        return (t - self.mean) / self.std


def categorical_crossentropy(logits, target):
    return -(target * F.log_softmax(logits, -1)).sum(-1).mean()


if __name__ == "__main__":
    x_train, y_train = to_arrays(*read_rolls(240, bad_rate=0.14))
    x_test, y_test = to_arrays(*read_rolls(80))
    print("x_train", x_train.shape, "x_test", x_test.shape)

    model = Sequential(
        Standardize(x_train),
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, NUM_CLASSES),
    )
    model.compile(torch.optim.RMSprop(model.parameters(), lr=1.5e-3, alpha=0.9), categorical_crossentropy)
    model.fit(x_train, y_train, batch_size=32, epochs=12)
    print("test accuracy: %.4f" % model.evaluate(x_test, y_test))
