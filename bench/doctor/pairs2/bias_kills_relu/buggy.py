import torch
import torch.nn as nn
import torch.nn.init as init


def weights_init(m):
    if isinstance(m, nn.Conv2d):
        init.kaiming_normal_(m.weight, nonlinearity="relu")
        init.constant_(m.bias, -3.0)
    elif isinstance(m, nn.Linear):
        init.xavier_uniform_(m.weight)
        init.zeros_(m.bias)


class Block(nn.Module):
    def __init__(self, cin, cout, pool=True):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, 3, padding=1)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(2) if pool else nn.Identity()

    def forward(self, x):
        return self.pool(self.act(self.conv(x)))


class CountNet(nn.Module):
    """How many dots are there, 1 to 5?"""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(Block(1, 16), Block(16, 24), Block(24, 32, False), Block(32, 32, False))
        self.fc = nn.Linear(32 * 36, 5)
        self.apply(weights_init)

    def forward(self, x):
        return self.fc(self.blocks(x).flatten(1))


def dots(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 5, (n,), generator=g)
    x = torch.zeros(n, 1, 24, 24)
    for i in range(n):
        cells = torch.randperm(16, generator=g)[:int(y[i]) + 1].tolist()
        for c in cells:
            top, left = 6 * (c // 4) + 1, 6 * (c % 4) + 1
            x[i, 0, top:top + 4, left:left + 4] = 0.8 + 0.2 * torch.rand(1, generator=g)
    x += 0.1 * torch.randn(x.shape, generator=g)
    return (x - x.mean()) / x.std(), y


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def run(epochs=7, batch=50, lr=0.004):
    torch.manual_seed(31)
    x, y = dots(1500, 0)
    tx, ty = dots(500, 1)
    model = CountNet()
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    lossf = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        acc_loss = 0.0
        order = torch.randperm(len(y))
        for idx in order.split(batch):
            xb, yb = x[idx], y[idx]
            sgd.zero_grad()
            loss = lossf(model(xb), yb)
            loss.backward()
            sgd.step()
            acc_loss += loss.item()
        print("epoch", epoch + 1, "loss", round(acc_loss / len(order.split(batch)), 4))
    return accuracy(model, tx, ty)


if __name__ == "__main__":
    print(f"accuracy: {run():.3f}")
