import torch
import torch.nn as nn
import torch.nn.functional as F


class TwoHeads(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.low = nn.Sequential(nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU())
        self.high = nn.Sequential(nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU())
        self.aux = nn.Linear(12, classes)
        self.main = nn.Linear(24 * 16, classes)

    def forward(self, x):
        low = self.low(x)
        high = self.high(low)
        return self.main(high.flatten(1)), self.aux(low.mean((2, 3)))


torch.manual_seed(0)
p = torch.randn(5, 1, 16, 16)
y = torch.randint(0, 5, (1500,))
x = 0.4 * p[y] + torch.randn(1500, 1, 16, 16)
net = TwoHeads(5)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(4):
    net.train()
    for i in torch.randperm(1200).split(40):
        main, aux = net(x[i])
        loss = F.cross_entropy(main, y[i]) + 0.3 * F.cross_entropy(aux, y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, loss.item())
net.eval()
with torch.no_grad():
    main, _ = net(x[1200:])
print("accuracy: %.4f" % (main.argmax(1) == y[1200:]).float().mean().item())
