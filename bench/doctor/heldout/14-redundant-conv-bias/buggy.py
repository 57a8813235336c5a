import os
import torch
import numpy as np
from torch import nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR


def cifar_slice(count=1500):
    folder = os.getenv("TENFOLD_DATA")
    if folder is None:
        rs = np.random.RandomState(4)
        lab = rs.randint(0, 10, count)
        img = rs.rand(count, 3, 32, 32).astype(np.float32) * 0.4
        for k in range(count):
            img[k, :, lab[k] * 3 : lab[k] * 3 + 4] += 0.4
        return torch.tensor(img), torch.tensor(lab)
    with open(os.path.join(folder, "cifar10", "cifar-10-batches-bin", "data_batch_2.bin"), "rb") as fh:
        rec = np.frombuffer(fh.read(3073 * count), dtype=np.uint8).reshape(count, 3073)
    return torch.tensor(rec[:, 1:].reshape(count, 3, 32, 32) / 255.0, dtype=torch.float32), torch.tensor(
        rec[:, 0].astype(int)
    )


class BasicBlock(nn.Module):
    def __init__(self, in_planes, planes, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, kernel_size=3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, kernel_size=3, padding=1)
        self.bn2 = nn.BatchNorm2d(planes)
        self.shortcut = nn.Identity()
        if stride != 1 or in_planes != planes:
            self.shortcut = nn.Sequential(nn.Conv2d(in_planes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class TinyResNet(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 12, 3, 2, 1, bias=False), nn.BatchNorm2d(12), nn.ReLU())
        self.layers = nn.Sequential(BasicBlock(12, 16), BasicBlock(16, 32, 2), BasicBlock(32, 48, 2))
        self.linear = nn.Linear(48, num_classes)

    def forward(self, x):
        return self.linear(self.layers(self.stem(x)).mean((-2, -1)))


torch.manual_seed(1234)
x, y = cifar_slice()
mean, std = x[:1200].mean((0, 2, 3), keepdim=True), x[:1200].std((0, 2, 3), keepdim=True)
x = (x - mean) / std
model = TinyResNet()
epochs, bs = 6, 48
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scheduler = OneCycleLR(optimizer, max_lr=0.1, total_steps=epochs * (1200 // bs))
for epoch in range(epochs):
    model.train()
    for batch in torch.randperm(1200).view(-1, bs):
        loss = F.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch} loss {loss.item():.3f}")
model.eval()
with torch.no_grad():
    acc = (model(x[1200:]).argmax(1) == y[1200:]).float().mean().item()
print(f"accuracy: {acc:.4f}")
