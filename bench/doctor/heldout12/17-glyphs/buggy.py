import math
import random
from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

HPARAMS = SimpleNamespace(
    seed=3, classes=6, width=20, max_lr=0.06, epochs=8, batch=40,
    smoothing=0.05, augment=True, shift=4, erase=13, noise=0.25,
)


# ---------------------------------------------------------------- data
STROKES = [
    [(2, 2, 14, 2), (8, 2, 8, 14)],                     # T
    [(2, 2, 2, 14), (2, 14, 14, 14)],                   # L
    [(2, 2, 14, 14), (14, 2, 2, 14)],                   # X
    [(2, 14, 8, 2), (8, 2, 14, 14)],                    # A without the bar
    [(2, 2, 2, 14), (14, 2, 14, 14), (2, 8, 14, 8)],    # H
    [(2, 2, 14, 2), (14, 2, 2, 14), (2, 14, 14, 14)],   # Z
]


def render(rnd, label, side=32):
    ink, paper = rnd.randint(120, 230), rnd.randint(10, 90)
    im = Image.new("L", (side, side), paper)
    pen = ImageDraw.Draw(im)
    scale = rnd.uniform(0.9, 1.4)
    a = math.radians(rnd.uniform(-18, 18))
    ox, oy = side / 2 + rnd.uniform(-3, 3), side / 2 + rnd.uniform(-3, 3)

    def place(x, y):
        x, y = (x - 8 + rnd.gauss(0, .7)) * scale, (y - 8 + rnd.gauss(0, .7)) * scale
        return ox + x * math.cos(a) - y * math.sin(a), oy + x * math.sin(a) + y * math.cos(a)

    for x0, y0, x1, y1 in STROKES[label]:
        pen.line([place(x0, y0), place(x1, y1)], fill=ink, width=rnd.randint(1, 3))
    arr = np.asarray(im, dtype=np.float32)
    arr = arr + np.random.normal(0, 14, arr.shape)
    return np.clip(arr, 0, 255) / 255


def tensors(rnd, n):
    labels = [i % HPARAMS.classes for i in range(n)]
    rnd.shuffle(labels)
    imgs = np.stack([render(rnd, k) for k in labels])[:, None].astype("float32")
    return TensorDataset(torch.from_numpy(imgs), torch.tensor(labels))


# ---------------------------------------------------------------- module
class GlyphModule(nn.Module):
    """Network, steps and optimiser in one place; the Trainer below drives it."""

    def __init__(self, hparams, mean, std):
        super().__init__()
        self.hparams = hparams
        w = hparams.width
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.features = nn.Sequential(
            nn.Conv2d(1, w, 5, stride=2, padding=2, bias=False), nn.BatchNorm2d(w), nn.SiLU(),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(2 * w), nn.SiLU(),
            nn.Conv2d(2 * w, 2 * w, 3, padding=1, bias=False), nn.BatchNorm2d(2 * w), nn.SiLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(2 * w * 16, hparams.classes))

    def forward(self, x):
        return self.head(self.features(x))

    def augment(self, x):
        h = self.hparams
        n, _, rows, cols = x.shape
        x = F.pad(x, [h.shift] * 4, mode="replicate")
        out = []
        for img in x:
            i, j = torch.randint(0, 2 * h.shift + 1, (2,)).tolist()
            img = img[:, i:i + rows, j:j + cols].clone()
            i, j = torch.randint(0, rows - h.erase + 1, (2,)).tolist()
            img[:, i:i + h.erase, j:j + h.erase] = 0.0
            out.append(img)
        x = torch.stack(out)
        return x * torch.empty(n, 1, 1, 1).uniform_(0.8, 1.2) + h.noise * torch.randn_like(x)

    def _shared_step(self, batch):
        x, y = batch
        x = (x - self.mean) / self.std
        if self.hparams.augment:
            x = self.augment(x)
        logits = self(x)
        loss = F.cross_entropy(logits, y, label_smoothing=self.hparams.smoothing)
        return loss, (logits.argmax(1) == y).float().mean()

    def training_step(self, batch):
        return self._shared_step(batch)

    def validation_step(self, batch):
        return self._shared_step(batch)

    def configure_optimizers(self, steps):
        opt = torch.optim.SGD(self.parameters(), lr=self.hparams.max_lr, momentum=0.9, nesterov=True)
        sched = torch.optim.lr_scheduler.OneCycleLR(opt, self.hparams.max_lr, total_steps=steps)
        return opt, sched


# ---------------------------------------------------------------- trainer
class Trainer:
    def __init__(self, epochs):
        self.epochs = epochs
        self.best = (-1.0, None)

    def fit(self, module, train, val):
        opt, sched = module.configure_optimizers(self.epochs * len(train))
        for epoch in range(self.epochs):
            module.train()
            total = 0.0
            for batch in train:
                loss, _ = module.training_step(batch)
                opt.zero_grad(set_to_none=True)
                loss.backward()
                opt.step()
                sched.step()
                total += loss.item()
            val_loss, val_acc = self.validate(module, val)
            print(f"[{epoch}] train_loss={total / len(train):.3f} val_loss={val_loss:.3f} val_acc={val_acc:.3f}")
            if val_acc > self.best[0]:
                self.best = (val_acc, {k: v.clone() for k, v in module.state_dict().items()})
        module.load_state_dict(self.best[1])

    @torch.no_grad()
    def validate(self, module, loader):
        module.eval()
        loss_sum = acc_sum = seen = 0
        for batch in loader:
            loss, acc = module.validation_step(batch)
            k = len(batch[1])
            loss_sum, acc_sum, seen = loss_sum + loss.item() * k, acc_sum + acc.item() * k, seen + k
        return loss_sum / seen, acc_sum / seen


def main():
    torch.set_num_threads(1)
    torch.manual_seed(HPARAMS.seed)
    np.random.seed(HPARAMS.seed)
    rnd = random.Random(HPARAMS.seed)
    train, val, test = (tensors(rnd, n) for n in (1000, 300, 400))
    pixels = train.tensors[0]
    module = GlyphModule(HPARAMS, pixels.mean().item(), pixels.std().item())

    trainer = Trainer(HPARAMS.epochs)
    trainer.fit(module, DataLoader(train, HPARAMS.batch, shuffle=True), DataLoader(val, 100))
    _, acc = trainer.validate(module, DataLoader(test, 100))
    print(f"test_acc={acc:.4f}")


if __name__ == "__main__":
    main()
