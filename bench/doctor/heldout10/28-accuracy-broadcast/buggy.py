import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "AEKMRSX"


def render(letter, rng, side):
    canvas = Image.new("L", (side, side), 0)
    font = ImageFont.load_default(size=int(rng.integers(14, 20)))
    x, y = rng.integers(1, 9, size=2)
    ImageDraw.Draw(canvas).text((int(x), int(y) - 3), letter, fill=int(rng.integers(150, 256)), font=font)
    canvas = canvas.rotate(float(rng.uniform(-15, 15)))
    arr = np.asarray(canvas, dtype=np.float32) / 255.0
    return arr + rng.normal(0, 0.12, arr.shape).astype(np.float32)


def letters(n, seed, side=26):
    rng = np.random.default_rng(seed)
    ys = rng.permutation(np.arange(n) % len(LETTERS))
    xs = np.stack([render(LETTERS[c], rng, side) for c in ys])
    return torch.tensor(xs).unsqueeze(1), torch.tensor(ys)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3)
        self.conv2 = nn.Conv2d(16, 32, 3)
        self.dropout = nn.Dropout(0.3)
        self.fc1 = nn.Linear(32 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, len(LETTERS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.dropout(F.relu(self.fc1(torch.flatten(x, 1))))
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print(f"Train epoch {epoch} [{batch_idx * len(data)}/{len(loader.dataset)}]  loss {loss.item():.4f}")


def batch_accuracy(output, target):
    pred = output.argmax(dim=1, keepdim=True)
    return pred.eq(target).float().mean().item()


def test(model, loader, name):
    model.eval()
    test_loss, acc = 0.0, 0.0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            acc += batch_accuracy(output, target) * len(target)
    n = len(loader.dataset)
    print(f"{name}: average loss {test_loss / n:.4f}, accuracy {100. * acc / n:.2f}%")
    return acc / n


def main():
    parser = argparse.ArgumentParser(description="letters")
    parser.add_argument("--batch-size", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    sets = [letters(n, args.seed + 100 * k) for k, n in enumerate((1920, 300, 500))]
    mean, std = sets[0][0].mean(), sets[0][0].std()
    sets = [torch.utils.data.TensorDataset((x - mean) / std, y) for x, y in sets]
    train_loader = torch.utils.data.DataLoader(sets[0], batch_size=args.batch_size, shuffle=True)
    val_loader = torch.utils.data.DataLoader(sets[1], batch_size=100)
    test_loader = torch.utils.data.DataLoader(sets[2], batch_size=100)

    model = Net()
    optimizer = torch.optim.RMSprop(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, val_loader, "Validation")
    test(model, test_loader, "Test")


if __name__ == "__main__":
    main()
