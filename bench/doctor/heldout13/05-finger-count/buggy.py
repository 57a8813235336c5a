"""How many fingers does the hand show? PyTorch port of our older TensorFlow demo; hyper-parameters as published there."""
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw


class HParams(NamedTuple):
    filters: tuple = (12, 24, 48)
    dense_units: int = 96
    keep_prob: float = 0.8
    batch_size: int = 40
    learning_rate: float = 2e-3
    num_epochs: int = 12
    image_size: int = 28
    num_classes: int = 6


hp = HParams()


def render_hand(count, rng):
    big = hp.image_size * 4
    canvas = Image.new("L", (big, big), 0)
    pen = ImageDraw.Draw(canvas)
    cx, cy = big * 0.5, big * 0.62
    palm = big * rng.uniform(0.15, 0.19)
    pen.ellipse([cx - palm, cy - palm, cx + palm, cy + palm * 1.2], fill=255)
    pen.rectangle([cx - palm * 0.6, cy + palm, cx + palm * 0.6, big], fill=255)
    angles = np.deg2rad(np.array([-62, -26, -4, 17, 40]) + rng.normal(0, 3, 5))
    lengths = np.array([1.5, 2.1, 2.3, 2.1, 1.75])
    shown = rng.choice(5, size=count, replace=False)
    for k in range(5):
        reach = palm * (lengths[k] * rng.uniform(0.92, 1.05) if k in shown else 1.1)
        tip = (cx + reach * np.sin(angles[k]), cy - reach * np.cos(angles[k]))
        width = int(palm * 0.36)
        pen.line([cx, cy, *tip], fill=255, width=width)
        pen.ellipse([tip[0] - width / 2, tip[1] - width / 2, tip[0] + width / 2, tip[1] + width / 2], fill=255)
    canvas = canvas.rotate(rng.uniform(-20, 20), resample=Image.BILINEAR,
                           translate=(rng.uniform(-6, 6), rng.uniform(-4, 4)))
    if rng.random() < 0.5:
        canvas = canvas.transpose(Image.FLIP_LEFT_RIGHT)
    mask = np.asarray(canvas.resize((hp.image_size, hp.image_size), Image.BOX), np.float32) / 255
    skin, wall = rng.uniform(0.55, 0.9), rng.uniform(0.1, 0.35)
    picture = wall + (skin - wall) * mask + rng.normal(0, 0.05, mask.shape)
    return picture.astype(np.float32)[None]


def make_split(size, rng):
    labels = rng.permutation(np.arange(size) % hp.num_classes)
    images = np.stack([render_hand(int(c), rng) for c in labels])
    return images, labels.astype(np.int64)


class HandCNN(nn.Module):
    def __init__(self):
        super().__init__()
        f1, f2, f3 = hp.filters
        self.conv1 = nn.Conv2d(1, f1, 3, padding=1)
        self.conv2 = nn.Conv2d(f1, f2, 3, padding=1)
        self.conv3 = nn.Conv2d(f2, f3, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        side = hp.image_size // 8
        self.dense = nn.Linear(f3 * side * side, hp.dense_units)
        self.dropout = nn.Dropout(hp.keep_prob)
        self.readout = nn.Linear(hp.dense_units, hp.num_classes)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.pool(torch.relu(self.conv3(x)))
        x = self.dropout(x.flatten(1))
        x = self.dropout(torch.relu(self.dense(x)))
        return self.readout(x)


def next_batches(images, labels, rng=None):
    order = np.arange(len(images)) if rng is None else rng.permutation(len(images))
    for start in range(0, len(order), hp.batch_size):
        pick = order[start:start + hp.batch_size]
        yield torch.from_numpy(images[pick]), torch.from_numpy(labels[pick])


def evaluate(model, images, labels):
    model.eval()
    correct = 0
    with torch.no_grad():
        for x, y in next_batches(images, labels):
            correct += (model(x).argmax(dim=1) == y).sum().item()
    return correct / len(images)


def run():
    torch.manual_seed(31)
    rng = np.random.default_rng(31)
    train_x, train_y = make_split(1600, rng)
    valid_x, valid_y = make_split(300, rng)
    test_x, test_y = make_split(480, rng)
    mean, std = train_x.mean(), train_x.std()
    train_x, valid_x, test_x = [(a - mean) / std for a in (train_x, valid_x, test_x)]

    model = HandCNN()
    cross_entropy = nn.CrossEntropyLoss()
    trainer = torch.optim.Adam(model.parameters(), lr=hp.learning_rate)
    best_accuracy, best_weights = 0.0, None
    for epoch in range(hp.num_epochs):
        model.train()
        summed, steps = 0.0, 0
        for x, y in next_batches(train_x, train_y, rng):
            loss = cross_entropy(model(x), y)
            trainer.zero_grad()
            loss.backward()
            trainer.step()
            summed, steps = summed + loss.item(), steps + 1
        accuracy = evaluate(model, valid_x, valid_y)
        print("epoch %2d/%d - loss %.4f - val_acc %.4f" % (epoch + 1, hp.num_epochs, summed / steps, accuracy))
        if accuracy > best_accuracy:
            best_accuracy = accuracy
            best_weights = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(best_weights)
    print("test accuracy %.4f" % evaluate(model, test_x, test_y))


run()
