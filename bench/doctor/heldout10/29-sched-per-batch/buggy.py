# %% [markdown]
# # Fabric textures: 5 weaves, inception-style net
# (exported from the notebook)

# %%
from collections import defaultdict
import math
import torch
from torch import nn

cfg = {
    "data": {"n_train": 1500, "n_val": 300, "n_test": 500, "px": 20, "weaves": 5},
    "optim": {"name": "adam", "lr": 3e-3, "batch": 50, "epochs": 7},
    "schedule": {"kind": "exponential", "gamma": 0.7, "advance_on": "batch_end"},
    "smoothing": 0.05,
    "seed": 77,
}


# %%
def weave(n, gen, px, kinds):
    """Each kind is a sum of gratings with its own pair of directions; phase, pitch and gain vary."""
    y = torch.arange(n) % kinds
    r, c = torch.meshgrid(torch.arange(px).float(), torch.arange(px).float(), indexing="ij")
    out = torch.zeros(n, 1, px, px)

    def u(lo, hi):
        return (lo + (hi - lo) * torch.rand(1, generator=gen)).item()

    for i in range(n):
        base = y[i].item() * math.pi / kinds + u(-0.25, 0.25)
        for off, gain in ((0.0, u(0.6, 1.0)), (u(0.9, 1.3), u(0.3, 0.9))):
            pitch = u(0.8, 1.5)
            out[i, 0] += gain * torch.sin(pitch * (r * math.sin(base + off) + c * math.cos(base + off)) + u(0, 6.3))
    return out + 0.9 * torch.randn(out.shape, generator=gen), y


d = cfg["data"]
gen = torch.Generator().manual_seed(cfg["seed"])
torch.manual_seed(cfg["seed"])
parts = {k: weave(d["n_" + k], gen, d["px"], d["weaves"]) for k in ("train", "val", "test")}
center, spread = parts["train"][0].mean(), parts["train"][0].std()
parts = {k: ((x - center) / spread, y) for k, (x, y) in parts.items()}


# %%
class Mix(nn.Module):
    def __init__(self, cin, a, b, c):
        super().__init__()
        self.one = nn.Conv2d(cin, a, 1, bias=False)
        self.three = nn.Conv2d(cin, b, 3, padding=1, bias=False)
        self.five = nn.Conv2d(cin, c, 5, padding=2, bias=False)
        self.bn = nn.BatchNorm2d(a + b + c)

    def forward(self, z):
        return nn.functional.elu(self.bn(torch.cat([self.one(z), self.three(z), self.five(z)], 1)))


net = nn.Sequential(
    Mix(1, 4, 8, 8), nn.AvgPool2d(2),
    Mix(20, 8, 16, 8), nn.AvgPool2d(2),
    Mix(32, 8, 24, 8),
    nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(40, d["weaves"]),
)

# %%
events = defaultdict(list)


def fire(name, *a):
    for fn in events[name]:
        fn(*a)


o = cfg["optim"]
opt = torch.optim.Adam(net.parameters(), lr=o["lr"])
sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=cfg["schedule"]["gamma"])
events[cfg["schedule"]["advance_on"]].append(lambda *_: sched.step())
events["epoch_end"].append(lambda ep, l: print(f"epoch {ep:2d}  loss {l:.4f}  val {rate('val'):.3f}"))


def soft(y):
    k = d["weaves"]
    t = torch.full((len(y), k), cfg["smoothing"] / k)
    t[torch.arange(len(y)), y] += 1 - cfg["smoothing"]
    return t


def rate(part):
    was = net.training
    net.eval()
    x, y = parts[part]
    with torch.no_grad():
        ok = (net(x).argmax(-1) == y).float().mean().item()
    net.train(was)
    return ok


# %%
x, y = parts["train"]
for ep in range(o["epochs"]):
    net.train()
    losses = []
    for rows in torch.randperm(len(x)).split(o["batch"]):
        opt.zero_grad()
        loss = -(soft(y[rows]) * net(x[rows]).log_softmax(-1)).sum(-1).mean()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        fire("batch_end", ep, loss.item())
    fire("epoch_end", ep, sum(losses) / len(losses))

# %%
print("accuracy on the test part:", round(rate("test"), 4))
