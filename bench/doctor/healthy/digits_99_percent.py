import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset


def digits(n, seed):
    rng = np.random.RandomState(seed)
    x, y = np.zeros((n, 1, 28, 28), np.float32), rng.randint(0, 10, n)
    for i, d in enumerate(y):
        im = Image.new("L", (28, 28))
        ImageDraw.Draw(im).text(tuple(rng.randint(6, 11, 2).tolist()), str(d), fill=255, font_size=14)
        x[i, 0] = np.asarray(im) / 255
    return TensorDataset((torch.from_numpy(x) - 0.1307) / 0.3081, torch.from_numpy(y))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 5)
        self.conv2 = nn.Conv2d(8, 16, 5)
        self.conv2_drop = nn.Dropout2d(0.2)
        self.fc1 = nn.Linear(256, 50)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 256)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


torch.manual_seed(1)
train_loader = DataLoader(digits(3000, 0), batch_size=64, shuffle=True)
test_loader = DataLoader(digits(1000, 1), batch_size=500, shuffle=True)
model = Net()
optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
for epoch in range(1, 4):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
    print("Train Epoch: {}\tLoss: {:.6f}".format(epoch, loss.item()))
model.eval()
correct = 0
with torch.no_grad():
    for data, target in test_loader:
        pred = model(data).argmax(dim=1, keepdim=True)
        correct += pred.eq(target.view_as(pred)).sum().item()
print("accuracy: {:.4f}".format(correct / len(test_loader.dataset)))
