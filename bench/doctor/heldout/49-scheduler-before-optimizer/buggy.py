import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import ExponentialLR


def plus_minus(n, g):
    """plus, minus, times or divide sign, dark on light"""
    y = torch.randint(0, 4, (n,), generator=g)
    x = 0.9 - 0.25 * torch.rand(n, 1, 15, 15, generator=g)
    for i in range(n):
        s = torch.zeros(7, 7)
        k = int(y[i])
        if k in (0, 1, 3):
            s[3, :] = 1
        if k == 0:
            s[:, 3] = 1
        if k == 2:
            s += torch.eye(7) + torch.eye(7).flip(1)
        if k == 3:
            s[0:2, 3] = s[5:7, 3] = 1
        a, b = torch.randint(0, 9, (2,), generator=g).tolist()
        x[i, 0, a : a + 7, b : b + 7] -= 0.5 * s.clamp(max=1)
    return (x - 0.75) / 0.15, y


class SignNet(nn.Module):
    def __init__(self, p_drop: float = 0.2):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=3)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=3)
        self.drop = nn.Dropout(p_drop)
        self.fc = nn.Linear(20 * 4, 4)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        return self.fc(self.drop(x.flatten(1)))


def run(max_epoch=10, bs=20, base_lr=0.03):
    torch.manual_seed(15)
    g = torch.Generator().manual_seed(16)
    tx, ty = plus_minus(1000, g)
    vx, vy = plus_minus(400, g)
    net = SignNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=base_lr, momentum=0.9)
    scheduler = ExponentialLR(optimizer, gamma=0.8)
    for epoch in range(max_epoch):
        scheduler.step()
        net.train()
        for j in torch.randperm(len(tx), generator=g).split(bs):
            optimizer.zero_grad()
            loss = F.cross_entropy(net(tx[j]), ty[j])
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            acc = (net(vx).argmax(1) == vy).float().mean().item()
        print(f"{epoch:2d} lr {optimizer.param_groups[0]['lr']:.4f} loss {loss.item():.4f} acc {acc:.4f}")
    return acc


if __name__ == "__main__":
    print(f"accuracy: {run():.4f}")
