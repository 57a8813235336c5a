"""White blood cells. Our own slides (lab A) are few, so the training set is filled up
with slides from a partner (lab B), whose scanner software numbers the cell types its own way.
Validation and test use our own slides only."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

NAMES_A = ["basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil"]
NAMES_B = ["neutrophil", "lymphocyte", "monocyte", "eosinophil", "basophil"]
PX = 26


# ------------------------------------------------------------------ slides

def disc(cy, cx, r):
    yy, xx = np.ogrid[:PX, :PX]
    return (yy - cy) ** 2 + (xx - cx) ** 2 < r * r


def cell_image(name, rng):
    cy, cx = rng.uniform(11, 15, 2)
    r = rng.uniform(8, 10)
    body = disc(cy, cx, r)
    img = np.empty((3, PX, PX), np.float32)
    img[:] = np.array([0.90, 0.80, 0.82])[:, None, None]
    img[:, body] = np.array([0.80, 0.70, 0.85])[:, None]
    ang = rng.uniform(0, 2 * np.pi)

    def polar(d, t):
        return cy + d * np.sin(t), cx + d * np.cos(t)

    if name == "lymphocyte":
        nucleus = disc(cy, cx, 0.78 * r)
    elif name == "monocyte":
        nucleus = disc(cy, cx, 0.72 * r) & ~disc(*polar(0.6 * r, ang), 0.5 * r)
    elif name == "neutrophil":
        nucleus = np.zeros((PX, PX), bool)
        for k in range(rng.integers(3, 5)):
            nucleus |= disc(*polar(0.45 * r, ang + 1.5 * k), 0.27 * r)
    else:
        nucleus = disc(*polar(0.38 * r, ang), 0.34 * r) | disc(*polar(-0.38 * r, ang), 0.34 * r)
    img[:, nucleus] = np.array([0.40, 0.25, 0.60])[:, None]
    if name in ("eosinophil", "basophil"):
        dots = body & (rng.random((PX, PX)) < 0.35)
        tone = [0.95, 0.45, 0.45] if name == "eosinophil" else [0.25, 0.15, 0.45]
        img[:, dots] = np.array(tone)[:, None]
    stain = rng.normal(0, 0.07, (3, 1, 1)) + rng.normal(0, 0.11, (3, PX, PX))
    return (img * rng.uniform(0.75, 1.05) + stain).astype(np.float32)


def read_lab(names, n, rng):
    """Images and the numbers under which this lab files them."""
    y = rng.integers(0, len(names), n)
    return np.stack([cell_image(names[k], rng) for k in y]), y


def load_everything(rng):
    xa, ya = read_lab(NAMES_A, 1000, rng)
    xb, yb = read_lab(NAMES_B, 900, rng)
    b_to_a = np.array([NAMES_A.index(name) for name in NAMES_B])
    yb = b_to_a[yb]

    train = np.concatenate([xa[:300], xb]), np.concatenate([ya[:300], yb])
    val = xa[300:500], ya[300:500]
    test = xa[500:], ya[500:]
    mean = train[0].mean((0, 2, 3), keepdims=True)
    std = train[0].std((0, 2, 3), keepdims=True)
    return [(torch.from_numpy((x - mean) / std), torch.from_numpy(y)) for x, y in (train, val, test)]


# ------------------------------------------------------------------ trainer

class Callback:
    def on_epoch_end(self, trainer, logs): ...
    def on_train_end(self, trainer): ...


class PrintLogs(Callback):
    def on_epoch_end(self, trainer, logs):
        print("  ".join(f"{k}={v:.3f}" if isinstance(v, float) else f"{k}={v}" for k, v in logs.items()))


class KeepBest(Callback):
    def __init__(self):
        self.best, self.weights = float("inf"), None

    def on_epoch_end(self, trainer, logs):
        if logs["val_loss"] < self.best:
            self.best = logs["val_loss"]
            self.weights = {k: v.clone() for k, v in trainer.model.state_dict().items()}

    def on_train_end(self, trainer):
        trainer.model.load_state_dict(self.weights)


class Trainer:
    def __init__(self, model, optimizer, callbacks, batch_size=50):
        self.model, self.optimizer, self.callbacks, self.batch_size = model, optimizer, callbacks, batch_size

    def fit(self, train, val, epochs):
        x, y = train
        for epoch in range(epochs):
            self.model.train()
            losses = []
            for idx in torch.randperm(len(x)).split(self.batch_size):
                xb = x[idx]
                if torch.rand(()) < 0.5:
                    xb = xb.flip(-1)
                loss = F.cross_entropy(self.model(xb), y[idx])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            val_loss, val_acc = self.evaluate(*val)
            logs = {"epoch": epoch, "loss": float(np.mean(losses)), "val_loss": val_loss, "val_acc": val_acc}
            for cb in self.callbacks:
                cb.on_epoch_end(self, logs)
        for cb in self.callbacks:
            cb.on_train_end(self)

    @torch.no_grad()
    def evaluate(self, x, y):
        self.model.eval()
        out = torch.cat([self.model(part) for part in x.split(250)])
        return F.cross_entropy(out, y).item(), (out.argmax(1) == y).float().mean().item()


def build_model():
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 6 * 6, 48), nn.ReLU(), nn.Dropout(0.3), nn.Linear(48, len(NAMES_A)),
    )


if __name__ == "__main__":
    torch.manual_seed(8)
    train, val, test = load_everything(np.random.default_rng(8))
    model = build_model()
    trainer = Trainer(model, torch.optim.Adam(model.parameters(), lr=1e-3), [PrintLogs(), KeepBest()])
    trainer.fit(train, val, epochs=8)
    print("test (lab A): accuracy %.4f" % trainer.evaluate(*test)[1])
