"""Makers' marks on old silver.

Phase 0  train on clean drawings from the register of marks
Phase 1  new head on photographs, backbone frozen
Phase 2  everything, small rate
The curator gets two proposals per piece, so the figure that counts is top-2.
"""
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
torch.manual_seed(9)
rng = np.random.default_rng(9)

N_MARKS, SIDE, TOP = 10, 24, 2
shapes = np.random.default_rng(404)
REGISTER = [shapes.permutation(16)[:6] for _ in range(N_MARKS)]      # polyline on a 4x4 grid


def impression(mark, worn):
    jitter = 2.2 if worn else 0.8
    pts = []
    for node in REGISTER[mark]:
        gy, gx = divmod(int(node), 4)
        pts.append((9 + 10 * gx, 9 + 10 * gy))
    pts = np.array(pts, float) - 24
    a, s = rng.normal(0, 0.22 if worn else 0.08), rng.uniform(0.8, 1.1)
    rot = s * np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    pts = pts @ rot.T + 24 + rng.normal(0, 2.0, 2) + rng.normal(0, jitter, pts.shape)
    img = Image.new("L", (48, 48), 110)
    draw = ImageDraw.Draw(img)
    ink = int(rng.integers(150, 235))
    for p, q in zip(pts[:-1], pts[1:]):
        if worn and rng.random() < 0.27:                              # polished away
            continue
        draw.line([tuple(p), tuple(q)], fill=ink, width=4)
    if worn:
        for _ in range(rng.integers(2, 6)):                           # scratches
            x0, y0, x1, y1 = rng.uniform(0, 48, 4)
            draw.line([x0, y0, x1, y1], fill=int(rng.integers(60, 210)), width=2)
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(0.6, 1.6))).resize((SIDE, SIDE), Image.BILINEAR)
    arr = np.asarray(img, np.float32) + rng.normal(0, 18 if worn else 5, (SIDE, SIDE))
    return arr.clip(0, 255) / 255


def collection(n, worn):
    y = rng.integers(0, N_MARKS, n)
    x = np.stack([impression(k, worn) for k in y]).astype(np.float32)
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y)


def standardised(x, ref):
    return (x - ref.mean()) / ref.std()


def conv(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1), nn.GroupNorm(4, o), nn.ReLU())


backbone = nn.Sequential(conv(1, 16), nn.MaxPool2d(2), conv(16, 24), nn.MaxPool2d(2), conv(24, 32), nn.Flatten())
FEATURES = 32 * (SIDE // 4) ** 2
ce = nn.CrossEntropyLoss()


def passes(model, loader, optimizer, epochs, tag):
    for ep in range(epochs):
        model.train()
        total = seen = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = ce(model(x), y)
            loss.backward()
            optimizer.step()
            total, seen = total + loss.item() * len(y), seen + len(y)
        print(f"{tag} {ep + 1}: loss {total / seen:.3f}")


def topk_accuracy(model, loader, k):
    model.eval()
    found = pieces = 0
    with torch.no_grad():
        for x, y in loader:
            proposals = model(x).topk(k, dim=1).indices
            found += (proposals == y.unsqueeze(1)).any(dim=1).sum().item()
            pieces += len(y)
    return found / pieces


drawings, drawn = collection(600, worn=False)
photos, marks = collection(1000, worn=True)
photos_val, marks_val = collection(240, worn=True)
photos_test, marks_test = collection(500, worn=True)
clean = DataLoader(TensorDataset(standardised(drawings, drawings), drawn), 40, shuffle=True)
real = DataLoader(TensorDataset(standardised(photos, photos), marks), 40, shuffle=True)
val = DataLoader(TensorDataset(standardised(photos_val, photos), marks_val), 20)
test = DataLoader(TensorDataset(standardised(photos_test, photos), marks_test), 20)

# phase 0
model = nn.Sequential(backbone, nn.Linear(FEATURES, N_MARKS))
passes(model, clean, torch.optim.Adam(model.parameters(), lr=1e-3), 3, "register")

# phase 1
model = nn.Sequential(backbone, nn.Sequential(nn.Dropout(0.3), nn.Linear(FEATURES, N_MARKS)))
backbone.requires_grad_(False)
passes(model, real, torch.optim.Adam(model[1].parameters(), lr=1e-3), 3, "head")
print(f"top-{TOP} validation {topk_accuracy(model, val, TOP):.3f}")

# phase 2
backbone.requires_grad_(True)
passes(model, real, torch.optim.Adam(model.parameters(), lr=5e-4), 7, "all")
print(f"top-{TOP} validation {topk_accuracy(model, val, TOP):.3f}")
print(f"top-{TOP} accuracy on the test pieces: {topk_accuracy(model, test, TOP):.4f}")
