"""Small-data grating recogniser that leans on dropout."""
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def draw(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 5
    r = torch.arange(18).float()
    angle = (y * 0.628 + 0.12 * torch.randn(n, generator=g)).view(-1, 1, 1)
    wave = torch.sin(1.1 * (r.view(1, 18, 1) * torch.sin(angle) + r.view(1, 1, 18) * torch.cos(angle))
                     + 6.28 * torch.rand(n, 1, 1, generator=g))
    return TensorDataset((wave + 1.3 * torch.randn(wave.shape, generator=g)).unsqueeze(1), y)


class GratingNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 5, bias=False)
        self.norm1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 32, 3, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.6)
        self.fc = nn.Linear(32 * 4, 5)

    def forward(self, x):
        x = self.pool(self.norm1(self.conv1(x)).relu())
        x = self.pool(self.norm2(self.conv2(x)).relu())
        return self.fc(self.drop(x.flatten(1)))


def evaluate(model, loader):
    model.eval()
    with torch.no_grad():
        return sum((model(x).argmax(1) == y).sum().item() for x, y in loader) / len(loader.dataset)


def main():
    torch.manual_seed(40)
    train = DataLoader(draw(400, 0), batch_size=40, shuffle=True)
    valid = DataLoader(draw(800, 1), batch_size=200)
    model = GratingNet()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    model.train()
    for epoch in range(20):
        for x, y in train:
            opt.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            opt.step()
        acc = evaluate(model, valid)
        if epoch % 5 == 4:
            print("epoch", epoch + 1, "loss", round(loss.item(), 4), "valid", round(acc, 3))
    print(f"accuracy: {acc:.3f}")


if __name__ == "__main__":
    main()
