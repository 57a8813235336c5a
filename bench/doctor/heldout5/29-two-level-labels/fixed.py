"""Six kinds of coloured tokens (3 shapes x 2 colours); an auxiliary head predicts the shape alone."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, TensorDataset

SHAPES = ("disc", "triangle", "bar")
COLOURS = ((200, 70, 60), (60, 90, 200))


def token(label, rng):
    """label = 2 * shape + colour"""
    shape, colour = divmod(int(label), 2)
    grey = int(rng.integers(70, 150))
    ink = tuple(int(np.clip(c + rng.normal(0, 18), 0, 255)) for c in COLOURS[colour])
    im = Image.new("RGB", (24, 24), (grey, grey, grey))
    d = ImageDraw.Draw(im)
    x, y = rng.uniform(8, 16, 2)
    r = rng.uniform(5, 7.5)
    if SHAPES[shape] == "disc":
        d.ellipse([x - r, y - r, x + r, y + r], fill=ink)
    elif SHAPES[shape] == "triangle":
        d.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=ink)
    else:
        d.rectangle([x - r, y - 2, x + r, y + 2], fill=ink)
    return np.asarray(im, dtype=np.float32) + rng.normal(0, 35, (24, 24, 3))


def sample(n, rng):
    y = rng.integers(0, len(SHAPES) * len(COLOURS), n)
    x = np.stack([token(label, rng) for label in y]).transpose(0, 3, 1, 2)
    x = (x - 115.0) / 50.0
    return x.astype(np.float32), y


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc = nn.Linear(32 * 6 * 6, 64)
        self.drop = nn.Dropout(0.25)
        self.fine_head = nn.Linear(64, 6)
        self.coarse_head = nn.Linear(64, 3)

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.conv1(x), 0.1), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x), 0.1), 2)
        x = self.drop(F.leaky_relu(self.fc(x.flatten(1)), 0.1))
        return F.log_softmax(self.fine_head(x), dim=1), F.log_softmax(self.coarse_head(x), dim=1)


def train(model, loader, optimizer, aux_weight=0.3):
    model.train()
    sums = np.zeros(2)
    for x, fine, coarse in loader:
        logp_fine, logp_coarse = model(x)
        loss_fine = F.nll_loss(logp_fine, fine)
        loss_coarse = F.nll_loss(logp_coarse, coarse)
        optimizer.zero_grad()
        (loss_fine + aux_weight * loss_coarse).backward()
        optimizer.step()
        sums += loss_fine.item(), loss_coarse.item()
    return sums / len(loader)


def test(model, loader):
    model.eval()
    right = total = 0
    with torch.no_grad():
        for x, fine in loader:
            right += (model(x)[0].argmax(1) == fine).sum().item()
            total += len(fine)
    return right / total


def main():
    rng = np.random.default_rng(64)
    torch.manual_seed(64)
    x_train, y_train = sample(1800, rng)
    x_test, y_test = sample(480, rng)

    y_coarse = y_train.astype(np.int64)
    y_coarse //= 2

    train_set = TensorDataset(*map(torch.from_numpy, (x_train, y_train, y_coarse)))
    test_set = TensorDataset(torch.from_numpy(x_test), torch.from_numpy(y_test))
    train_loader = DataLoader(train_set, batch_size=40, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=160)

    model = TwoHeads()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-3)
    for epoch in range(1, 6):
        fine, coarse = train(model, train_loader, optimizer)
        print(f"epoch {epoch}  fine {fine:.3f}  coarse {coarse:.3f}")
    print(f"accuracy: {test(model, test_loader):.3f}")


if __name__ == "__main__":
    main()
