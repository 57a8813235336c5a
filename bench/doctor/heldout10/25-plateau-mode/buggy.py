# gauge_reader.py -- which eighth of the dial does the needle point to?
# Ported from our Keras notebook (ModelCheckpoint removed, ReduceLROnPlateau kept).
import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset

SIZE = 28
SECTORS = 8


def draw_gauges(n, seed):
    rng = np.random.default_rng(seed)
    yy, xx = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32)
    imgs = np.empty((n, 1, SIZE, SIZE), np.float32)
    labels = np.arange(n) % SECTORS
    rng.shuffle(labels)
    for i, k in enumerate(labels):
        cx, cy = 13.5 + rng.uniform(-2, 2, 2)
        ang = (k + rng.uniform(0.06, 0.94)) * 2 * np.pi / SECTORS
        length = rng.uniform(7, 11)
        dx, dy = xx - cx, yy - cy
        along = dx * np.cos(ang) + dy * np.sin(ang)
        across = np.abs(-dx * np.sin(ang) + dy * np.cos(ang))
        needle = ((along > -1.5) & (along < length) & (across < rng.uniform(0.8, 1.3))).astype(np.float32)
        rim = (np.abs(np.hypot(dx, dy) - 11.5) < 0.8).astype(np.float32)
        # a stray scratch on the glass
        s = rng.uniform(0, np.pi)
        scratch = (np.abs(dx * np.sin(s) + dy * np.cos(s) - rng.uniform(-8, 8)) < 0.5) * 0.5
        img = 0.7 * needle + 0.4 * rim + scratch + rng.normal(0, 0.16, (SIZE, SIZE))
        imgs[i, 0] = img
    return torch.from_numpy(imgs), torch.from_numpy(labels.astype(np.int64))


class ResUnit(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(c_out)
        self.skip = nn.Conv2d(c_in, c_out, 1, stride)

    def forward(self, x):
        out = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(out)) + self.skip(x))


def build_model():
    return nn.Sequential(
        ResUnit(1, 12, 2),
        ResUnit(12, 24, 2),
        nn.Flatten(),
        nn.Linear(24 * 7 * 7, SECTORS),
    )


def run_eval(model, loader, loss_fn):
    model.eval()
    loss, hit, n = 0.0, 0, 0
    with torch.no_grad():
        for images, target in loader:
            logits = model(images)
            loss += loss_fn(logits, target).item() * len(target)
            hit += (logits.argmax(dim=1) == target).sum().item()
            n += len(target)
    return {"loss": loss / n, "accuracy": hit / n}


torch.manual_seed(11)
x_train, y_train = draw_gauges(1920, seed=1)
x_val, y_val = draw_gauges(400, seed=2)
x_test, y_test = draw_gauges(600, seed=3)
mu, sigma = x_train.mean(), x_train.std()
train_ds = TensorDataset((x_train - mu) / sigma, y_train)
val_ds = TensorDataset((x_val - mu) / sigma, y_val)
test_ds = TensorDataset((x_test - mu) / sigma, y_test)

train_dl = DataLoader(train_ds, batch_size=64, shuffle=True)
val_dl = DataLoader(val_ds, batch_size=200)
test_dl = DataLoader(test_ds, batch_size=200)

model = build_model()
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.004, momentum=0.9)
# Keras: ReduceLROnPlateau(monitor="val_accuracy", factor=0.1, patience=1)
plateau = ReduceLROnPlateau(optimizer, factor=0.1, patience=1)

for epoch in range(10):
    model.train()
    total = 0.0
    for images, target in train_dl:
        optimizer.zero_grad()
        loss = loss_fn(model(images), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    logs = run_eval(model, val_dl, loss_fn)
    plateau.step(logs["accuracy"])
    print(f"Epoch {epoch + 1}/10 - loss: {total / len(train_dl):.4f} - val_loss: {logs['loss']:.4f}"
          f" - val_accuracy: {logs['accuracy']:.4f} - lr: {optimizer.param_groups[0]['lr']:.2e}")

print("test:", run_eval(model, test_dl, loss_fn))
