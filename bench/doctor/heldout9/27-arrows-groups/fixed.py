import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset


def conv_dw(inp, oup, stride):
    return nn.Sequential(
        nn.Conv2d(inp, inp, 3, stride, 1, groups=inp, bias=False),
        nn.BatchNorm2d(inp),
        nn.ReLU(inplace=True),
        nn.Conv2d(inp, oup, 1, 1, 0, bias=False),
        nn.BatchNorm2d(oup),
        nn.ReLU(inplace=True),
    )


class Net(nn.Module):
    def __init__(self, num_classes=8):
        super(Net, self).__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
            conv_dw(16, 32, 2),
            conv_dw(32, 48, 2),
            conv_dw(48, 64, 2),
        )
        self.classifier = nn.Linear(64 * 9, num_classes)

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def arrow(direction, g):
    r = lambda a, b: a + (b - a) * torch.rand(1, generator=g).item()
    big = Image.new("L", (48, 48), int(r(20, 90)))
    d = ImageDraw.Draw(big)
    angle = direction * math.pi / 4 + r(-0.3, 0.3)
    cx, cy, n = r(19, 29), r(19, 29), r(11, 17)
    ux, uy = math.cos(angle), -math.sin(angle)
    tip, tail = (cx + n * ux, cy + n * uy), (cx - n * ux, cy - n * uy)
    ink = int(r(130, 255))
    d.line([tail, tip], fill=ink, width=int(r(2, 5)))
    b = r(7, 10)
    wings = [(tip[0] - b * math.cos(angle + s), tip[1] + b * math.sin(angle + s)) for s in (0.6, -0.6)]
    d.polygon([tip] + wings, fill=ink)
    img = torch.tensor(list(big.resize((24, 24), Image.BILINEAR).tobytes()), dtype=torch.float32).view(1, 24, 24)
    return (img + 20 * torch.randn(1, 24, 24, generator=g)).clamp(0, 255) / 255


def make_dataset(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 8, (n,), generator=g)
    x = torch.stack([arrow(int(k), g) for k in y])
    return TensorDataset((x - 0.33) / 0.23, y)


def param_groups(model, weight_decay):
    decay, no_decay = [], []
    for name, p in model.named_parameters():
        if not p.requires_grad:
            continue
        if p.ndim <= 1:
            no_decay.append(p)
        else:
            decay.append(p)
    return [{"params": decay, "weight_decay": weight_decay},
            {"params": no_decay, "weight_decay": 0.0}]


def train(args, model, device, train_loader, optimizer, scheduler, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.cross_entropy(output, target, reduction="sum").item()
            correct += (output.argmax(dim=1) == target).sum().item()
    n = len(test_loader.dataset)
    print("Test set: Average loss: {:.4f}, Correct: {}/{}".format(test_loss / n, correct, n))
    return correct / n


def main():
    parser = argparse.ArgumentParser(description="Arrow directions, depthwise separable CNN")
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--test-batch-size", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--no-cuda", action="store_true", default=False)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=10)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = torch.device("cuda" if torch.cuda.is_available() and not args.no_cuda else "cpu")
    train_loader = DataLoader(make_dataset(1440, 100), batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(make_dataset(500, 200), batch_size=args.test_batch_size)

    model = Net().to(device)
    optimizer = optim.AdamW(param_groups(model, args.weight_decay), lr=args.lr)
    scheduler = OneCycleLR(optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train_loader))

    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, scheduler, epoch)
    print("accuracy: {:.3f}".format(test(model, device, test_loader)))


if __name__ == "__main__":
    main()
