import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, TensorDataset


def make(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Bars of either sign: horizontal, vertical or none, at any place."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n,), generator=g)
    x = 0.5 * torch.randn(n, 1, 16, 16, generator=g)
    sign = torch.randint(0, 2, (n,), generator=g) * 2 - 1
    pos = torch.randint(1, 14, (n,), generator=g)
    for k in range(n):
        if y[k] == 0:
            x[k, 0, pos[k], 2:14] += 1.5 * sign[k]
        elif y[k] == 1:
            x[k, 0, 2:14, pos[k]] += 1.5 * sign[k]
    return x, y


class ConvNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(1, 16, kernel_size=3, stride=2, padding=1), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1), nn.ReLU())
        self.layer3 = nn.Sequential(nn.Linear(32 * 4 * 4, 64), nn.ReLU())
        self.layer4 = nn.Linear(64, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer1(x)
        x = self.layer2(x)
        x = torch.flatten(x, 1)
        x = self.layer3(x)
        return self.layer4(x)


def main() -> None:
    torch.manual_seed(31)
    train = DataLoader(TensorDataset(*make(2000, 1)), batch_size=50, shuffle=True)
    x_te, y_te = make(600, 2)
    net = ConvNet()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    ce = nn.CrossEntropyLoss()
    for epoch in range(8):
        for x, y in train:
            opt.zero_grad()
            loss = ce(net(x), y)
            loss.backward()
            opt.step()
        print(f"epoch {epoch}: {loss.item():.4f}")
    with torch.no_grad():
        accuracy = (net(x_te).argmax(1) == y_te).float().mean().item()
    print(f"accuracy: {accuracy:.4f}")


main()
