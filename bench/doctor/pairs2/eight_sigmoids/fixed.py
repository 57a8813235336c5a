import torch
from torch import nn, optim
from torch.utils.data import DataLoader, random_split

ACT = nn.ReLU


class Deep(nn.Module):
    def __init__(self, depth=8, width=16):
        super().__init__()
        stack = []
        for i in range(depth):
            stack.append(nn.Conv2d(1 if i == 0 else width, width, 3, stride=2 if i == 0 else 1, padding=1))
            stack.append(ACT())
        self.stack = nn.Sequential(*stack)
        self.pool = nn.AdaptiveAvgPool2d(3)
        self.fc = nn.Linear(width * 9, 4)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_uniform_(m.weight, nonlinearity="relu")

    def forward(self, x):
        return self.fc(self.pool(self.stack(x)).flatten(1))


def corners(n=1600):
    """An L-shaped hook in one of four orientations."""
    hook = torch.zeros(7, 7)
    hook[:, :2] = 1
    hook[5:, :] = 1
    out = []
    for _ in range(n):
        k = int(torch.randint(4, (1,)))
        img = torch.randn(1, 18, 18) * 0.4
        i, j = torch.randint(0, 11, (2,)).tolist()
        img[0, i:i + 7, j:j + 7] += torch.rot90(hook, k)
        out.append((img, k))
    return out


def main():
    torch.manual_seed(77)
    train, valid = random_split(corners(), [1200, 400])
    net = Deep()
    optimizer = optim.Adam(net.parameters(), lr=1e-3)
    for epoch in range(8):
        net.train()
        for step, (img, k) in enumerate(DataLoader(train, batch_size=40, shuffle=True)):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(img), k)
            loss.backward()
            optimizer.step()
            if step == 29:
                print(f"epoch {epoch} step {step} loss {loss.item():.3f}")
    net.eval()
    with torch.no_grad():
        n = sum((net(img).argmax(1) == k).sum().item() for img, k in DataLoader(valid, batch_size=80))
    print(f"accuracy: {n / len(valid):.3f}")


main()
