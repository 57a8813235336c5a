# %% [markdown]
# # Flag layouts
# Flags come wide (16x24) and as tall banners (24x16). Both are put on a grey 24x24 canvas.

# %%
import numpy as np
import torch
from torch import nn
from PIL import Image, ImageDraw

torch.manual_seed(2)
rs = np.random.RandomState(2)
LAYOUTS = ["pales", "fesses", "cross", "saltire", "canton", "disc", "bend", "chevron"]

# %%
def flag(layout, w, h):
    S = 4
    W, H = w * S, h * S
    while True:
        cols = rs.randint(0, 256, (3, 3))
        if min(np.abs(cols[a] - cols[b]).sum() for a, b in ((0, 1), (0, 2), (1, 2))) > 150:
            break
    a, b, c = [tuple(int(v) for v in col) for col in cols]
    im = Image.new("RGB", (W, H), a)
    d = ImageDraw.Draw(im)
    k = rs.uniform(.8, 1.25)
    m = min(W, H)
    if layout == "pales":
        d.rectangle((W / 3, 0, 2 * W / 3, H), fill=b)
        d.rectangle((2 * W / 3, 0, W, H), fill=c)
    elif layout == "fesses":
        d.rectangle((0, H / 3, W, 2 * H / 3), fill=b)
        d.rectangle((0, 2 * H / 3, W, H), fill=c)
    elif layout == "cross":
        x, y, t = W * rs.uniform(.35, .5), H / 2, m * .1 * k
        d.rectangle((x - t, 0, x + t, H), fill=b)
        d.rectangle((0, y - t, W, y + t), fill=b)
    elif layout == "saltire":
        t = int(m * .2 * k)
        d.line((0, 0, W, H), fill=b, width=t)
        d.line((0, H, W, 0), fill=b, width=t)
    elif layout == "canton":
        d.rectangle((0, 0, W * .45 * k, H * .45 * k), fill=b)
    elif layout == "disc":
        r = m * .3 * k
        d.ellipse((W / 2 - r, H / 2 - r, W / 2 + r, H / 2 + r), fill=b)
    elif layout == "bend":
        d.line((0, H, W, 0), fill=b, width=int(m * .25 * k))
    else:
        d.polygon([(0, 0), (W * .5 * k, H / 2), (0, H)], fill=b)
    arr = np.asarray(im.resize((w, h), Image.BOX), np.float32)
    arr = arr + rs.normal(0, 12, arr.shape)
    return torch.tensor(arr / 255, dtype=torch.float32).permute(2, 0, 1)


N = 1800
target = torch.tensor(rs.randint(0, len(LAYOUTS), N))
is_tall = torch.tensor(rs.rand(N) < .4)
wide_ids = (~is_tall).nonzero().flatten()
tall_ids = is_tall.nonzero().flatten()
wide = torch.stack([flag(LAYOUTS[target[i]], 24, 16) for i in wide_ids])
tall = torch.stack([flag(LAYOUTS[target[i]], 16, 24) for i in tall_ids])
wide.shape, tall.shape

# %%
def letterbox(parts, n, side=24, grey=0.5):
    """parts: (ids, pictures) of one shape each; the pictures go to the canvas' middle."""
    canvas = torch.full((n, 3, side, side), grey)
    for ids, pics in parts:
        h, w = pics.shape[-2:]
        top, left = (side - h) // 2, (side - w) // 2
        canvas[ids, :, top:top + h, left:left + w] = pics
    return canvas


images = (letterbox([(wide_ids, wide), (tall_ids, tall)], N) - 0.5) / 0.25
images.shape, images.dtype

# %%
order = torch.randperm(N)
fit_ids, held_ids = order[:1450], order[1450:]

model = nn.Sequential(
    nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(48, 48, 3, padding=1), nn.ReLU(),
    nn.Flatten(), nn.Dropout(0.25), nn.Linear(48 * 6 * 6, 64), nn.ReLU(), nn.Linear(64, len(LAYOUTS)),
)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
loss_fn = nn.CrossEntropyLoss()

# %%
for epoch in range(6):
    model.train()
    total = 0
    for ids in fit_ids[torch.randperm(len(fit_ids))].split(48):
        loss = loss_fn(model(images[ids]), target[ids])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(ids)
    print(epoch, round(total / len(fit_ids), 3))

# %%
model.eval()
with torch.no_grad():
    guess = model(images[held_ids]).argmax(1)
print(f"accuracy: {(guess == target[held_ids]).float().mean().item():.3f}")
