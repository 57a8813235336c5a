import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

DIRECTIONS = ("left", "right", "up", "down")


class RoadSigns(Dataset):
    def __init__(self, n, train, seed):
        g = torch.Generator().manual_seed(seed)
        self.train = train
        self.labels = torch.randint(4, (n,), generator=g)
        self.imgs = 0.35 * torch.randn(n, 3, 18, 18, generator=g)
        for img, lab in zip(self.imgs, self.labels):
            arrow = torch.zeros(9, 9)
            arrow[4, 1:8] = 1
            for k in range(4):
                arrow[4 - k, 1 + k] = arrow[4 + k, 1 + k] = 1
            arrow = {"left": arrow, "right": arrow.flip(1), "up": arrow.T, "down": arrow.T.flip(0)}[DIRECTIONS[lab]]
            r, c = torch.randint(0, 10, (2,), generator=g).tolist()
            img[:, r : r + 9, c : c + 9] += arrow * (0.4 + torch.rand(3, 1, 1, generator=g))

    def __len__(self):
        return self.labels.numel()

    def __getitem__(self, i):
        img = self.imgs[i]
        if self.train:
            if torch.rand(()) < 0.5:
                img = img.flip(-1)
            img = img * (0.8 + 0.4 * torch.rand(())) + 0.1 * torch.randn(3, 1, 1)
        return img, self.labels[i]


class SignNet(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(0.1),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.1),
        )
        self.pool = nn.AdaptiveMaxPool2d(1)
        self.cls = nn.Linear(2 * width, len(DIRECTIONS))

    def forward(self, x):
        return self.cls(self.pool(self.backbone(x)).flatten(1))


def main(epochs=8, bs=32):
    torch.manual_seed(0)
    train_dl = DataLoader(RoadSigns(1600, True, 1), bs, shuffle=True)
    test_dl = DataLoader(RoadSigns(500, False, 2), 100)
    net = SignNet()
    opt = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=epochs)
    ce = nn.CrossEntropyLoss()
    for ep in range(epochs):
        net.train()
        for x, y in train_dl:
            opt.zero_grad()
            loss = ce(net(x), y)
            loss.backward()
            opt.step()
        sched.step()
        print("epoch", ep, "loss", loss.item())
    net.eval()
    n_ok = torch.zeros(4)
    n_all = torch.zeros(4)
    with torch.no_grad():
        for x, y in test_dl:
            p = net(x).argmax(1)
            n_all += torch.bincount(y, minlength=4)
            n_ok += torch.bincount(y[p == y], minlength=4)
    for d, a, b in zip(DIRECTIONS, n_ok, n_all):
        print(f"{d:>6}: {a / b:.3f}")
    print(f"accuracy: {(n_ok.sum() / n_all.sum()).item():.4f}")


main()
