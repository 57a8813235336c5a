import string

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, TensorDataset, random_split

torch.manual_seed(3)
rng = np.random.default_rng(3)
letters = string.ascii_uppercase[:8]
fonts = [ImageFont.load_default(size=s) for s in (14, 16, 18)]

# --- data -----------------------------------------------------------
imgs, targets = [], []
for _ in range(1281):
    t = int(rng.integers(len(letters)))
    im = Image.new("L", (24, 24))
    ImageDraw.Draw(im).text(
        (rng.integers(2, 10), rng.integers(-1, 5)), letters[t], fill=255, font=fonts[rng.integers(3)]
    )
    arr = np.array(im, dtype=np.float32) / 255 + rng.normal(0, 0.2, (24, 24))
    imgs.append(arr)
    targets.append(t)
x = torch.tensor(np.stack(imgs), dtype=torch.float32)[:, None]
x = (x - x.mean()) / x.std()
full = TensorDataset(x, torch.tensor(targets))

n_val = int(0.2 * len(full))
train_set, val_set = random_split(full, [len(full) - n_val, n_val])
train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
val_loader = DataLoader(val_set, batch_size=128)

# --- model ----------------------------------------------------------
backbone = torch.nn.Sequential(
    torch.nn.Conv2d(1, 12, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(12, 24, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
)
embedding = torch.nn.Sequential(
    torch.nn.Linear(24 * 6 * 6, 32, bias=False),
    torch.nn.BatchNorm1d(32),
    torch.nn.ReLU(),
)
classifier = torch.nn.Linear(32, len(letters))
model = torch.nn.Sequential(backbone, embedding, classifier)

# --- training -------------------------------------------------------
opt = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
for epoch in range(7):
    model.train()
    for xb, yb in train_loader:
        opt.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(xb), yb)
        loss.backward()
        opt.step()
    model.eval()
    n_right = 0
    with torch.no_grad():
        for xb, yb in val_loader:
            n_right += int((model(xb).argmax(1) == yb).sum())
    print(epoch, f"{loss.item():.3f}", f"{n_right / n_val:.3f}")

print(f"accuracy: {n_right / n_val:.3f}")
