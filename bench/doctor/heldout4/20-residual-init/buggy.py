import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

KINDS = ["triangle", "square", "disc", "ring", "plus", "cross"]
SIDE = 24
torch.manual_seed(8)
gen = np.random.default_rng(8)


def picture(kind):
    back = tuple(int(v) for v in gen.integers(0, 100, 3))
    ink = tuple(int(v) for v in gen.integers(150, 256, 3))
    im = Image.new("RGB", (SIDE, SIDE), back)
    draw = ImageDraw.Draw(im)
    cx, cy = (int(v) for v in gen.integers(10, 14, 2))
    r = int(gen.integers(6, 9))
    box = [cx - r, cy - r, cx + r, cy + r]
    if kind == "triangle":
        draw.polygon([(cx, cy - r), (cx - r, cy + r), (cx + r, cy + r)], fill=ink)
    elif kind == "square":
        draw.rectangle(box, fill=ink)
    elif kind == "disc":
        draw.ellipse(box, fill=ink)
    elif kind == "ring":
        draw.ellipse(box, outline=ink, width=2)
    elif kind == "plus":
        draw.line([(cx - r, cy), (cx + r, cy)], fill=ink, width=3)
        draw.line([(cx, cy - r), (cx, cy + r)], fill=ink, width=3)
    else:
        draw.line([(cx - r, cy - r), (cx + r, cy + r)], fill=ink, width=3)
        draw.line([(cx - r, cy + r), (cx + r, cy - r)], fill=ink, width=3)
    return np.asarray(im, dtype=np.float32).transpose(2, 0, 1) / 255 + gen.normal(0, 0.08, (3, SIDE, SIDE))


def dataset(n):
    y = gen.integers(0, len(KINDS), n)
    x = np.stack([picture(KINDS[k]) for k in y]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class Block(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.skip = nn.Conv2d(cin, cout, 1, stride, bias=False) if cin != cout else nn.Identity()

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.skip(x))


class TinyResNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn = nn.BatchNorm2d(16)
        self.layer1 = Block(16, 16)
        self.layer2 = Block(16, 32, stride=2)
        self.fc = nn.Linear(32, classes)
        self.reset()

    def reset(self):
        for name, p in self.named_parameters():
            if p.ndim > 1:
                nn.init.kaiming_normal_(p)
            else:
                nn.init.zeros_(p)

    def forward(self, x):
        x = F.relu(self.bn(self.stem(x)))
        x = self.layer2(self.layer1(x))
        return self.fc(x.mean(dim=(2, 3)))


x_train, y_train = dataset(2100)
x_test, y_test = dataset(600)
mean, std = x_train.mean((0, 2, 3), keepdim=True), x_train.std((0, 2, 3), keepdim=True)
train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=35, shuffle=True)
test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=200)

epochs = 5
model = TinyResNet(len(KINDS))
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=0.05, epochs=epochs, steps_per_epoch=len(train_loader))

for epoch in range(epochs):
    model.train()
    for x, y in train_loader:
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    print(f"epoch {epoch + 1}/{epochs} last loss {loss.item():.3f}")

model.eval()
with torch.no_grad():
    hits = sum((model(x).argmax(1) == y).sum().item() for x, y in test_loader)
print(f"accuracy: {hits / len(y_test):.3f}")
