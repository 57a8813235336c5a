# %% [markdown]
# # Which flag layout is it?
# Each picture is looked at in four quarters by one shared encoder; a head joins what the quarters say.

# %%
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(2024)
torch.manual_seed(2024)
H = W = 24
LAYOUTS = ["bands_h", "bands_v", "nordic", "canton", "saltire", "disc", "bend"]
PALETTE = np.array([[.8, .1, .15], [.1, .2, .55], [.95, .95, .95], [.05, .45, .2], [.95, .8, .1], [.1, .1, .1], [.4, .65, .9]])


# %%
def draw(layout):
    yy, xx = np.mgrid[0:H, 0:W] / (H - 1.0)
    # the cloth waves in the wind
    amp, freq, ph = rng.uniform(0, .05), rng.uniform(3, 8), rng.uniform(0, 6.28)
    yy = yy + amp * np.sin(freq * xx + ph) + rng.uniform(-.05, .05)
    xx = xx + rng.uniform(-.05, .05)
    a, b, c = PALETTE[rng.choice(len(PALETTE), 3, replace=False)]
    img = np.empty((H, W, 3))
    img[:] = a
    t = rng.uniform(.08, .12)
    if layout == "bands_h":
        img[yy > 1 / 3] = b
        img[yy > 2 / 3] = c
    elif layout == "bands_v":
        img[xx > 1 / 3] = b
        img[xx > 2 / 3] = c
    elif layout == "nordic":
        img[(np.abs(yy - .5) < t) | (np.abs(xx - .38) < t)] = b
    elif layout == "canton":
        img[((yy * 7).astype(int) % 2) == 1] = b
        img[(yy < .52) & (xx < .48)] = c
    elif layout == "saltire":
        img[np.minimum(np.abs(yy - xx), np.abs(yy + xx - 1)) < t * 1.3] = b
    elif layout == "disc":
        img[(yy - .5) ** 2 + (xx - .5) ** 2 < rng.uniform(.22, .32) ** 2] = b
    else:
        img[yy > xx] = b
        img[np.abs(yy - xx) < t] = c
    shade = 1 + .12 * np.sin(freq * xx + ph + 1)[..., None]
    return (img * shade * rng.uniform(.7, 1.05) + rng.normal(0, .08, img.shape)).clip(0, 1)


def make(n):
    y = rng.integers(0, len(LAYOUTS), n)
    x = np.stack([draw(LAYOUTS[k]) for k in y]).transpose(0, 3, 1, 2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y)


x_train, y_train = make(1800)
x_val, y_val = make(350)
x_test, y_test = make(600)
mean = x_train.mean(dim=(0, 2, 3), keepdim=True)
std = x_train.std(dim=(0, 2, 3), keepdim=True)
x_train, x_val, x_test = [(x - mean) / std for x in (x_train, x_val, x_test)]
print(x_train.shape, y_train.bincount())


# %%
def quarters(x):
    h, w = x.shape[2] // 2, x.shape[3] // 2
    return [x[:, :, :h, :w], x[:, :, :h, w:], x[:, :, h:, :w], x[:, :, h:, w:]]


class QuarterNet(nn.Module):
    def __init__(self, dim=40, classes=len(LAYOUTS)):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 9, dim), nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(4 * dim, 64), nn.ReLU(), nn.Linear(64, classes))

    def forward(self, x):
        # one pass through the encoder for all the quarters
        z = self.encoder(torch.cat(quarters(x), dim=0))
        z = z.view(len(x), 4, -1)
        return self.head(z.flatten(1))


# %%
model = QuarterNet()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-4)
batch_size, epochs = 40, 8
steps = epochs * (len(x_train) // batch_size)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
print(sum(p.numel() for p in model.parameters()), "parameters")


def evaluate(x, y):
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(xb) for xb in x.split(100)])
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


# %%
history = []
for epoch in range(epochs):
    model.train()
    running = 0.0
    for idx in torch.randperm(len(x_train)).split(batch_size):
        loss = F.cross_entropy(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item() * len(idx)
    val_loss, val_acc = evaluate(x_val, y_val)
    history.append((running / len(x_train), val_loss, val_acc))
    print("epoch %2d  train %.4f  val %.4f  val acc %.4f" % (epoch, *history[-1]))

# %%
print("test accuracy %.4f" % evaluate(x_test, y_test)[1])
