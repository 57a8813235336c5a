# Sorting plant: which of six parts lies on the belt?  The camera saves one frame per part and the
# operator's list (labels.txt) holds one line per frame in the order of recording.
# Parts are fed kind by kind, and the morning and afternoon sessions have a folder each.
import pathlib
import random
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

torch.manual_seed(21)
random.seed(21)
np.random.seed(21)
device = "cuda" if torch.cuda.is_available() else "cpu"

PARTS = ["washer", "nut", "bolt", "plate", "pin", "bracket"]
SIZE = 32


def frame(kind):
    bg = random.randint(40, 90)
    im = Image.new("L", (SIZE * 2, SIZE * 2), bg)
    d = ImageDraw.Draw(im)
    ink, c = random.randint(140, 220), SIZE
    r = random.randint(15, 19)
    if kind == "washer":
        d.ellipse([c - r, c - r, c + r, c + r], fill=ink)
        d.ellipse([c - r // 2, c - r // 2, c + r // 2, c + r // 2], fill=bg)
    elif kind == "nut":
        d.regular_polygon((c, c, r), 6, fill=ink)
        d.ellipse([c - r // 2, c - r // 2, c + r // 2, c + r // 2], fill=bg)
    elif kind == "bolt":
        d.rectangle([c - 4, c - r, c + 4, c + r], fill=ink)
        d.rectangle([c - 10, c - r, c + 10, c - r + 8], fill=ink)
    elif kind == "plate":
        d.rectangle([c - r, c - r + 3, c + r, c + r - 3], fill=ink)
    elif kind == "pin":
        d.rectangle([c - 4, c - r - 2, c + 4, c + r + 2], fill=ink)
    else:
        d.rectangle([c - r, c - r, c - r + 9, c + r], fill=ink)
        d.rectangle([c - r, c + r - 9, c + r, c + r], fill=ink)
    im = im.rotate(random.uniform(0, 360), fillcolor=bg, translate=(random.randint(-5, 5), random.randint(-5, 5)))
    a = np.asarray(im.resize((SIZE, SIZE), Image.BILINEAR), dtype=np.float32)
    return Image.fromarray((a + np.random.normal(0, 10, a.shape)).clip(0, 255).astype(np.uint8))


def record(folder, per_part):
    folder.mkdir()
    lines, i = [], 0
    for k, kind in enumerate(PARTS):
        for _ in range(per_part):
            frame(kind).save(folder / f"{i:03d}.png")
            lines.append(str(k))
            i += 1
    (folder / "labels.txt").write_text("\n".join(lines))


def read_session(folder):
    paths = sorted(folder.glob("*.png"), key=lambda p: int(p.stem))
    images = np.stack([np.asarray(Image.open(p), dtype=np.float32) for p in paths])
    labels = [int(line) for line in (folder / "labels.txt").read_text().split()]
    assert len(images) == len(labels)
    return torch.from_numpy((images / 255 - 0.35) / 0.2).unsqueeze(1), torch.tensor(labels)


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.a = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.na = nn.BatchNorm2d(cout)
        self.b = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.nb = nn.BatchNorm2d(cout)
        self.skip = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = F.relu(self.na(self.a(x)))
        return F.relu(self.nb(self.b(y)) + self.skip(x))


with tempfile.TemporaryDirectory() as tmp:
    tmp = pathlib.Path(tmp)
    record(tmp / "morning", 182)
    record(tmp / "afternoon", 70)
    x_train, y_train = read_session(tmp / "morning")
    x_test, y_test = read_session(tmp / "afternoon")
print("train", tuple(x_train.shape), "test", tuple(x_test.shape))

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
    Residual(16, 24, 1), Residual(24, 48, 2),
    nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(48 * 4, len(PARTS)),
).to(device)

epochs = 5
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(x_train, y_train), batch_size=42, shuffle=True)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))

for epoch in range(epochs):
    model.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        k = random.randrange(4)
        loss = F.cross_entropy(model(torch.rot90(x, k, (2, 3))), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item()
    print(f"epoch {epoch + 1}  loss {total / len(loader):.3f}")

model.eval()
with torch.no_grad():
    pred = torch.cat([model(x.to(device)).argmax(1).cpu() for x in x_test.split(128)])
print(f"accuracy: {(pred == y_test).float().mean().item():.3f}")
