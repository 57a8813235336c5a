# Optical music recognition, step 2: the symbol on a cut-out piece of stave.
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, default_collate, random_split

torch.manual_seed(11)
torch.set_num_threads(1)
RNG = np.random.default_rng(11)

SYMBOLS = ["whole", "half", "quarter", "eighth", "sixteenth", "rest"]
W = 32


def cut_out(symbol):
    """Draws one symbol at double size on five stave lines, then scans it."""
    im = Image.new("L", (2 * W, 2 * W), int(RNG.integers(215, 250)))
    d = ImageDraw.Draw(im)
    ink = int(RNG.integers(20, 120))
    top, gap = int(RNG.integers(12, 20)), 9
    for k in range(5):
        d.line([0, top + gap * k, 2 * W, top + gap * k], fill=ink + 40)
    x, y = int(RNG.integers(24, 38)), top + gap * int(RNG.integers(2, 5))
    if symbol == 5:
        d.line([x - 4, y - 20, x + 4, y - 12, x - 3, y - 6, x + 5, y + 3], fill=ink, width=4, joint="curve")
        d.arc([x - 5, y, x + 5, y + 9], 90, 280, fill=ink, width=3)
    else:
        rx, ry = 6, 4
        if symbol <= 1:
            d.ellipse([x - rx, y - ry, x + rx, y + ry], outline=ink, width=2)
        else:
            d.ellipse([x - rx, y - ry, x + rx, y + ry], fill=ink)
        if symbol >= 1:
            tip = y - int(RNG.integers(26, 31))
            d.line([x + rx, y, x + rx, tip], fill=ink, width=2)
            for flag in range(max(symbol - 2, 0)):
                t = tip + 8 * flag
                d.line([x + rx, t, x + rx + 8, t + 9], fill=ink, width=3)
    im = im.rotate(RNG.uniform(-5, 5), fillcolor=235).filter(ImageFilter.GaussianBlur(RNG.uniform(.4, 1.2)))
    px = np.asarray(im.resize((W, W), Image.BILINEAR), dtype=np.float32) / 255
    return np.clip(px + RNG.normal(0, .13, px.shape), 0, 1).astype(np.float32)


def collection(n):
    y = RNG.integers(len(SYMBOLS), size=n)
    x = np.stack([cut_out(s) for s in y])[:, None]
    return TensorDataset(torch.from_numpy((x - .8) / .25).float(), torch.from_numpy(y))


def jitter_collate(samples):
    """Moves each cut-out by up to two pixels, fades it, and covers a patch, as an ink stain would."""
    x, y = default_collate(samples)
    x = F.pad(x, (2, 2, 2, 2), mode="replicate")
    out = torch.empty(len(x), 1, W, W)
    for i, page in enumerate(x):
        dy, dx = torch.randint(0, 5, (2,)).tolist()
        piece = page[:, dy:dy + W, dx:dx + W] * torch.empty(1).uniform_(.7, 1.2)
        h, w = torch.randint(6, 15, (2,)).tolist()
        py, px = torch.randint(0, W - 6, (2,)).tolist()
        piece[:, py:py + h, px:px + w] = torch.empty(1).uniform_(-3, .8)
        out[i] = piece
    return out, y


class Reader(nn.Module):
    def __init__(self, c=16):
        super().__init__()
        self.c1 = nn.Conv2d(1, c, 5, padding=2)
        self.c2 = nn.Conv2d(c, 2 * c, 3, padding=1)
        self.c3 = nn.Conv2d(2 * c, 3 * c, 3, padding=1)
        self.fc1 = nn.Linear(3 * c * 16, 64)
        self.fc2 = nn.Linear(64, len(SYMBOLS))

    def forward(self, x):
        for conv in (self.c1, self.c2, self.c3):
            x = F.max_pool2d(F.relu(conv(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def score(model, loader):
    model.eval()
    hits = seen = 0
    with torch.no_grad():
        for x, y in loader:
            hits += int((model(x).argmax(1) == y).sum())
            seen += len(y)
    return hits / seen


opts = dict(batch_size=50)
train_part, val_part = random_split(collection(1800), [1500, 300])
train_loader = DataLoader(train_part, shuffle=True, collate_fn=jitter_collate, **opts)
val_loader = DataLoader(val_part, **opts)
test_loader = DataLoader(collection(600), **opts)

model = Reader()
optim = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
best, best_state = 0., None
for epoch in range(1, 9):
    model.train()
    running = []
    for x, y in train_loader:
        loss = F.cross_entropy(model(x), y)
        optim.zero_grad()
        loss.backward()
        optim.step()
        running.append(loss.item())
    val = score(model, val_loader)
    print(f"[{epoch}] train loss {np.mean(running):.3f}, val accuracy {val:.3f}")
    if val > best:
        best, best_state = val, {k: v.clone() for k, v in model.state_dict().items()}

model.load_state_dict(best_state)
print("test accuracy of the best epoch by val:", round(score(model, test_loader), 4))
