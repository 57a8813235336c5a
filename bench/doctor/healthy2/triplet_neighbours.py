"""Metric learning: no classifier at all.

The net maps a picture to a unit vector; a triplet loss pulls pictures of the
same kind together.  A validation picture gets the label of its nearest
neighbours among the *training* embeddings.
"""
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Sampler, TensorDataset

KINDS, SIDE = 5, 20


def polygons(count, rng):
    """Filled shapes r(phi) = r0 * (1 + a cos(k phi)), k = 2..6 lobes."""
    kind = rng.integers(0, KINDS, count)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    cx, cy = rng.uniform(8.5, 10.5, (2, count, 1, 1))
    dx, dy = xx - cx, yy - cy
    phi, r = np.arctan2(dy, dx), np.hypot(dx, dy)
    lobes = (kind + 2)[:, None, None]
    edge = rng.uniform(5, 6.2, (count, 1, 1)) * (1 + 0.4 * np.cos(lobes * phi + rng.uniform(0, 6.28, (count, 1, 1))))
    img = 1 / (1 + np.exp(-2 * (edge - r)))
    img = img * rng.uniform(0.7, 1.3, (count, 1, 1)) + rng.normal(0, 0.1, img.shape)
    return torch.from_numpy(((img - 0.35) / 0.45).astype(np.float32))[:, None], torch.from_numpy(kind)


class BalancedBatches(Sampler):
    """Every batch holds `per` pictures of each kind, drawn anew each epoch."""

    def __init__(self, labels, per, batches):
        self.groups = [torch.nonzero(labels == k).flatten() for k in range(KINDS)]
        self.per, self.batches = per, batches

    def __len__(self):
        return self.batches

    def __iter__(self):
        for _ in range(self.batches):
            yield torch.cat([g[torch.randperm(len(g))[: self.per]] for g in self.groups]).tolist()


class Embedder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        chans = [1, 16, 32, 32]
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(chans, chans[1:]))
        self.project = nn.Linear(32 * 5 * 5, dim, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.stages[0](x), 2)
        x = F.max_pool2d(self.stages[1](x), 2)
        x = self.stages[2](x)
        return F.normalize(self.project(x.flatten(1)), dim=1)


def hard_triplets(z, y, margin=0.3):
    d = torch.cdist(z, z)
    same = y[:, None] == y[None, :]
    eye = torch.eye(len(y), dtype=torch.bool)
    # mean distance to the positives against the nearest negative
    pos = (d * (same & ~eye)).sum(1) / (same & ~eye).sum(1)
    neg = d.masked_fill(same, float("inf")).min(1).values
    return F.relu(pos - neg + margin).mean()


def main():
    torch.manual_seed(8)
    rng = np.random.default_rng(8)
    x, y = polygons(1000, rng)
    xv, yv = polygons(300, rng)
    loader = DataLoader(TensorDataset(x, y), batch_sampler=BalancedBatches(y, per=10, batches=20))
    net = Embedder()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(7):
        net.train()
        seen = []
        for xb, yb in loader:
            loss = hard_triplets(net(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            seen.append(loss.item())
        print(f"epoch {epoch}: triplet loss {np.mean(seen):.3f}")

    net.eval()
    with torch.inference_mode():
        gallery, query = net(x), net(xv)
        nearest = torch.cdist(query, gallery).topk(7, largest=False).indices
        vote = torch.mode(y[nearest], dim=1).values
    print(f"accuracy: {(vote == yv).float().mean().item():.3f}")


if __name__ == "__main__":
    main()
