import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont

torch.manual_seed(2)
rng = np.random.default_rng(2)

FONTS = [ImageFont.load_default(size) for size in (18, 21, 24)]
MAX_TURN = 15


def render(digit):
    canvas = Image.new("L", (28, 28))
    where = (14 + int(rng.integers(-2, 3)), 14 + int(rng.integers(-2, 3)))
    font = FONTS[int(rng.integers(len(FONTS)))]
    ImageDraw.Draw(canvas).text(where, str(digit), fill=int(rng.integers(150, 256)), font=font, anchor="mm")
    return canvas


def rotate(canvas, limit):
    return canvas.rotate(float(rng.uniform(-limit, limit)), resample=Image.BILINEAR)


def as_input(canvases):
    x = np.stack([np.asarray(c, np.float32) for c in canvases]) / 255
    x += rng.normal(0, 0.25, x.shape)
    return torch.tensor((x - 0.12) / 0.35, dtype=torch.float32)[:, None]


# the digits that appear on the meter plates
digits = [0, 1, 3, 6, 8, 9]
train_y = rng.integers(0, len(digits), 1200)
train_pics = [render(digits[k]) for k in train_y]
test_y = rng.integers(0, len(digits), 600)
test_x = as_input([rotate(render(digits[k]), 15) for k in test_y])
train_y, test_y = torch.tensor(train_y), torch.tensor(test_y)

features = nn.Sequential(
    nn.Conv2d(1, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2))
classifier = nn.Sequential(nn.Flatten(), nn.Linear(32 * 25, 80), nn.ReLU(), nn.Linear(80, len(digits)))
net = nn.Sequential(features, classifier)
optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, nesterov=True, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=10 * 20)

for epoch in range(10):
    net.train()
    epoch_x = as_input([rotate(p, MAX_TURN) for p in train_pics])
    losses = []
    for idx in torch.randperm(1200).view(20, 60):
        loss = nn.functional.cross_entropy(net(epoch_x[idx]), train_y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    print("epoch {:2d} | loss {:.3f}".format(epoch, sum(losses) / len(losses)))

net.eval()
with torch.no_grad():
    guess = net(test_x).argmax(1)
for k, d in enumerate(digits):
    print(d, "recall", round((guess[test_y == k] == k).float().mean().item(), 2))
print(f"accuracy: {(guess == test_y).float().mean().item():.3f}")
