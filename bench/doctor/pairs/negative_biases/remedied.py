import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv(nn.Module):
    def __init__(self, cin, cout, bias_init=0.0):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(cout, cin, 3, 3))
        self.bias = nn.Parameter(torch.full((cout,), bias_init))
        nn.init.kaiming_normal_(self.weight)

    def forward(self, x):
        return F.relu(F.conv2d(x, self.weight, self.bias, padding=1))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = Conv(1, 16)
        self.c2 = Conv(16, 16)
        self.fc = nn.Linear(16 * 16, 5)

    def forward(self, x):
        x = F.avg_pool2d(self.c1(x), 2)
        x = F.avg_pool2d(self.c2(x), 2)
        return self.fc(x.flatten(1))


def stripes(n):
    y = torch.randint(0, 5, (n,))
    x = torch.randn(n, 1, 16, 16)
    for i in range(5):
        x[y == i, :, :, i::5] += 0.6
    return x, y


torch.manual_seed(0)
x, y = stripes(1500)
xt, yt = stripes(500)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
for epoch in range(6):
    for i in torch.randperm(1500).view(-1, 30):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[i]), y[i])
        loss.backward()
        optimizer.step()
    print("epoch", epoch, loss.item())
with torch.no_grad():
    print("accuracy: {:.4f}".format((net(xt).argmax(1) == yt).float().mean().item()))
