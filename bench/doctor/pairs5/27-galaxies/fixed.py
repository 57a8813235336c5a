import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

torch.set_num_threads(1)
torch.manual_seed(2024)

# ----------------------------------------------------------------------------
# survey: simulated once, kept in memory as uint8 stamps like the real cut-outs
# ----------------------------------------------------------------------------
MORPHOLOGY = ("elliptical", "disk", "spiral", "ring")
SIZE = 24


def simulate_stamp(kind, rng):
    y, x = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
    x, y = x - rng.uniform(-2, 2), y - rng.uniform(-2, 2)
    pa, q = rng.uniform(0, np.pi), rng.uniform(0.5, 0.95)
    u = x * np.cos(pa) + y * np.sin(pa)
    v = (-x * np.sin(pa) + y * np.cos(pa)) / q
    r, phi = np.hypot(u, v), np.arctan2(v, u)
    scale = rng.uniform(2.4, 3.6)
    if kind == "elliptical":
        flux = np.exp(-2.2 * (r / scale) ** 0.5) * 3
    elif kind == "disk":
        flux = np.exp(-r / scale)
    elif kind == "spiral":
        hand = rng.choice([-1, 1])
        arms = 1 + 0.95 * np.cos(2 * (phi - hand * 2.4 * np.log(r / scale + 0.3)) + rng.uniform(0, 6.3))
        flux = np.exp(-r / (1.3 * scale)) * (0.25 + 0.75 * arms * (r > 1.2))
    else:
        flux = np.exp(-((r - 2 * scale) / 1.5) ** 2) * 0.5 + 0.6 * np.exp(-(r / 1.5) ** 2)
    sky = rng.uniform(0.05, 0.15)
    for _ in range(rng.integers(0, 3)):  # foreground stars
        sx, sy = rng.uniform(-SIZE / 2, SIZE / 2, 2)
        flux = flux + rng.uniform(0.3, 1.0) * np.exp(-((x - sx) ** 2 + (y - sy) ** 2) / 1.5)
    image = sky + rng.uniform(0.35, 0.8) * flux + rng.normal(0, 0.1, flux.shape)
    return np.uint8(255 * np.clip(image, 0, 1))


def simulate_survey(n, seed=8):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(MORPHOLOGY), n)
    return torch.from_numpy(np.stack([simulate_stamp(MORPHOLOGY[k], rng) for k in labels])), torch.from_numpy(labels)


STAMPS, LABELS = simulate_survey(1200)


# ----------------------------------------------------------------------------
# dataset
# ----------------------------------------------------------------------------
class GalaxyZoo(Dataset):
    """One part of the survey: 'train' (60 %), 'val' (15 %) or 'test' (25 %)."""

    BOUNDS = {"train": (0.00, 0.60), "val": (0.60, 0.75), "test": (0.75, 1.00)}

    def __init__(self, part, stats=None):
        start, stop = (round(f * len(LABELS)) for f in self.BOUNDS[part])
        order = torch.randperm(len(LABELS), generator=torch.Generator().manual_seed(99))
        self.indices = order[start:stop]
        self.stamps = STAMPS[self.indices].unsqueeze(1).float() / 255
        self.labels = LABELS[self.indices]
        self.stats = stats or (self.stamps.mean().item(), self.stamps.std().item())

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, i):
        mean, std = self.stats
        return (self.stamps[i] - mean) / std, self.labels[i]


train_set = GalaxyZoo("train")
val_set = GalaxyZoo("val", train_set.stats)
test_set = GalaxyZoo("test", train_set.stats)
train_loader = DataLoader(train_set, batch_size=30, shuffle=True)
val_loader = DataLoader(val_set, batch_size=180)
test_loader = DataLoader(test_set, batch_size=150)
print("stamps:", len(train_set), "train,", len(val_set), "val,", len(test_set), "test")

# ----------------------------------------------------------------------------
# model and training
# ----------------------------------------------------------------------------
net = nn.Sequential(
    nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(48 * 6 * 6, 96), nn.ReLU(), nn.Dropout(0.4),
    nn.Linear(96, len(MORPHOLOGY)),
)
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[14, 19], gamma=0.3)


def accuracy(loader):
    net.eval()
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (net(x).argmax(dim=1) == y).sum().item()
    return right / len(loader.dataset)


best_val, best_state = -1.0, None
for epoch in range(22):
    net.train()
    running = 0.0
    for x, y in train_loader:
        opt.zero_grad()
        loss = loss_fn(net(x), y)
        loss.backward()
        opt.step()
        running += loss.item() * y.size(0)
    sched.step()
    val = accuracy(val_loader)
    if val > best_val:
        best_val = val
        best_state = {k: v.clone() for k, v in net.state_dict().items()}
    if epoch % 5 == 0 or epoch == 21:
        print(f"epoch {epoch:2d} | loss {running / len(train_set):.3f} | val {val:.3f}")

net.load_state_dict(best_state)
print(f"test accuracy of the checkpoint with the best validation score: {accuracy(test_loader):.4f}")
