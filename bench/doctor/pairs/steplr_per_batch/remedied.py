import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


def rings(n, seed):
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 6, (n,), generator=g)
    axis = torch.linspace(-1, 1, 20)
    rr = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    radius = 0.2 + 0.12 * y.float()
    x = torch.exp(-((rr - radius[:, None, None]) ** 2) / 0.01)
    return TensorDataset(x.unsqueeze(1) + torch.randn(n, 1, 20, 20, generator=g) * 0.7, y)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 10, kernel_size=3)
        self.conv2 = nn.Conv2d(10, 20, kernel_size=3)
        self.fc1 = nn.Linear(180, 50)
        self.fc2 = nn.Linear(50, 6)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2(x), 2))
        x = x.view(-1, 180)
        x = F.relu(self.fc1(x))
        return F.log_softmax(self.fc2(x), dim=1)


def train(model, loader, optimizer, scheduler):
    model.train()
    for data, target in loader:
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
    scheduler.step()
    return loss.item()


def test(model, loader):
    model.eval()
    correct = 0
    with torch.no_grad():
        for data, target in loader:
            pred = model(data).data.max(1, keepdim=True)[1]
            correct += pred.eq(target.data.view_as(pred)).sum().item()
    return correct / len(loader.dataset)


torch.manual_seed(2)
train_loader = DataLoader(rings(2500, 0), batch_size=50, shuffle=True)
test_loader = DataLoader(rings(800, 1), batch_size=200)
model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
scheduler = StepLR(optimizer, step_size=3, gamma=0.1)
for epoch in range(1, 7):
    loss = train(model, train_loader, optimizer, scheduler)
    print("Epoch %d  loss %.4f  lr %g" % (epoch, loss, scheduler.get_last_lr()[0]))
print("accuracy: %.4f" % test(model, test_loader))
