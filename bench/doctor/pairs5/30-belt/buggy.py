"""Classify parcels on a conveyor belt; one recording session = one folder of frames and one label list."""
from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

log = logging.getLogger("belt")


@dataclass
class Config:
    kinds: tuple[str, ...] = ("box", "tube", "bag", "envelope", "crate")
    side: int = 24
    # frames recorded in each session
    frames: dict[int, int] = field(default_factory=lambda: {
        1: 88, 2: 124, 3: 96, 4: 131, 5: 91, 6: 117, 7: 85, 8: 99, 9: 128, 10: 94, 11: 120, 12: 90})
    train_sessions: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7, 8)
    val_sessions: tuple[int, ...] = (10, 11)
    test_sessions: tuple[int, ...] = (9, 12)
    batch: int = 32
    epochs: int = 14
    lr: float = 0.04
    momentum: float = 0.9
    seed: int = 21


# ------------------------------------------------------------------ recording
def record_frame(kind: str, side: int, belt: float, rng: np.random.Generator) -> np.ndarray:
    yy, xx = np.mgrid[:side, :side] - (side - 1) / 2
    dx, dy = rng.uniform(-3, 3, 2)
    a = rng.uniform(-0.6, 0.6)
    u = (xx - dx) * np.cos(a) + (yy - dy) * np.sin(a)
    v = -(xx - dx) * np.sin(a) + (yy - dy) * np.cos(a)
    k, bright = rng.uniform(0.85, 1.15), rng.uniform(0.45, 0.85)
    if kind == "box":
        m = (abs(u) < 6 * k) & (abs(v) < 6 * k)
        value = bright * np.where(abs(v) < 1, 1.3, 1.0)
    elif kind == "tube":
        m = (abs(u) < 9 * k) & (abs(v) < 3 * k)
        value = bright * (1.2 - 0.06 * v ** 2)
    elif kind == "bag":
        m = (u / 7) ** 2 + (v / 6) ** 2 < k ** 2
        value = bright * (1 - 0.05 * v)
    elif kind == "envelope":
        m = (abs(u) < 8 * k) & (abs(v) < 5 * k)
        value = bright * np.where(abs(abs(u) * 0.6 + v) < 1, 0.7, 1.1)
    else:
        m = (abs(u) < 7 * k) & (abs(v) < 6 * k)
        value = bright * np.where(np.floor(v / 2) % 2 == 0, 1.2, 0.7)
    frame = np.where(m, value, belt + 0.04 * np.sin(yy * 2)) + rng.normal(0, 0.17, (side, side))
    return np.uint8(255 * np.clip(frame, 0, 1))


def record_sessions(root: Path, cfg: Config) -> None:
    rng = np.random.default_rng(cfg.seed)
    for session, n in cfg.frames.items():
        folder = root / f"session_{session:02d}"
        folder.mkdir()
        belt = rng.uniform(0.15, 0.35)
        kinds = rng.choice(cfg.kinds, n)
        for i, kind in enumerate(kinds):
            Image.fromarray(record_frame(kind, cfg.side, belt, rng)).save(folder / f"frame_{i:02d}.png")
        (folder / "labels.txt").write_text("\n".join(kinds) + "\n")  # line i belongs to frame i


# ------------------------------------------------------------------ loading
def load_session(folder: Path, cfg: Config) -> tuple[Tensor, Tensor]:
    paths = sorted(folder.glob("frame_*.png"))
    names = (folder / "labels.txt").read_text().split()
    if len(paths) != len(names):
        raise ValueError(f"{folder}: {len(paths)} frames but {len(names)} labels")
    x = np.stack([np.asarray(Image.open(p)) for p in paths])
    y = [cfg.kinds.index(name) for name in names]
    return torch.from_numpy(x).float().div_(255).unsqueeze_(1), torch.tensor(y)


def load(root: Path, sessions: tuple[int, ...], cfg: Config) -> tuple[Tensor, Tensor]:
    parts = [load_session(root / f"session_{s:02d}", cfg) for s in sessions]
    return torch.cat([x for x, _ in parts]), torch.cat([y for _, y in parts])


# ------------------------------------------------------------------ model
class BeltNet(nn.Module):
    def __init__(self, n_classes: int, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        layers: list[nn.Module] = []
        for c_in, c_out, pool in ((1, 16, True), (16, 32, True), (32, 32, False)):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1), nn.GroupNorm(4, c_out), nn.SiLU()]
            if pool:
                layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 6 * 6, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features((x - self.mean) / self.std))


def score(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    with torch.inference_mode():
        return (model(x).argmax(1) == y).float().mean().item()


def jitter(x: Tensor) -> Tensor:
    """Shift every batch by up to two pixels and vary its exposure."""
    dy, dx = torch.randint(-2, 3, (2,)).tolist()
    x = nn.functional.pad(x, (2, 2, 2, 2), mode="replicate")[..., 2 + dy:x.shape[-2] + 2 + dy, 2 + dx:x.shape[-1] + 2 + dx]
    return x * torch.empty(len(x), 1, 1, 1).uniform_(0.9, 1.1)


def run(cfg: Config) -> float:
    torch.manual_seed(cfg.seed)
    with tempfile.TemporaryDirectory() as tmp:
        root = Path(tmp)
        record_sessions(root, cfg)
        x, y = load(root, cfg.train_sessions, cfg)
        x_val, y_val = load(root, cfg.val_sessions, cfg)
        x_test, y_test = load(root, cfg.test_sessions, cfg)
    log.info("frames: %d train, %d val, %d test", len(y), len(y_val), len(y_test))

    model = BeltNet(len(cfg.kinds), x.mean(), x.std())
    optimizer = torch.optim.SGD(model.parameters(), lr=cfg.lr, momentum=cfg.momentum, nesterov=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg.epochs)
    for epoch in range(cfg.epochs):
        model.train()
        losses = []
        for idx in torch.randperm(len(y)).split(cfg.batch):
            loss = nn.functional.cross_entropy(model(jitter(x[idx])), y[idx])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        log.info("epoch %2d  loss %.3f  val %.3f", epoch + 1, sum(losses) / len(losses), score(model, x_val, y_val))
    return score(model, x_test, y_test)


if __name__ == "__main__":
    torch.set_num_threads(1)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    print(f"test accuracy = {run(Config()):.4f}", flush=True)
