import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.conv = nn.Conv2d(c_in, c_out, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return F.max_pool2d(F.relu(self.norm(self.conv(x))), 2)


class Net(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.block1 = Block(3, 16)
        self.block2 = Block(16, 32)
        self.head = nn.Linear(32 * 16, classes)

    def forward(self, x):
        return self.head(self.block2(self.block1(x)).flatten(1))


def param_groups(model, weight_decay):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if "bn" in name:
            no_decay.append(p)
        else:
            decay.append(p)
    groups = [{"params": decay, "weight_decay": weight_decay}]
    if no_decay:
        groups.append({"params": no_decay, "weight_decay": 0.0})
    return groups


def make_set(n, g):
    """Frames of a moving dot overlaid in the colour channels; five directions of movement."""
    moves = torch.tensor([[0, 3], [3, 0], [0, -3], [-3, 0], [0, 0]])
    y = torch.randint(0, 5, (n,), generator=g)
    x = torch.randn(n, 3, 16, 16, generator=g) * 0.3
    start = torch.randint(6, 9, (n, 2), generator=g)
    for i in range(n):
        for frame in range(3):
            r, c = (start[i] + (frame - 1) * moves[y[i]]).tolist()
            x[i, frame, r : r + 2, c : c + 2] += 1
    return x, y


def train_one_epoch(model, x, y, optimizer, g):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(x), generator=g).split(50):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
        total += loss.item() * len(idx)
    return total / len(x)


if __name__ == "__main__":
    torch.manual_seed(14)
    g = torch.Generator().manual_seed(14)
    x, y = make_set(1200, g)
    xv, yv = make_set(400, g)
    model = Net()
    optimizer = torch.optim.AdamW(param_groups(model, weight_decay=0.05), lr=2e-3)
    for epoch in range(5):
        print(epoch, train_one_epoch(model, x, y, optimizer, g))
    model.eval()
    with torch.no_grad():
        acc = (model(xv).argmax(1) == yv).float().mean().item()
    print(f"accuracy: {acc:.4f}")
