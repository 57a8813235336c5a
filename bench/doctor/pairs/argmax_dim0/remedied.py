import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def get_data(n=3000, classes=10, side=14):
    g = torch.Generator().manual_seed(11)
    templates = (torch.rand(classes, 1, side, side, generator=g) > 0.7).float()
    y = torch.arange(n) % classes
    shift = torch.randint(-2, 3, (n, 2), generator=g)
    x = torch.stack([torch.roll(templates[c], tuple(s.tolist()), (1, 2)) for c, s in zip(y, shift)])
    x = x + torch.randn(x.shape, generator=g) * 0.4
    return TensorDataset((x - x.mean()) / x.std(), y)


def model_fn(hidden):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


def run(args):
    torch.manual_seed(args.seed)
    train_set, test_set = random_split(get_data(), [2500, 500])
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True, drop_last=True)
    test_loader = DataLoader(test_set, batch_size=args.eval_batch_size)
    net = model_fn(args.hidden)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    crit = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        for images, target in train_loader:
            opt.zero_grad()
            loss = crit(net(images), target)
            loss.backward()
            opt.step()
        print("epoch {} loss {:.4f}".format(epoch, loss.item()))

    net.eval()
    n_correct, n_seen = 0, 0
    with torch.no_grad():
        for images, target in test_loader:
            scores = net(images)
            _, guess = torch.max(scores, 1)
            n_correct += (guess == target).sum().item()
            n_seen += target.shape[0]
    return n_correct / n_seen


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--eval-batch-size", type=int, default=10)
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    print("accuracy: {:.4f}".format(run(parser.parse_args())))
