"""Shape classifier that reads PNG files and a CSV manifest (id,label)."""
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

SHAPES = ("disc", "square", "triangle", "plus")


def write_dataset(folder, n, rng):
    rows = []
    for i in range(n):
        label = int(rng.integers(len(SHAPES)))
        bg, fg = int(rng.integers(20, 90)), int(rng.integers(150, 240))
        im = Image.new("L", (20, 20), bg)
        d = ImageDraw.Draw(im)
        cx, cy, r = rng.integers(8, 12), rng.integers(8, 12), rng.integers(5, 8)
        cx, cy, r = int(cx), int(cy), int(r)
        if label == 0:
            d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=fg)
        elif label == 1:
            d.rectangle((cx - r, cy - r, cx + r, cy + r), fill=fg)
        elif label == 2:
            d.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=fg)
        else:
            d.rectangle((cx - r, cy - 1, cx + r, cy + 1), fill=fg)
            d.rectangle((cx - 1, cy - r, cx + 1, cy + r), fill=fg)
        noisy = np.asarray(im, dtype=np.float32) + rng.normal(0, 28, (20, 20))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(os.path.join(folder, f"{i:05d}.png"))
        rows.append((i, label))
    np.savetxt(os.path.join(folder, "manifest.csv"), np.array(rows), fmt="%d", delimiter=",")


class ManifestDataset(Dataset):
    def __init__(self, folder):
        table = np.loadtxt(os.path.join(folder, "manifest.csv"), delimiter=",", dtype=np.int64)
        self.targets = torch.from_numpy(table[:, 1:])
        frames = [np.asarray(Image.open(os.path.join(folder, f"{i:05d}.png"))) for i in table[:, 0]]
        self.data = (torch.from_numpy(np.stack(frames)).float().unsqueeze(1) / 255 - 0.38) / 0.26

    def __len__(self):
        return len(self.targets)

    def __getitem__(self, i):
        return self.data[i], self.targets[i]


class ShapeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 5, padding=2)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(24 * 5 * 5, 40)
        self.fc2 = nn.Linear(40, len(SHAPES))
        self.log_softmax = nn.LogSoftmax(dim=1)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = torch.relu(self.fc1(x.flatten(1)))
        return self.log_softmax(self.fc2(x))


def run_epoch(model, loader, loss_fn, optimizer=None):
    model.train(optimizer is not None)
    seen, loss_sum, acc_sum = 0, 0.0, 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for xb, yb in loader:
            logp = model(xb)
            loss = loss_fn(logp, yb.squeeze(1))
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            pred = logp.argmax(dim=1)
            acc = (pred == yb.squeeze(1)).float().mean().item()
            seen += len(xb)
            loss_sum += loss.item() * len(xb)
            acc_sum += acc * len(xb)
    return loss_sum / seen, acc_sum / seen


def main():
    torch.manual_seed(21)
    rng = np.random.default_rng(21)
    with tempfile.TemporaryDirectory() as root:
        sets = {}
        for name, n in (("train", 1600), ("test", 480)):
            os.makedirs(os.path.join(root, name))
            write_dataset(os.path.join(root, name), n, rng)
            sets[name] = ManifestDataset(os.path.join(root, name))
    train_loader = DataLoader(sets["train"], batch_size=32, shuffle=True)
    test_loader = DataLoader(sets["test"], batch_size=96)
    model, loss_fn = ShapeNet(), nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1.5e-3)
    for epoch in range(1, 6):
        loss, _ = run_epoch(model, train_loader, loss_fn, optimizer)
        print(f"epoch {epoch}: train loss {loss:.3f}")
    test_loss, test_acc = run_epoch(model, test_loader, loss_fn)
    print(f"test loss {test_loss:.3f}")
    print(f"accuracy: {test_acc:.3f}")


if __name__ == "__main__":
    main()
