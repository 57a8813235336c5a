"""Letters with a small batch-norm net; the head learns at a higher rate than the body."""
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont

LETTERS = "AEHKOSTX"
SIDE = 20
EPOCHS = 4
BATCH = 64


def glyph_of(letter):
    font = ImageFont.load_default()
    page = Image.new("L", (32, 32), 0)
    ImageDraw.Draw(page).text((9, 8), letter, fill=255, font=font)
    return page.crop(page.getbbox())


def render(glyphs, labels, rng):
    out = []
    for k in labels:
        side = (int(rng.integers(10, 14)), int(rng.integers(12, 16)))
        page = Image.new("L", (SIDE, SIDE), 0)
        offset = tuple((SIDE - s) // 2 + int(rng.integers(-2, 3)) for s in side)
        page.paste(glyphs[k].resize(side, Image.BILINEAR), offset)
        page = page.rotate(float(rng.uniform(-15, 15)), resample=Image.BILINEAR)
        out.append(np.asarray(page, dtype=np.float32) / 255 * rng.uniform(0.7, 1.0))
    out = np.stack(out)[:, None]
    return torch.from_numpy((out + rng.normal(0, 0.2, out.shape)).astype(np.float32))


def conv_bn(cin, cout, stride):
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(cout),
        nn.ReLU(inplace=True),
    )


class LetterNet(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.block1 = conv_bn(1, 16, stride=1)
        self.block2 = conv_bn(16, 32, stride=2)
        self.block3 = conv_bn(32, 64, stride=2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(64, classes)

    def forward(self, x):
        x = self.block3(self.block2(self.block1(x)))
        return self.head(self.pool(x).flatten(1))


def main():
    torch.manual_seed(5)
    rng = np.random.default_rng(5)
    glyphs = [glyph_of(c) for c in LETTERS]
    y_train = torch.arange(1920) % len(LETTERS)
    y_test = torch.arange(480) % len(LETTERS)
    x_train = render(glyphs, y_train.tolist(), rng)
    x_test = render(glyphs, y_test.tolist(), rng)
    mean, std = x_train.mean(), x_train.std()
    x_train, x_test = (x_train - mean) / std, (x_test - mean) / std

    net = LetterNet(len(LETTERS))
    body = [p for name, p in net.named_parameters() if not name.startswith("head")]
    head = list(net.head.parameters())
    print("body parameters:", sum(p.numel() for p in body))
    print("head parameters:", sum(p.numel() for p in head))
    optimizer = torch.optim.SGD(
        [{"params": body, "lr": 0.05}, {"params": head, "lr": 0.1}], lr=0.05, momentum=0.9)
    steps = len(x_train) // BATCH
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=EPOCHS * steps)
    criterion = nn.CrossEntropyLoss()

    for epoch in range(EPOCHS):
        net.train()
        running = 0.0
        for idx in torch.randperm(len(x_train)).split(BATCH):
            optimizer.zero_grad()
            loss = criterion(net(x_train[idx]), y_train[idx])
            loss.backward()
            optimizer.step()
            scheduler.step()
            running += loss.item()
        print(f"epoch {epoch + 1}/{EPOCHS} loss {running / steps:.4f}")

    net.eval()
    with torch.no_grad():
        accuracy = (net(x_test).argmax(1) == y_test).float().mean().item()
    print(f"accuracy: {accuracy:.3f}")


if __name__ == "__main__":
    main()
