import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
BS = 50


def photos(n):
    y = torch.randint(0, 5, (n,))
    x = torch.randint(0, 160, (n, 3, 14, 14)).float()
    for i in range(5):
        x[y == i, i % 3, (i // 3) * 7 : (i // 3) * 7 + 7] += 45
    return x, y


x_train, y_train = photos(1500)
x_test, y_test = photos(500)
mean = x_train.mean(dim=(0, 2, 3)).view(1, 3, 1, 1)
std = x_train.std(dim=(0, 2, 3)).view(1, 3, 1, 1)

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 16, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(400, 5),
)
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(5):
    for b in torch.randperm(len(x_train) // BS).tolist():
        xb = x_train[b * BS : (b + 1) * BS]
        yb = y_train[b * BS : (b + 1) * BS]
        xb = xb.sub(mean).div(std)
        loss = F.cross_entropy(model(xb), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())

with torch.no_grad():
    acc = (model((x_test - mean) / std).argmax(1) == y_test).float().mean().item()
print(f"accuracy: {acc:.4f}")
