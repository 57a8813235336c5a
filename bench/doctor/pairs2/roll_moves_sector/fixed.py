"""Where did the spot hit the target? Nine sectors of a 48 pixel detector image."""
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

SIZE, GRID = 48, 3


def detector_images(n: int) -> tuple[Tensor, Tensor]:
    centre = torch.rand(n, 2) * (SIZE - 6) + 3
    axis = torch.arange(SIZE).float()
    dy = axis.view(1, -1, 1) - centre[:, 0].view(-1, 1, 1)
    dx = axis.view(1, 1, -1) - centre[:, 1].view(-1, 1, 1)
    width = torch.rand(n, 1, 1) * 2 + 1.5
    spot = torch.exp(-(dx ** 2 + dy ** 2) / (2 * width ** 2))
    img = spot * 2.5 + torch.randn(n, SIZE, SIZE) * 0.4
    sector = (centre / SIZE * GRID).long()
    return img.unsqueeze(1), sector[:, 0] * GRID + sector[:, 1]


def jitter(batch: Tensor) -> Tensor:
    out = []
    for img in batch:
        img = img * (0.8 + 0.4 * torch.rand(1)) + 0.1 * torch.randn(1)
        out.append(img)
    return torch.stack(out)


class SectorNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ModuleList([nn.Conv2d(1, 12, 5, stride=2, padding=2), nn.Conv2d(12, 24, 3, stride=2, padding=1),
                                   nn.Conv2d(24, 24, 3, stride=2, padding=1)])
        self.read = nn.Linear(24 * 36, GRID * GRID)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv:
            x = torch.relu(layer(x))
        return self.read(x.flatten(1))


def train(model: nn.Module, loader: DataLoader, epochs: int) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for img, sector in loader:
            loss = criterion(model(jitter(img)), sector)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / len(loader):.3f}")


def measure(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    flags = []
    with torch.no_grad():
        for img, sector in loader:
            flags.append(model(img).argmax(1) == sector)
    return torch.cat(flags).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(4)
    everything = TensorDataset(*detector_images(2500))
    train_part, test_part = random_split(everything, [2000, 500])
    net = SectorNet()
    train(net, DataLoader(train_part, 40, shuffle=True), epochs=7)
    print(f"accuracy: {measure(net, DataLoader(test_part, 100)):.3f}")
