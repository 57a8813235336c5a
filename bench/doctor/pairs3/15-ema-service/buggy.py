"""Trains under autocast with an averaged copy of the weights, then scores raw camera frames."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

CLASSES = ("bowl", "plate", "fork", "knife")
SIDE = 20


def camera_frame(rng, cls):
    """uint8 HWC frame of a bright table with one darker object."""
    yy, xx = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2 - rng.uniform(-2, 2, (2, 1, 1))
    a = rng.uniform(0, math.pi)
    u, v = xx * math.cos(a) + yy * math.sin(a), yy * math.cos(a) - xx * math.sin(a)
    r = np.hypot(xx, yy)
    mask = [r < 6, (r < 7) & (r > 4.5), (abs(u) < 7) & (abs(abs(v) - 2) < 1), (abs(u) < 7) & (abs(v) < 1.5)][cls]
    table = rng.uniform(190, 225, 3) - mask[..., None] * rng.uniform(20, 50)
    return np.clip(table + rng.normal(0, 7, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


class Frames(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.labels = rng.permutation(np.arange(n) % len(CLASSES))
        self.frames = [camera_frame(rng, c) for c in self.labels]

    def __len__(self):
        return len(self.frames)

    def __getitem__(self, i):
        return self.frames[i], int(self.labels[i])


class Preprocess:
    def __init__(self, frames):
        flat = np.stack(frames).reshape(-1, 3) / 255.0
        self.mean = torch.tensor(flat.mean(0), dtype=torch.float32).view(3, 1, 1)
        self.std = torch.tensor(flat.std(0), dtype=torch.float32).view(3, 1, 1)

    @staticmethod
    def to_tensor(frames):
        return torch.as_tensor(frames).movedim(-1, 1).float() / 255

    def __call__(self, frames):
        return (self.to_tensor(frames) - self.mean) / self.std


class TableNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.c1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.c2 = nn.Conv2d(width, 2 * width, 3, 1, 1, bias=False)
        self.b1, self.b2 = nn.BatchNorm2d(width), nn.BatchNorm2d(2 * width)
        self.fc = nn.Linear(2 * width * 25, len(CLASSES))

    def forward(self, x):
        x = F.max_pool2d(F.silu(self.b1(self.c1(x))), 2)
        x = F.max_pool2d(F.silu(self.b2(self.c2(x))), 2)
        return self.fc(x.flatten(1))


class Service:
    """What is deployed: takes frames as the camera gives them."""

    def __init__(self, model, prep):
        self.model, self.prep = model.eval(), prep

    @torch.inference_mode()
    def __call__(self, frames):
        probs = self.model(self.prep.to_tensor(frames)).softmax(1)
        score, index = probs.max(1)
        return {"label": index, "score": score}


def fit(model, ema, loader, prep, epochs):
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(epochs):
        model.train()
        for frames, y in loader:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(prep(frames))
            loss = F.cross_entropy(logits.float(), y)
            opt.zero_grad(set_to_none=True)
            loss.backward()
            opt.step()
            ema.update_parameters(model)
        print(f"epoch {epoch}: {loss.item():.3f}")


def main():
    torch.manual_seed(14)
    train, test = Frames(480, seed=14), Frames(240, seed=15)
    prep = Preprocess(train.frames)
    model = TableNet()
    ema = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    fit(model, ema, DataLoader(train, 40, shuffle=True), prep, epochs=5)
    service = Service(ema, prep)
    hits = 0
    for frames, y in DataLoader(test, 120):
        hits += (service(frames)["label"] == y).sum().item()
    print(f"accuracy: {hits / len(test):.3f}")


if __name__ == "__main__":
    main()
