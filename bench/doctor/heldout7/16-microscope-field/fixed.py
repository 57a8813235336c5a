import torch
import torch.nn as nn
import torch.nn.functional as F

# Patches under a microscope: threads, grains, bubbles, plates.
# The eyepiece shows a round field, everything outside is black.

g = torch.Generator().manual_seed(42)
torch.manual_seed(42)

S = 36
yy, xx = torch.meshgrid(torch.arange(S).float(), torch.arange(S).float(), indexing="ij")
field = ((xx - (S - 1) / 2) ** 2 + (yy - (S - 1) / 2) ** 2) < (S / 2 - 1) ** 2


def u(lo, hi, *shape):
    return torch.rand(shape, generator=g) * (hi - lo) + lo


def specimen(kind):
    img = torch.zeros(S, S)
    if kind == 0:  # threads
        for _ in range(7):
            t, off = u(0, 3.1416), u(-14, 14)
            d = (xx - S / 2) * torch.cos(t) + (yy - S / 2) * torch.sin(t) - off + 1.5 * torch.sin(yy / u(3, 6) + u(0, 6))
            img = torch.maximum(img, torch.exp(-(d / 1.0) ** 2) * u(0.6, 1))
    elif kind == 1:  # grains
        for _ in range(22):
            d2 = (xx - u(0, S)) ** 2 + (yy - u(0, S)) ** 2
            img = torch.maximum(img, torch.exp(-d2 / u(2, 5)) * u(0.6, 1))
    elif kind == 2:  # bubbles
        for _ in range(9):
            r = ((xx - u(0, S)) ** 2 + (yy - u(0, S)) ** 2).sqrt()
            img = torch.maximum(img, torch.exp(-((r - u(3, 5)) / 0.9) ** 2) * u(0.6, 1))
    else:  # plates
        for _ in range(9):
            t, cx, cy = u(0, 3.1416), u(0, S), u(0, S)
            a = (xx - cx) * torch.cos(t) + (yy - cy) * torch.sin(t)
            b = -(xx - cx) * torch.sin(t) + (yy - cy) * torch.cos(t)
            img = torch.maximum(img, ((a.abs() < u(2, 4)) & (b.abs() < u(2, 4))).float() * u(0.6, 1))
    return img


N, HELD = 1040, 260
target = torch.randint(0, 4, (N + HELD,), generator=g)
slides = torch.stack([specimen(int(k)) for k in target])
slides = 40 + 160 * u(0.5, 1.0, N + HELD, 1, 1) * slides + 14 * torch.randn(slides.shape, generator=g)
slides = (slides * field).clamp(0, 255).round().to(torch.uint8).unsqueeze(1)

x_train, y_train = slides[:N].float() / 255, target[:N]
x_held, y_held = slides[N:].float() / 255, target[N:]

# standardise every pixel position (evens out the uneven lamp)
pixel_mean = x_train.mean(dim=0)
pixel_std = x_train.std(dim=0).clamp(min=0.01)
x_train = (x_train - pixel_mean) / pixel_std
x_held = (x_held - pixel_mean) / pixel_std

net = nn.Sequential(
    nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(32, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(48 * 4 * 4, 4),
)
opt = torch.optim.Adam(net.parameters(), lr=2e-3, betas=(0.9, 0.98))
EPOCHS, B = 6, 40

for epoch in range(EPOCHS):
    for group in opt.param_groups:
        group["lr"] = 2e-3 * (1 - epoch / EPOCHS)
    net.train()
    perm = torch.randperm(N)
    correct = 0
    for i in range(0, N, B):
        idx = perm[i:i + B]
        logits = net(x_train[idx])
        loss = F.cross_entropy(logits, y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        correct += (logits.argmax(1) == y_train[idx]).sum().item()
    print("epoch", epoch, "train accuracy %.3f" % (correct / N))

net.eval()
with torch.no_grad():
    acc = (net(x_held).argmax(1) == y_held).float().mean().item()
print(f"accuracy: {acc:.3f}")
