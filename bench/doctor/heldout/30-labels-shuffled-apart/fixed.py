import numpy as np
import torch
import torch.nn as nn

np.random.seed(99)
torch.manual_seed(99)


def synth_class(k, n, size=16):
    """k-th colour pair, as a two-colour gradient in a random direction"""
    pal = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]], dtype="float32")
    a, b = pal[k], pal[(k + 2) % 5]
    yy, xx = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    out = np.empty((n, 3, size, size), dtype="float32")
    for i in range(n):
        t = np.random.uniform(0, 2 * np.pi)
        ramp = 0.5 + 0.5 * np.sin(3 * (xx * np.cos(t) + yy * np.sin(t)) + t)
        out[i] = a[:, None, None] * ramp + b[:, None, None] * (1 - ramp)
    return out + np.random.normal(0, 0.4, out.shape).astype("float32")


images = np.concatenate([synth_class(k, 400) for k in range(5)])
labels = np.repeat(np.arange(5), 400)

# hold out every fifth image
is_val = np.arange(len(labels)) % 5 == 0
val_x, val_y = torch.tensor(images[is_val]), torch.tensor(labels[is_val])
train_x, train_y = images[~is_val], labels[~is_val]

# shuffle the training part
order = np.random.permutation(len(train_y))
train_x, train_y = train_x[order], train_y[order]
train_x, train_y = torch.tensor(train_x), torch.tensor(train_y)


class Features(nn.Sequential):
    def __init__(self, i, o):
        super().__init__(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.SiLU(), nn.MaxPool2d(2))


model = nn.Sequential(Features(3, 12), Features(12, 24), nn.Flatten(), nn.Linear(24 * 16, 5))
loss_fn = nn.CrossEntropyLoss()
sgd = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
batch_size = 64
for epoch in range(6):
    model.train()
    for lo in range(0, len(train_x), batch_size):
        xb, yb = train_x[lo : lo + batch_size], train_y[lo : lo + batch_size]
        loss = loss_fn(model(xb), yb)
        loss.backward()
        sgd.step()
        sgd.zero_grad()
    model.eval()
    with torch.no_grad():
        val_acc = (model(val_x).argmax(dim=1) == val_y).float().mean().item()
    print(f"[{epoch}] loss {loss.item():.4f}  val {val_acc:.4f}")
print(f"accuracy: {val_acc:.4f}")
