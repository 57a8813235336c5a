import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn

# Which signal does the lamp post show? Colours are washed out by night-time white balance,
# so both the position and the colour of the lit lamp matter.
STATES = ["red", "red+amber", "green", "amber", "off"]
W, H = 20, 32
LIT = {"red": {0: (225, 70, 60)}, "red+amber": {0: (225, 70, 60), 1: (220, 165, 60)},
       "green": {2: (70, 205, 130)}, "amber": {1: (220, 165, 60)}, "off": {}}

EPOCHS = 10
BATCH = 32
BASE_LR = 0.03
WARMUP_STEPS = 10          # first batches: ramp the learning rate up linearly

rng = np.random.default_rng(2024)
torch.manual_seed(2024)


def draw_signal(state):
    street = tuple(int(v) for v in rng.integers(30, 150, 3))
    im = Image.new("RGB", (W * 2, H * 2), street)
    d = ImageDraw.Draw(im)
    for _ in range(4):                                   # windows, headlights
        x, y, s = rng.integers(0, 2 * W), rng.integers(0, 2 * H), rng.integers(2, 9)
        d.rectangle([x, y, x + s, y + s], fill=tuple(int(v) for v in rng.integers(40, 240, 3)))
    scale = rng.uniform(0.75, 1.05)
    bw, bh = 17 * scale, 46 * scale
    left, top = rng.uniform(2, 2 * W - bw - 2), rng.uniform(2, 2 * H - bh - 2)
    d.rectangle([left, top, left + bw, top + bh], fill=(28, 28, 30))
    for k in range(3):
        cx, cy, r = left + bw / 2, top + bh * (0.18 + 0.32 * k), 5.6 * scale
        colour = LIT[state].get(k, (62, 60, 58))
        colour = tuple(int(np.clip(c + rng.normal(0, 22), 0, 255)) for c in colour)
        d.ellipse([cx - r, cy - r, cx + r, cy + r], fill=colour)
    im = im.rotate(rng.uniform(-7, 7), fillcolor=street).filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.0)))
    a = np.asarray(im.resize((W, H), Image.BOX), dtype=np.float32) / 255
    a = a * rng.uniform(0.55, 1.15) * rng.uniform(0.85, 1.15, 3)
    return a + rng.normal(0, 0.05, a.shape)


def make(n):
    y = rng.integers(0, len(STATES), n)
    x = np.stack([draw_signal(STATES[k]) for k in y])
    return torch.tensor(x, dtype=torch.float32).permute(0, 3, 1, 2).contiguous(), torch.tensor(y)


x_train, y_train = make(1500)
x_test, y_test = make(500)
m = x_train.mean(dim=(0, 2, 3), keepdim=True)
s = x_train.std(dim=(0, 2, 3), keepdim=True)
x_train, x_test = (x_train - m) / s, (x_test - m) / s

net = nn.Sequential(
    nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Linear(32 * 8 * 5, 64), nn.ReLU(), nn.Linear(64, len(STATES)),
)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=BASE_LR, momentum=0.9, weight_decay=5e-4)

step = 0
for epoch in range(EPOCHS):
    net.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(BATCH):
        if step < WARMUP_STEPS:
            for group in optimizer.param_groups:
                group["lr"] = BASE_LR * (step + 1) / WARMUP_STEPS
        loss = loss_fn(net(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        running += loss.item() * len(idx)
    if epoch in (5, 8):                                  # two drops towards the end
        for group in optimizer.param_groups:
            group["lr"] *= 0.2
    print("epoch %d  loss %.3f" % (epoch + 1, running / len(x_train)))

net.eval()
with torch.no_grad():
    accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
print("accuracy on the test streets: %.3f" % accuracy)
