"""
Thin sections of minerals: few labelled images, so the features are learnt on generic shapes first.
Phase A fits a new classifier on the fixed features, phase B fine-tunes everything at a lower rate.
"""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import nn

PX = 24
SHAPES = ["disc", "ring", "square", "frame", "triangle", "cross", "bar", "two_bars"]
MINERALS = ["olivine", "plagioclase", "biotite", "garnet", "hornblende"]


def generator(seed):
    return np.random.default_rng(seed)


def draw_shape(k, g):
    im = Image.new("L", (72, 72), 0)
    d = ImageDraw.Draw(im)
    s = g.uniform(14, 22)
    box = [36 - s, 36 - s, 36 + s, 36 + s]
    if k == 0: d.ellipse(box, fill=255)
    if k == 1: d.ellipse(box, outline=255, width=6)
    if k == 2: d.rectangle(box, fill=255)
    if k == 3: d.rectangle(box, outline=255, width=6)
    if k == 4: d.polygon([36, 36 - s, 36 - s, 36 + s, 36 + s, 36 + s], fill=255)
    if k == 5: d.line([36 - s, 36, 36 + s, 36], fill=255, width=7); d.line([36, 36 - s, 36, 36 + s], fill=255, width=7)
    if k == 6: d.line([36 - s, 36, 36 + s, 36], fill=255, width=8)
    if k == 7: d.line([36 - s, 27, 36 + s, 27], fill=255, width=6); d.line([36 - s, 45, 36 + s, 45], fill=255, width=6)
    im = im.rotate(g.uniform(0, 360), translate=tuple(g.uniform(-6, 6, 2)), resample=Image.BILINEAR)
    a = np.asarray(im.resize((PX, PX), Image.BOX)) / 255.0
    return g.uniform(0.1, 0.3) + g.uniform(0.3, 0.6) * a + g.normal(0, 0.08, a.shape)


def draw_mineral(k, g):
    v, u = np.mgrid[0:PX, 0:PX] - (PX - 1) / 2
    a = g.uniform(0, np.pi)
    p, q = u * np.cos(a) + v * np.sin(a), -u * np.sin(a) + v * np.cos(a)
    p, q = p + g.uniform(-2, 2), q + g.uniform(-2, 2)
    size = g.uniform(7, 9.5)
    if k == 0: grain, lines = np.hypot(p, q / 0.75) < size, np.abs(p - 2 * np.sin(q / 2)) < 0.8
    if k == 1: grain, lines = (abs(p) < size) & (abs(q) < 0.6 * size), np.sin(1.7 * q) > 0.3
    if k == 2: grain, lines = (abs(p) < size) & (abs(q) < 0.6 * size), np.sin(1.7 * p) > 0.3
    if k == 3: grain, lines = np.maximum(abs(p), abs(p) / 2 + abs(q) * 0.87) < 0.85 * size, np.hypot(p, q) < 2
    if k == 4: grain, lines = abs(p) / size + abs(q) / (0.7 * size) < 1.1, (np.sin(1.5 * (p + 1.7 * q)) > 0.6) | (np.sin(1.5 * (p - 1.7 * q)) > 0.6)
    image = g.uniform(0.2, 0.35) + g.uniform(0.25, 0.5) * grain - 0.2 * (grain & lines)
    return image + g.normal(0, 0.05, image.shape)


def make(draw, n_classes, per_class, g, stats=None):
    x = np.stack([draw(k, g) for k in range(n_classes) for _ in range(per_class)])
    x = torch.tensor(x[:, None], dtype=torch.float32)
    stats = stats or (x.mean(), x.std())
    return (x - stats[0]) / stats[1], torch.arange(n_classes).repeat_interleave(per_class), stats


class Net(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        layers = []
        for c_in, c_out in ((1, 16), (16, 32), (32, 48)):
            layers += [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(48, n_classes)

    def forward(self, x):
        return self.classifier(self.features(x).mean(dim=(-2, -1)))


def set_trainable(module, flag):
    for p in module.parameters():
        p.requires_grad_(flag)


def make_optimiser(model, lr):
    return torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(-1) == y).float().mean().item()


def fit(model, optimiser, data, val, epochs, tag, features_fixed=False):
    x, y = data
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    top, top_weights = -1.0, None
    for epoch in range(epochs):
        model.train()
        if features_fixed:
            model.features.eval()
        for pick in torch.randperm(len(x)).split(25):
            loss = F.cross_entropy(model(x[pick]), y[pick])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        score = accuracy(model, *val)
        print(f"{tag} {epoch + 1:2d}: last loss {loss.item():.3f}, validation {score:.3f}")
        if score > top:
            top, top_weights = score, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(top_weights)


def main():
    torch.manual_seed(17)
    g = generator(17)
    x, y, stats = make(draw_shape, len(SHAPES), 100, g)
    xv, yv, _ = make(draw_shape, len(SHAPES), 30, g, stats)
    model = Net(len(SHAPES))
    fit(model, make_optimiser(model, lr=2e-3), (x, y), (xv, yv), 4, "shapes")

    x, y, stats = make(draw_mineral, len(MINERALS), 100, g)
    xv, yv, _ = make(draw_mineral, len(MINERALS), 60, g, stats)
    xt, yt, _ = make(draw_mineral, len(MINERALS), 100, g, stats)
    model.classifier = nn.Linear(model.classifier.in_features, len(MINERALS))

    set_trainable(model.features, False)
    optimiser = make_optimiser(model, lr=1e-2)
    fit(model, optimiser, (x, y), (xv, yv), 6, "phase A", features_fixed=True)

    set_trainable(model.features, True)
    optimiser = make_optimiser(model, lr=2e-3)
    fit(model, optimiser, (x, y), (xv, yv), 16, "phase B")
    print(f"test accuracy on {len(yt)} sections: {accuracy(model, xt, yt):.3f}")


if __name__ == "__main__":
    main()
