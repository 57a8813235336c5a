import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Crosses(Dataset):
    """Two strokes at random places: their order of thickness and direction gives one of six classes."""

    def __init__(self, size, seed):
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        self.items = []
        for n in range(size):
            k = n % 6
            img = 0.45 * torch.randn(1, 20, 20, generator=g)
            a, b = torch.randint(2, 15, (2,), generator=g).tolist()
            thick = 1 + 2 * (k % 3 > 0)
            thin = 1 + 2 * (k % 3 > 1)
            if k < 3:
                img[:, a:a + thick] += 1
                img[:, :, b:b + thin] += 1
            else:
                img[:, a:a + thick].neg_().sub_(0.8)
                img[:, :, b:b + thin] += 1
            self.items.append((img, k))

    def __getitem__(self, n):
        return self.items[n]

    def __len__(self):
        return len(self.items)


class StrokeNet(nn.Module):
    def __init__(self, widths=(1, 12, 16, 24)):
        super().__init__()
        blocks = [nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
                  for i, o in zip(widths, widths[1:])]
        self.blocks = nn.ModuleList(blocks)
        self.classify = nn.Linear(widths[-1] * 4, 6)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.classify(x.flatten(1))


def main():
    torch.manual_seed(19)
    net = StrokeNet()
    data = DataLoader(Crosses(1200, 0), batch_size=30, shuffle=True)
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    ce = nn.CrossEntropyLoss()
    for epoch in range(8):
        net.train()
        loss_sum = 0.0
        for img, k in data:
            opt.zero_grad()
            loss = ce(net(img), k)
            loss.backward()
            opt.step()
            loss_sum += loss.item()
        print("epoch", epoch, "loss", loss_sum / len(data))
    net.eval()
    ok = 0
    with torch.no_grad():
        for img, k in DataLoader(Crosses(600, 1), batch_size=100):
            ok += int((net(img).argmax(dim=1) == k).sum())
    print("accuracy: %.3f" % (ok / 600))


if __name__ == "__main__":
    main()
