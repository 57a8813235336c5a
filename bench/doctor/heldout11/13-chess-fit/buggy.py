"""Which piece stands on the square?  A small Keras-flavoured wrapper round a PyTorch net."""
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

SQUARE = 28          # pixels of one square of the board picture
CROP = 24            # pixels the network sees
PIECES = ["empty", "pawn", "rook", "bishop", "knight", "queen"]
OUTLINES = {
    "pawn": [(10, 23), (12, 15), (10, 12), (12, 9), (16, 9), (18, 12), (16, 15), (18, 23)],
    "rook": [(8, 23), (10, 10), (8, 10), (8, 5), (11, 5), (11, 7), (13, 7), (13, 5), (15, 5), (15, 7), (17, 7), (17, 5),
             (20, 5), (20, 10), (18, 10), (20, 23)],
    "bishop": [(9, 23), (12, 17), (10, 12), (14, 4), (18, 12), (16, 17), (19, 23)],
    "knight": [(9, 23), (12, 15), (7, 15), (6, 12), (12, 5), (17, 7), (20, 15), (19, 23)],
    "queen": [(9, 23), (6, 7), (10, 12), (11, 5), (14, 11), (17, 5), (18, 12), (22, 7), (19, 23)],
}


def photograph(piece, rnd):
    dark = rnd.random() < 0.5
    board = rnd.randint(60, 110) if dark else rnd.randint(150, 210)
    im = Image.new("L", (SQUARE, SQUARE), board)
    d = ImageDraw.Draw(im)
    for _ in range(rnd.randint(0, 3)):                     # wood grain
        y = rnd.randint(0, SQUARE)
        d.line([0, y, SQUARE, y + rnd.randint(-3, 3)], fill=board + rnd.randint(-25, 25))
    if piece != "empty":
        dx, dy, k = rnd.uniform(-3, 3), rnd.uniform(-2, 2), rnd.uniform(0.85, 1.1)
        pts = [((x - 14) * k + 14 + dx + rnd.uniform(-.6, .6), (y - 14) * k + 14 + dy + rnd.uniform(-.6, .6))
               for x, y in OUTLINES[piece]]
        ink = rnd.randint(10, 45) if rnd.random() < 0.5 else rnd.randint(225, 255)
        d.polygon(pts, fill=ink, outline=128)
    return np.asarray(im)


def collect(count, seed):
    rnd, noise = random.Random(seed), np.random.default_rng(seed)
    labels = [rnd.randrange(len(PIECES)) for _ in range(count)]
    shots = np.stack([photograph(PIECES[k], rnd) for k in labels]).astype(np.float32)
    shots += noise.normal(0, 18, shots.shape)
    return shots.clip(0, 255).astype(np.uint8), np.array(labels, dtype=np.int64)


# ---- steps of the input pipeline: each takes and gives an array N x H x W ----
def random_crop(batch):
    top, left = np.random.randint(0, SQUARE - CROP + 1, 2)
    return batch[:, top:top + CROP, left:left + CROP]


def centre_crop(batch):
    edge = (SQUARE - CROP) // 2
    return batch[:, edge:edge + CROP, edge:edge + CROP]


def scale(batch):
    return (batch.astype(np.float32) - 128.0) / 64.0


PIPELINES = {
    "train": [random_crop, scale],
    "eval": [scale],
}


class Sequence:
    def __init__(self, x, y, mode, batch_size):
        self.x, self.y, self.mode, self.batch_size = x, y, mode, batch_size

    def __iter__(self):
        order = np.random.permutation(len(self.y)) if self.mode == "train" else np.arange(len(self.y))
        for start in range(0, len(order), self.batch_size):
            pick = order[start:start + self.batch_size]
            batch = self.x[pick]
            for step in PIPELINES[self.mode]:
                batch = step(batch)
            yield torch.from_numpy(np.ascontiguousarray(batch)).unsqueeze(1), torch.from_numpy(self.y[pick])


class Model:
    def __init__(self, net):
        self.net = net

    def compile(self, optimizer, loss):
        self.optimizer, self.loss = optimizer, loss

    def fit(self, data, epochs, validation_data):
        history = {"loss": [], "val_accuracy": []}
        for epoch in range(epochs):
            self.net.train()
            total = count = 0
            for x, y in data:
                self.optimizer.zero_grad()
                loss = self.loss(self.net(x), y)
                loss.backward()
                self.optimizer.step()
                total, count = total + loss.item() * len(y), count + len(y)
            history["loss"].append(total / count)
            history["val_accuracy"].append(self.evaluate(validation_data))
            print(f"Epoch {epoch + 1}/{epochs} - loss: {history['loss'][-1]:.4f} - val_accuracy: {history['val_accuracy'][-1]:.4f}")
        return history

    @torch.no_grad()
    def evaluate(self, data):
        self.net.eval()
        right = count = 0
        for x, y in data:
            right, count = right + (self.net(x).argmax(1) == y).sum().item(), count + len(y)
        return right / count


def make_net():
    side = CROP // 4
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(24 * side * side, 64), nn.ReLU(), nn.Dropout(0.25),
        nn.Linear(64, len(PIECES)),
    )


np.random.seed(0)
torch.manual_seed(0)
train = Sequence(*collect(1500, seed=1), mode="train", batch_size=32)
val = Sequence(*collect(400, seed=2), mode="eval", batch_size=100)
test = Sequence(*collect(400, seed=3), mode="eval", batch_size=100)

model = Model(make_net())
model.compile(optimizer=torch.optim.Adam(model.net.parameters(), lr=1.5e-3), loss=nn.CrossEntropyLoss())
model.fit(train, epochs=5, validation_data=val)
print(f"test accuracy: {model.evaluate(test):.4f}")
