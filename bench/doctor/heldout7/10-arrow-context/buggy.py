import math
import random

import torch
from PIL import Image, ImageDraw
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

random.seed(5)
torch.manual_seed(5)
device = "cuda" if torch.cuda.is_available() else "cpu"

DIRECTIONS = ["E", "SE", "S", "SW", "W", "NW", "N", "NE"]
SIZE = 32
TOTAL = 980
EPOCHS = 6
BATCH = 64

# ---- pictures: one arrow on a two-tone road ----
images, labels = [], []
for i in range(TOTAL):
    k = random.randrange(len(DIRECTIONS))
    base = [random.randint(60, 190) for _ in range(3)]
    canvas = Image.new("RGB", (96, 96), tuple(base))
    pen = ImageDraw.Draw(canvas)
    edge = random.randint(10, 86)
    pen.rectangle([0, edge, 96, 96], fill=tuple(max(0, c - random.randint(10, 40)) for c in base))
    angle = math.radians(45 * k + random.uniform(-14, 14))
    ux, uy = math.cos(angle), math.sin(angle)
    half = random.uniform(22, 34)
    mx, my = 48 + random.uniform(-9, 9), 48 + random.uniform(-9, 9)
    light = random.random() < 0.5
    ink = tuple(random.randint(215, 255) if light else random.randint(0, 35) for _ in range(3))
    tip = (mx + half * ux, my + half * uy)
    pen.line([(mx - half * ux, my - half * uy), tip], fill=ink, width=random.randint(6, 10))
    head = random.uniform(16, 22)
    pen.polygon([(tip[0] + 5 * ux, tip[1] + 5 * uy),
                 (tip[0] - head * ux - head * 0.75 * uy, tip[1] - head * uy + head * 0.75 * ux),
                 (tip[0] - head * ux + head * 0.75 * uy, tip[1] - head * uy - head * 0.75 * ux)], fill=ink)
    small = canvas.resize((SIZE, SIZE), Image.BOX)
    images.append(torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8).view(SIZE, SIZE, 3).permute(2, 0, 1))
    labels.append(k)

pictures = torch.stack(images).float().div(255).sub(0.5).div(0.25)
dataset = TensorDataset(pictures, torch.tensor(labels))
n_train = round(0.85 * TOTAL)
train_set, held_back = random_split(dataset, [n_train, TOTAL - n_train], generator=torch.Generator().manual_seed(1))
train_loader = DataLoader(train_set, batch_size=BATCH, shuffle=True)
held_loader = DataLoader(held_back, batch_size=BATCH)


# ---- net: local features plus one vector of whole-image context ----
class ContextNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(3, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        )
        self.context = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(32, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True),
        )
        self.mix = nn.Sequential(
            nn.Conv2d(48, 48, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(48), nn.ReLU(inplace=True),
        )
        self.classify = nn.Linear(48 * 4 * 4, classes)

    def forward(self, x):
        x = self.local(x)
        ctx = self.context(x).expand(-1, -1, x.shape[2], x.shape[3])
        x = self.mix(torch.cat([x, ctx], dim=1))
        return self.classify(x.flatten(1))


net = ContextNet(len(DIRECTIONS)).to(device)
optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=EPOCHS * len(train_loader))
criterion = nn.CrossEntropyLoss()

for epoch in range(EPOCHS):
    net.train()
    running = []
    for x, y in train_loader:
        x, y = x.to(device), y.to(device)
        loss = criterion(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        running.append(loss.item())
    print("epoch", epoch, "loss %.4f" % (sum(running) / len(running)))

net.eval()
right = 0
with torch.no_grad():
    for x, y in held_loader:
        right += (net(x.to(device)).argmax(1).cpu() == y).sum().item()
print(f"accuracy: {right / len(held_back):.3f}")
