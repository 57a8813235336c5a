"""Camera traps in a forest reserve: which animal passed? (module and data module in the Lightning manner)"""
import re

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ANIMALS = ["badger", "fox", "marten", "roe deer"]
MAX_PAUSE = 60          # a longer pause between two shots of a camera means another visit
NAME = re.compile(r"cam(\d)_(\d+)_(\w[\w ]*)\.jpg")
H, W = 24, 32


# ------------------------------------------------------------------ what the cameras stored
def shoot(animal, visit, view, t, rng):
    size, leg, length, tail, coat = visit["body"]
    yy, xx = np.mgrid[:H, :W]
    cx = visit["x0"] + visit["speed"] * t
    cy = visit["ground"] - leg * size
    xx = (xx - cx) * visit["side"]
    trunk = np.exp(-((xx / (length * size)) ** 2 + ((yy - cy) / (0.55 * size)) ** 2) ** 2)
    head = np.exp(-(((xx - 1.15 * length * size) / (0.5 * size)) ** 2 + ((yy - cy + 0.5 * leg * size) / (0.45 * size)) ** 2) ** 2)
    brush = np.exp(-(((xx + (length + 0.5 * tail) * size) / (0.1 + 0.6 * tail * size)) ** 2 + ((yy - cy) / (0.2 * size)) ** 2) ** 2)
    legs = sum(np.exp(-((xx - k * length * size + 0.4 * np.sin(3 * t + k)) / 0.8) ** 2) for k in (-0.7, 0.7)) * (yy > cy) * (yy < visit["ground"])
    shape = np.maximum.reduce([trunk, head, brush, legs])
    img = view + visit["light"] + coat * shape * (1 - view)
    return (img + rng.normal(0, 0.04, img.shape)).astype(np.float32)


def read_cards(seed, cameras=4, visits=60):
    """All the pictures as {file name: pixels}; a name has camera, time of the shot and the keeper's label."""
    rng = np.random.default_rng(seed)
    pictures = {}
    for cam in range(cameras):
        view = gaussian_filter(rng.normal(0, 1, (H, W)), 2)
        view = 0.35 + 0.05 * view / view.std()
        clock = int(1_718_000_000_000 + rng.integers(10 ** 7))
        for v in range(visits):
            animal = ANIMALS[v % len(ANIMALS)]
            leg, length, tail = {"badger": (0.75, 1.35, 0.25), "fox": (1.1, 1.35, 1.0), "marten": (0.7, 1.7, 0.8),
                                 "roe deer": (1.8, 1.25, 0.1)}[animal]
            body = (rng.uniform(2.8, 3.6), leg * rng.lognormal(0, 0.07), length * rng.lognormal(0, 0.08),
                    max(0.05, tail + rng.normal(0, 0.1)), rng.uniform(0.5, 0.8))
            shade = gaussian_filter(rng.normal(0, 1, (H, W)), 5)
            visit = dict(body=body, x0=rng.uniform(13, 19), speed=rng.normal(0, 0.6), side=rng.choice([-1, 1]),
                         ground=rng.uniform(17.5, 20), light=rng.normal(0, 0.04) + 0.035 * shade / shade.std())
            clock += int(rng.integers(600_000, 20_000_000))
            for shot in range(5):
                clock += int(rng.integers(700, 4_000))
                pictures[f"cam{cam}_{clock}_{animal}.jpg"] = shoot(animal, visit, view, shot - 2, rng)
    return pictures


# ------------------------------------------------------------------ data module
class TrapData:
    def __init__(self, seed=0, batch_size=32):
        self.seed, self.batch_size = seed, batch_size

    def setup(self):
        pictures = read_cards(self.seed)
        visits, last = [], {}
        for name in sorted(pictures, key=lambda n: (NAME.match(n)[1], int(NAME.match(n)[2]))):
            cam, stamp, animal = NAME.match(name).groups()
            if cam not in last or int(stamp) - last[cam] > MAX_PAUSE:
                visits.append((animal, []))
            visits[-1][1].append(name)
            last[cam] = int(stamp)

        rng = np.random.default_rng(self.seed)
        names = {"fit": [], "validate": [], "test": []}
        for animal in ANIMALS:
            own = [shots for a, shots in visits if a == animal]
            order = rng.permutation(len(own))
            a, b = round(0.6 * len(own)), round(0.75 * len(own))
            for stage, chosen in zip(names, (order[:a], order[a:b], order[b:])):
                names[stage] += [n for i in chosen for n in own[i]]

        x = {s: torch.from_numpy(np.stack([pictures[n] for n in ns]))[:, None] for s, ns in names.items()}
        y = {s: torch.tensor([ANIMALS.index(NAME.match(n)[3]) for n in ns]) for s, ns in names.items()}
        mean, std = x["fit"].mean(), x["fit"].std()
        self.sets = {s: TensorDataset((x[s] - mean) / std, y[s]) for s in names}

    def loader(self, stage):
        fit = stage == "fit"
        return DataLoader(self.sets[stage], self.batch_size, shuffle=fit, drop_last=fit)


# ------------------------------------------------------------------ module
class TrapNet(nn.Module):
    def __init__(self, lr=1e-3):
        super().__init__()
        self.lr = lr
        self.net = nn.Sequential(
            nn.Conv2d(1, 20, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(20, 40, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(40, 48, 3, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Dropout(0.4), nn.Linear(48 * 6 * 8, 64), nn.ReLU(), nn.Linear(64, len(ANIMALS)))

    def training_step(self, batch):
        x, y = batch
        x = torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)
        return nn.functional.cross_entropy(self.net(x), y)

    def eval_step(self, batch):
        x, y = batch
        return (self.net(x).argmax(1) == y).sum().item(), len(y)

    def configure_optimizers(self):
        return torch.optim.NAdam(self.parameters(), lr=self.lr)


class MiniTrainer:
    def __init__(self, max_epochs):
        self.max_epochs = max_epochs

    def fit(self, module, data):
        optimizer, best = module.configure_optimizers(), -1.0
        for epoch in range(self.max_epochs):
            module.train()
            for batch in data.loader("fit"):
                optimizer.zero_grad()
                module.training_step(batch).backward()
                optimizer.step()
            acc = self.evaluate(module, data, "validate")
            print(f"epoch {epoch}: validate_acc={acc:.3f}")
            if acc > best:
                best, self.checkpoint = acc, {k: v.clone() for k, v in module.state_dict().items()}
        module.load_state_dict(self.checkpoint)

    @torch.inference_mode()
    def evaluate(self, module, data, stage):
        module.eval()
        hits, seen = map(sum, zip(*(module.eval_step(b) for b in data.loader(stage))))
        return hits / seen


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(9)
    data, module, trainer = TrapData(seed=9), TrapNet(), MiniTrainer(max_epochs=14)
    data.setup()
    trainer.fit(module, data)
    print(f"test_acc={trainer.evaluate(module, data, 'test'):.4f}")
