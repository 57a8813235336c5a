import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(m.weight)
        nn.init.zeros_(m.bias)


class Model(nn.Module):
    def __init__(self, in_ch, n_out):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(in_ch, 16, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1),
            nn.ReLU(),
        )
        self.head = nn.Linear(32 * 16, n_out)
        self.apply(init_weights)

    def forward(self, x):
        return self.head(self.trunk(x).flatten(1))


def main():
    torch.manual_seed(0)
    protos = torch.randn(7, 2, 16, 16)
    y = torch.randint(0, 7, (2000,))
    x = protos[y] * 0.4 + torch.randn(2000, 2, 16, 16)
    train, test = TensorDataset(x[:1500], y[:1500]), TensorDataset(x[1500:], y[1500:])
    model = Model(2, 7)
    opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    crit = nn.CrossEntropyLoss()
    for epoch in range(4):
        for xb, yb in DataLoader(train, batch_size=50, shuffle=True):
            opt.zero_grad()
            loss = crit(model(xb), yb)
            loss.backward()
            opt.step()
        print("epoch", epoch, "loss", loss.item())
    model.eval()
    with torch.no_grad():
        correct = sum((model(xb).argmax(1) == yb).sum().item() for xb, yb in DataLoader(test, batch_size=100))
    print(f"accuracy: {correct / len(test):.4f}")


if __name__ == "__main__":
    main()
