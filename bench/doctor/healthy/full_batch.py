# one gradient step per epoch on all images, no loader at all
import torch
import torch.nn as nn

torch.manual_seed(1)
n = 400
labels = torch.arange(n) % 4
images = torch.randn(n, 1, 8, 8) * 0.5
for q in range(4):
    images[labels == q, 0, (q // 2) * 4 : (q // 2) * 4 + 4, (q % 2) * 4 : (q % 2) * 4 + 4] += 0.5
perm = torch.randperm(n)
train, test = perm[:300], perm[300:]
net = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 4))
opt = torch.optim.Adam(net.parameters(), lr=0.01)
for it in range(150):
    opt.zero_grad()
    loss = nn.functional.cross_entropy(net(images[train]), labels[train])
    loss.backward()
    opt.step()
    if it % 30 == 0:
        print(it, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(images[test]).argmax(1) == labels[test]).float().mean().item())
