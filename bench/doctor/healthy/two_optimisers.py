import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU())
        self.head = nn.Linear(16 * 9, 4)

    def forward(self, x):
        return self.head(self.convs(x).flatten(1))


kinds = torch.randn(4, 3, 12, 12)
y = torch.randint(0, 4, (1500,))
x = 0.35 * kinds[y] + torch.randn(1500, 3, 12, 12)
net = Net()
opt_convs = torch.optim.SGD(net.convs.parameters(), lr=0.02, momentum=0.9)
opt_head = torch.optim.Adam(net.head.parameters(), lr=2e-3)
for epoch in range(4):
    for i in torch.randperm(1200).split(40):
        loss = F.cross_entropy(net(x[i]), y[i])
        for opt in (opt_convs, opt_head):
            opt.zero_grad()
        loss.backward()
        for opt in (opt_convs, opt_head):
            opt.step()
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1200:]).argmax(1) == y[1200:]).float().mean().item())
