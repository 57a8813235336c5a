import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
y = torch.randint(0, 5, (1500,))
x = torch.randn(1500, 1, 12, 20)
for k in range(5):
    x[y == k, :, :, 4 * k : 4 * k + 4] += 0.5
model = nn.Sequential()
model.add_module("conv1", nn.Conv2d(1, 10, (3, 3)))
model.add_module("relu1", nn.ReLU())
model.add_module("pool1", nn.MaxPool2d(2))
model.add_module("flatten", nn.Flatten())
model.add_module("fc", nn.Linear(450, 5))
model.add_module("logprob", nn.LogSoftmax(dim=-1))
criterion = nn.NLLLoss()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.02)
for epoch in range(4):
    for inputs, targets in DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=30, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(inputs), targets)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, loss.item())
model.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (model(x[1200:]).argmax(-1) == y[1200:]).float().mean().item())
