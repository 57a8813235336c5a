import torch
import torch.nn as nn

from resnet_small import small_resnet


def toy(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 7, (n,), generator=g)
    x = torch.randn(n, 3, 16, 16, generator=g)
    for c in range(7):
        mask = y == c
        x[mask, c % 3, 2 * c : 2 * c + 2, :] += 1.2
    return x, y


torch.manual_seed(0)
(x, y), (xv, yv) = toy(1500, 0), toy(500, 1)

model = small_resnet(num_classes=100)
model.fc = nn.Linear(model.fc.in_features, 7)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
criterion = nn.CrossEntropyLoss()

for epoch in range(4):
    model.train()
    perm = torch.randperm(len(x))
    for i in range(0, len(x), 50):
        idx = perm[i : i + 50]
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", loss.item())

model.eval()
with torch.no_grad():
    pred = model(xv).argmax(1)
print("accuracy: %.4f" % (pred == yv).float().mean().item())
