"""Arrows painted on the road. Phase 1 learns from clean renders, phase 2 adapts the network
to (few) camera crops: first the head alone, then everything with a smaller rate."""
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import nn
from torch.utils.data import DataLoader, Dataset

ARROWS = ["straight", "left", "right", "straight_left", "straight_right"]
MIRRORED = {"straight": "straight", "left": "right", "right": "left",
            "straight_left": "straight_right", "straight_right": "straight_left"}
SIDE = 28


def paint(arrow, rng, camera):
    w = 3 * SIDE
    img = Image.new("L", (w, w), 0)
    pen = ImageDraw.Draw(img)
    cx, thick = w // 2, int(rng.integers(7, 11))
    pen.line([(cx, w - 12), (cx, 40)], fill=255, width=thick)
    if "straight" in arrow:
        pen.line([(cx, 40), (cx, 20)], fill=255, width=thick)
        pen.polygon([(cx - 10, 24), (cx + 10, 24), (cx, 6)], fill=255)
    for word, s in (("left", -1), ("right", 1)):
        if word in arrow:
            pen.line([(cx, 42), (cx + 18 * s, 34)], fill=255, width=thick)
            pen.polygon([(cx + 16 * s, 22), (cx + 16 * s, 46), (cx + 32 * s, 32)], fill=255)
    if not camera:
        return np.asarray(img.resize((SIDE, SIDE), Image.BILINEAR), np.float32) / 255
    img = img.rotate(rng.uniform(-20, 20), translate=tuple(rng.integers(-9, 10, 2).tolist()))
    img = img.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5))).resize((SIDE, SIDE), Image.BILINEAR)
    paint_left = np.asarray(img, np.float32) / 255 * (rng.random((SIDE, SIDE)) > 0.2)   # worn paint
    return (paint_left * rng.uniform(0.3, 0.7) + rng.uniform(0.1, 0.4)
            + rng.normal(0, 0.13, (SIDE, SIDE))).astype(np.float32)


def make_samples(n, rng, camera):
    names = rng.choice(ARROWS, n)
    return [{"image": paint(a, rng, camera), "arrow": str(a)} for a in names]


class ArrowSet(Dataset):
    def __init__(self, samples, mean, std, mirror=False):
        self.samples, self.mean, self.std, self.mirror = samples, mean, std, mirror

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, i):
        sample = self.samples[i]
        image = torch.from_numpy(sample["image"])
        if self.mirror and torch.rand(()) < 0.5:
            image = image.flip(-1)
            sample["arrow"] = MIRRORED[sample["arrow"]]
        return ((image - self.mean) / self.std)[None], ARROWS.index(sample["arrow"])


class ArrowNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1), nn.ELU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ELU(), nn.MaxPool2d(2),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(32 * 49, len(ARROWS)))

    def forward(self, x):
        return self.head(self.features(x))


def statistics(samples):
    stack = np.stack([s["image"] for s in samples])
    return float(stack.mean()), float(stack.std())


def fit(model, loader, val_loader, lr, epochs, tag):
    params = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(params, lr=lr)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        mean_loss = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
            mean_loss += loss.item() / len(loader)
        print(f"{tag:8s} epoch {epoch + 1}: loss {mean_loss:.3f}, val accuracy {test(model, val_loader):.3f}")


@torch.no_grad()
def test(model, loader):
    model.eval()
    right = [(model(x).argmax(1) == y) for x, y in loader]
    return torch.cat(right).float().mean().item()


def main():
    torch.manual_seed(31)
    rng = np.random.default_rng(31)
    renders = make_samples(400, rng, camera=False)
    camera_train = make_samples(600, rng, camera=True)
    camera_val = make_samples(200, rng, camera=True)
    camera_test = make_samples(500, rng, camera=True)

    sim = statistics(renders)
    cam = statistics(camera_train)
    render_loader = DataLoader(ArrowSet(renders, *sim), batch_size=40, shuffle=True)
    train_loader = DataLoader(ArrowSet(camera_train, *cam, mirror=True), batch_size=40, shuffle=True)
    val_loader = DataLoader(ArrowSet(camera_val, *cam), batch_size=100)
    test_loader = DataLoader(ArrowSet(camera_test, *cam), batch_size=100)

    model = ArrowNet()
    fit(model, render_loader, val_loader, lr=1e-3, epochs=3, tag="renders")

    model.features.requires_grad_(False)
    fit(model, train_loader, val_loader, lr=1e-3, epochs=2, tag="head")
    model.features.requires_grad_(True)
    fit(model, train_loader, val_loader, lr=5e-4, epochs=9, tag="all")

    print(f"camera test accuracy: {test(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
