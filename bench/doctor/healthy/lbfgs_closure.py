import torch
import torch.nn as nn

torch.manual_seed(0)
y = torch.arange(300) % 3
x = torch.randn(300, 1, 9, 9) * 0.7
for k in range(3):
    x[y == k, :, 3 * k : 3 * k + 3] += 0.7
model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(54, 3))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=5)
train, test = slice(0, 240), slice(240, 300)

for step in range(8):

    def closure():
        optimizer.zero_grad()
        loss = criterion(model(x[train]), y[train])
        loss.backward()
        return loss

    loss = optimizer.step(closure)
    print("step", step, loss.item())

with torch.no_grad():
    print("accuracy: %.4f" % (model(x[test]).argmax(1) == y[test]).float().mean().item())
