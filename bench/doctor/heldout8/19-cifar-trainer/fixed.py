import os
import random
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = 1234
KEEP = [0, 1, 6, 7]          # airplane, automobile, frog, horse


def load_images(per_class_train=350, per_class_test=100):
    root = os.environ.get("TENFOLD_DATA")
    folder = Path(root) / "cifar10" / "cifar-10-batches-bin" if root else None
    need = per_class_train + per_class_test
    xs, ys = [], []
    if folder is not None and (folder / "data_batch_1.bin").exists():
        raw = np.fromfile(folder / "data_batch_1.bin", dtype=np.uint8).reshape(-1, 3073)
        for new, old in enumerate(KEEP):
            rows = raw[raw[:, 0] == old][:need]
            xs.append(rows[:, 1:].reshape(-1, 3, 32, 32))
            ys.append(np.full(len(rows), new))
    else:
        rng = np.random.default_rng(SEED)
        yy, xx = np.mgrid[0:32, 0:32]
        for new in range(len(KEEP)):
            phase = rng.uniform(0, 6.28, (need, 3, 1, 1))
            wave = np.sin((xx * np.cos(new * 0.7) + yy * np.sin(new * 0.7)) * 0.6 + phase)
            img = 128 + 50 * wave + rng.normal(0, 45, (need, 3, 32, 32))
            xs.append(np.clip(img, 0, 255).astype(np.uint8))
            ys.append(np.full(need, new))
    tr = [(x[:per_class_train], y[:per_class_train]) for x, y in zip(xs, ys)]
    te = [(x[per_class_train:], y[per_class_train:]) for x, y in zip(xs, ys)]
    join = lambda parts: (np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts]))
    return join(tr), join(te)


class CropFlip:
    """The usual CIFAR augmentation on uint8 CHW arrays."""

    def __init__(self, pad=4):
        self.pad = pad

    def __call__(self, img):
        p = self.pad
        padded = np.pad(img, ((0, 0), (p, p), (p, p)), mode="reflect")
        top, left = np.random.randint(0, 2 * p + 1, size=2)
        img = padded[:, top:top + img.shape[1], left:left + img.shape[2]]
        if random.random() < 0.5:
            img = img[:, :, ::-1]
        return np.ascontiguousarray(img)


class ImageSet(Dataset):
    def __init__(self, images, labels, mean, std, transform=None):
        self.images, self.labels, self.transform = images, labels, transform
        self.mean = torch.tensor(mean).view(3, 1, 1)
        self.std = torch.tensor(std).view(3, 1, 1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        img = self.images[i]
        if self.transform:
            img = self.transform(img)
        x = torch.from_numpy(img).float() / 255
        return (x - self.mean) / self.std, int(self.labels[i])


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.short = nn.Identity()
        if stride != 1 or cin != cout:
            self.short = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        out = torch.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.relu(out + self.short(x))


class SmallResNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.body = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def init_worker(worker_id):
    seed = torch.initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


class Trainer:
    def __init__(self, model, train_set, test_set, epochs=5, lr=0.05, batch_size=50):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.model = model.to(self.device)
        self.epochs = epochs
        self.train_loader = DataLoader(train_set, batch_size, shuffle=True, drop_last=True,
                                       num_workers=2, worker_init_fn=init_worker)
        self.test_loader = DataLoader(test_set, 100)
        decay = [p for p in model.parameters() if p.ndim > 1]
        other = [p for p in model.parameters() if p.ndim <= 1]
        self.opt = torch.optim.SGD([{"params": decay, "weight_decay": 5e-4},
                                    {"params": other, "weight_decay": 0.0}],
                                   lr=lr, momentum=0.9, nesterov=True)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, epochs)
        self.criterion = nn.CrossEntropyLoss()

    def fit(self):
        for epoch in range(self.epochs):
            loss = self._epoch()
            self.sched.step()
            print(f"epoch {epoch + 1}/{self.epochs} loss {loss:.3f}")

    def _epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            x, y = x.to(self.device), y.to(self.device)
            self.opt.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.opt.step()
            total += loss.item()
        return total / len(self.train_loader)

    @torch.no_grad()
    def score(self):
        self.model.eval()
        hits = 0
        for x, y in self.test_loader:
            hits += (self.model(x.to(self.device)).argmax(1).cpu() == y).sum().item()
        return hits / len(self.test_loader.dataset)


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    (tr_x, tr_y), (te_x, te_y) = load_images()
    mean = (tr_x.mean((0, 2, 3)) / 255).astype(np.float32)
    std = (tr_x.std((0, 2, 3)) / 255).astype(np.float32)
    trainer = Trainer(SmallResNet(len(KEEP)),
                      ImageSet(tr_x, tr_y, mean, std, CropFlip()),
                      ImageSet(te_x, te_y, mean, std))
    trainer.fit()
    print(f"accuracy: {trainer.score():.3f}")


if __name__ == "__main__":
    main()
