import csv
import io

import torch
import torch.nn as nn

# id, name, red, green, blue
TABLE = """1,coral,1.0,0.5,0.3
2,teal,0.0,0.5,0.5
3,olive,0.5,0.5,0.0
4,violet,0.6,0.2,0.9
5,navy,0.0,0.0,0.5
6,salmon,1.0,0.7,0.6
7,mint,0.6,1.0,0.7
"""


def read_colours(text):
    ids, colours = [], []
    for row in csv.reader(io.StringIO(text)):
        ids.append(int(row[0]))
        colours.append([float(v) for v in row[2:]])
    return torch.tensor(ids), torch.tensor(colours)


def make_images(n, ids, colours):
    pick = torch.randint(0, len(ids), (n,))
    x = torch.rand(n, 3, 14, 14)
    tops = torch.randint(0, 8, (n, 2))
    for k in range(n):
        r, c = tops[k].tolist()
        shade = colours[pick[k]][:, None, None] * (0.8 + 0.2 * torch.rand(()))
        x[k, :, r : r + 7, c : c + 7] = shade + 0.15 * torch.randn(3, 7, 7)
    return x * 2 - 1, ids[pick] - 1


def conv_bn(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


class ColourNet(nn.Module):
    def __init__(self, n_colours):
        super().__init__()
        self.a, self.b = conv_bn(3, 16), conv_bn(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(32, n_colours)

    def forward(self, x):
        x = self.pool(self.a(x))
        return self.fc(self.b(x).amax((2, 3)))


def main():
    torch.manual_seed(10)
    ids, colours = read_colours(TABLE)
    x, y = make_images(1400, ids, colours)
    vx, vy = make_images(420, ids, colours)
    net = ColourNet(len(ids))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for epoch in range(6):
        net.train()
        for i in torch.randperm(len(x)).split(35):
            optimizer.zero_grad()
            loss = criterion(net(x[i]), y[i])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.4f}")
    net.eval()
    with torch.no_grad():
        print(f"accuracy: {(net(vx).argmax(1) == vy).float().mean().item():.4f}")


if __name__ == "__main__":
    main()
