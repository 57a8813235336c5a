import torch
import torch.nn as nn
import torch.nn.functional as F


class PrototypeNet(nn.Module):
    """Embeds an image and compares it with one learnt prototype per class; near means likely."""

    def __init__(self, n_ids, dim=64):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.embed = nn.Linear(32 * 4 * 4, dim)
        self.prototypes = nn.Parameter(torch.randn(n_ids, dim))

    def forward(self, x):
        z = self.embed(self.features(x).flatten(1))
        return (z[:, None, :] - self.prototypes[None]).pow(2).sum(-1)


def prototype_loss(dist, target):
    """Negative log likelihood of the true class under p(k) ~ exp(-distance)."""
    w = torch.exp(-dist)
    p = w / w.sum(dim=1, keepdim=True)
    return -torch.log(p[torch.arange(len(target)), target]).mean()


class Flags:
    """Tiny flags: `n_ids` fixed three-stripe colour patterns, some of them upright."""

    def __init__(self, n_ids, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.n_ids = n_ids
        self.colours = torch.rand(n_ids, 3, 3, generator=self.g)
        self.upright = torch.arange(n_ids) % 2 == 0

    def sample(self, n):
        ids = torch.randint(self.n_ids, (n,), generator=self.g)
        x = torch.empty(n, 3, 18, 18)
        for i, k in enumerate(ids.tolist()):
            stripes = self.colours[k].repeat_interleave(6, 1)  # channel x 18
            flag = stripes[:, None, :].expand(3, 18, 18)
            if self.upright[k]:
                flag = flag.transpose(1, 2)
            roll = torch.randint(-3, 4, (2,), generator=self.g).tolist()
            x[i] = torch.roll(flag, roll, (1, 2)) * (0.7 + 0.5 * torch.rand(1, generator=self.g))
        x += 0.2 * torch.randn(x.shape, generator=self.g)
        return (x - 0.48) / 0.36, ids


def main():
    torch.manual_seed(4)
    flags = Flags(n_ids=10, seed=4)
    xt, yt = flags.sample(1200)
    xv, yv = flags.sample(300)
    model = PrototypeNet(flags.n_ids)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(8):
        model.train()
        for idx in torch.randperm(len(xt)).split(40):
            optimizer.zero_grad()
            loss = prototype_loss(model(xt[idx]), yt[idx])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            acc = model(xv).argmin(1).eq(yv).float().mean().item()
        print(f"epoch {epoch + 1}\tloss {loss.item():.4f}\tval {acc:.3f}")
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
