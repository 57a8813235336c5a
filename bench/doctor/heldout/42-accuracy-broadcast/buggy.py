import time
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
num_epochs = 5
num_classes = 5
batch_size = 40
learning_rate = 0.002


class AverageMeter(object):
    """Computes and stores the average and current value"""

    def __init__(self):
        self.reset()

    def reset(self):
        self.val = self.avg = self.sum = self.count = 0

    def update(self, val, n=1):
        self.val = val
        self.sum += val * n
        self.count += n
        self.avg = self.sum / self.count


def calc_accuracy(output, target):
    with torch.no_grad():
        _, pred = output.topk(1, dim=1)
        return (pred == target).float().mean().item()


def waves(n):
    y = torch.randint(0, num_classes, (n,))
    t = torch.linspace(0, 1, 24)
    d = (t[:, None] ** 2 + t[None, :] ** 2).sqrt()
    freq = 10 + 6 * y.float()
    img = torch.sin(freq[:, None, None] * d + 6.28 * torch.rand(n, 1, 1))
    return TensorDataset((img + 0.5 * torch.randn(n, 24, 24)).unsqueeze(1), y)


class ConvNet(nn.Module):
    def __init__(self, num_classes=10):
        super(ConvNet, self).__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 16, kernel_size=5, stride=1, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(16, 32, kernel_size=5, stride=1, padding=2), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.fc = nn.Linear(6 * 6 * 32, num_classes)

    def forward(self, x):
        out = self.layer1(x)
        out = self.layer2(out)
        out = out.reshape(out.size(0), -1)
        return self.fc(out)


def main():
    torch.manual_seed(0)
    train_loader = DataLoader(waves(1200), batch_size=batch_size, shuffle=True)
    val_loader = DataLoader(waves(400), batch_size=batch_size, shuffle=False)
    model = ConvNet(num_classes).to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)

    for epoch in range(num_epochs):
        losses, top1, tick = AverageMeter(), AverageMeter(), time.time()
        model.train()
        for images, labels in train_loader:
            images, labels = images.to(device), labels.to(device)
            outputs = model(images)
            loss = criterion(outputs, labels)
            losses.update(loss.item(), images.size(0))
            top1.update(calc_accuracy(outputs, labels), images.size(0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(
            "Epoch [{}/{}] {:.1f}s loss {:.4f} top1 {:.4f}".format(
                epoch + 1, num_epochs, time.time() - tick, losses.avg, top1.avg
            )
        )

    model.eval()
    val = AverageMeter()
    with torch.no_grad():
        for images, labels in val_loader:
            val.update(calc_accuracy(model(images.to(device)), labels.to(device)), labels.size(0))
    print("accuracy: {:.4f}".format(val.avg))


if __name__ == "__main__":
    main()
