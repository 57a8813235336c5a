import torch
import torch.nn as nn
import torch.optim as optim
from torch.autograd import Variable

torch.manual_seed(1234)


def make_set(n):
    targets = torch.LongTensor([i % 3 for i in range(n)])
    inputs = torch.zeros(n, 1, 16, 16).normal_(0, 0.5)
    for i in range(n):
        k = int(targets[i])
        a = 3 + int(torch.randint(0, 6, (1,)))
        if k == 0:
            inputs[i, 0, a : a + 2, 2:14] += 1
        elif k == 1:
            inputs[i, 0, 2:14, a : a + 2] += 1
        else:
            inputs[i, 0].diagonal(a - 5).add_(1.5)
    return inputs, targets


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv = nn.Conv2d(1, 10, 5)
        self.fc = nn.Linear(10 * 6 * 6, 3)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv(x)), 2)
        return self.fc(x.view(x.size(0), -1))


model = Net()
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.05)
inputs, targets = make_set(900)
test_inputs, test_targets = make_set(300)
batch = 30
for epoch in range(4):
    perm = torch.randperm(900)
    for i in range(0, 900, batch):
        data = Variable(inputs[perm[i : i + batch]])
        target = Variable(targets[perm[i : i + batch]])
        output = model(data)
        loss = criterion(output, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch %d loss %.4f" % (epoch, loss.item()))

output = model(Variable(test_inputs))
pred = output.data.max(1)[1]
print("accuracy: %.4f" % (pred.eq(test_targets).sum().item() / 300.0))
