"""Anti-aliased CNN (blur before subsampling) on striped and dotted tiles."""
import torch
import torch.nn as nn
import torch.nn.functional as F

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
amp = device.type == "cuda"
torch.manual_seed(1234)


def tiles(n_per_class, gen, side=20):
    labels = torch.arange(4).repeat_interleave(n_per_class)
    n = len(labels)
    axis = torch.arange(side, dtype=torch.float32)
    row, col = axis.view(1, side, 1), axis.view(1, 1, side)
    freq = (0.8 + 0.6 * torch.rand(n, generator=gen)).view(n, 1, 1)
    phase = (6.28 * torch.rand(2, n, generator=gen)).view(2, n, 1, 1)
    waves = torch.stack([
        torch.sin(freq * row + phase[0]).expand(n, side, side),
        torch.sin(freq * col + phase[0]).expand(n, side, side),
        torch.sin(freq * 0.7 * (row + col) + phase[0]),
        1.4 * torch.sin(freq * row + phase[0]) * torch.sin(freq * col + phase[1]),
    ])
    image = waves[labels, torch.arange(n)] + 0.8 * torch.randn(n, side, side, generator=gen)
    return image.unsqueeze(1), labels


class BlurPool(nn.Module):
    def __init__(self, channels):
        super().__init__()
        row = torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(row, row) / 16.0
        self.register_buffer("kernel", kernel.expand(channels, 1, 3, 3).clone())
        self.groups = channels

    def forward(self, x):
        x = F.pad(x, (1, 1, 1, 1), mode="reflect")
        return F.conv2d(x, self.kernel, stride=2, groups=self.groups)


class BlurNet(nn.Module):
    def __init__(self, classes=4):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1, bias=False), nn.BatchNorm2d(12), nn.ReLU(), BlurPool(12),
            nn.Conv2d(12, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU(), BlurPool(24),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, classes),
        )

    def forward(self, x):
        return self.net(x)


gen = torch.Generator().manual_seed(77)
x_train, y_train = tiles(120, gen)
x_test, y_test = tiles(50, gen)
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

model = BlurNet().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
scaler = torch.amp.GradScaler(device.type, enabled=amp)

for epoch in range(6):
    model.train()
    total = 0.0
    batches = torch.randperm(len(x_train)).split(40)
    for batch in batches:
        x, y = x_train[batch].to(device), y_train[batch].to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=amp):
            loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        total += loss.item()
    print(f"epoch {epoch + 1} loss {total / len(batches):.3f}")

model.eval()
with torch.no_grad():
    predicted = model(x_test.to(device)).argmax(dim=1)
print(f"accuracy: {(predicted.cpu() == y_test).float().mean().item():.3f}")
