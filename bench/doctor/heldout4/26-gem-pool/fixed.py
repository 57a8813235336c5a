import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F


class GeM(nn.Module):
    """Generalised-mean pooling with a learnt exponent."""

    def __init__(self, p=3.0, eps=1e-6):
        super().__init__()
        self.p = nn.Parameter(torch.tensor(p))
        self.eps = eps

    def forward(self, x):
        x = x.clamp(min=self.eps).pow(self.p)
        return x.mean(dim=(-2, -1)).pow(1.0 / self.p)


class TextureNet(nn.Module):
    def __init__(self, num_classes):
        super().__init__()
        self.stem = self._unit(1, 16, 1)
        self.stage1 = self._unit(16, 32, 2)
        self.stage2 = self._unit(32, 64, 2)
        self.pool = GeM()
        self.fc = nn.Linear(64, num_classes)

    @staticmethod
    def _unit(cin, cout, stride):
        return nn.Sequential(
            nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(cout),
            nn.LeakyReLU(0.1),
        )

    def forward(self, x):
        x = self.stem(x)
        x = F.max_pool2d(x, 2)
        x = self.stage2(self.stage1(x))
        return F.log_softmax(self.fc(self.pool(x)), dim=1)


def cloud_textures(n, generator, grains=(3, 5, 8, 12, 24), size=24):
    """Smooth noise; the class is the size of the grain."""
    target = torch.randint(len(grains), (n,), generator=generator)
    data = torch.empty(n, 1, size, size)
    for k, g in enumerate(grains):
        pick = (target == k).nonzero().flatten()
        coarse = torch.randn(len(pick), 1, g, g, generator=generator)
        fine = F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)
        data[pick] = fine / fine.std(dim=(1, 2, 3), keepdim=True)
    return data + 0.4 * torch.randn(data.shape, generator=generator), target


def train(args, model, data, target, optimizer, epoch, generator):
    model.train()
    order = torch.randperm(len(data), generator=generator)
    for batch_idx, idx in enumerate(order.split(args.batch_size)):
        optimizer.zero_grad()
        output = model(data[idx])
        loss = F.nll_loss(output, target[idx])
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print("Train Epoch: {} [{}/{}]\tLoss: {:.6f}".format(
                epoch, batch_idx * args.batch_size, len(data), loss.item()))


def test(model, data, target):
    model.eval()
    with torch.no_grad():
        output = model(data)
    print("Test set: average loss {:.4f}".format(F.nll_loss(output, target).item()))
    return output.argmax(dim=1).eq(target).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description="Grain size with GeM pooling")
    parser.add_argument("--batch-size", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    x, y = cloud_textures(2000, generator)
    xt, yt = cloud_textures(500, generator)
    mean, std = x.mean(), x.std()
    x, xt = (x - mean) / std, (xt - mean) / std

    model = TextureNet(num_classes=5)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=args.lr)
    for epoch in range(1, args.epochs + 1):
        train(args, model, x, y, optimizer, epoch, generator)
    print("accuracy: {:.3f}".format(test(model, xt, yt)))


if __name__ == "__main__":
    main()
