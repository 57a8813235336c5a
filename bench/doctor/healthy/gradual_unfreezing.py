import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
p = torch.randn(5, 1, 14, 14)
y = torch.randint(0, 5, (1500,))
x = 0.4 * p[y] + torch.randn(1500, 1, 14, 14)
body = nn.Sequential(nn.Conv2d(1, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten())
head = nn.Linear(128, 5)
net = nn.Sequential(body, head)
optimizer = torch.optim.Adam([{"params": body.parameters(), "lr": 1e-3}, {"params": head.parameters(), "lr": 5e-3}])
for epoch in range(5):
    for w in body.parameters():
        w.requires_grad_(epoch > 0)
    for i in torch.randperm(1200).split(40):
        loss = F.cross_entropy(net(x[i]), y[i])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "body trains:", epoch > 0, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1200:]).argmax(1) == y[1200:]).float().mean().item())
