"""A convolutional digit classifier with the fit / predict interface of scikit-learn."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

FONT = ImageFont.load_default()
SIZE = 20


def draw_digit(digit, rng):
    glyph = Image.new("L", (28, 28), 0)
    ImageDraw.Draw(glyph).text((8, 7), str(digit), fill=255, font=FONT)
    glyph = glyph.crop(glyph.getbbox())
    height = int(rng.integers(12, 16))
    width = int(height * rng.uniform(0.55, 0.75))
    glyph = glyph.resize((width, height), Image.BILINEAR)
    canvas = Image.new("L", (SIZE, SIZE), 0)
    left = (SIZE - width) // 2 + int(rng.integers(-2, 3))
    top = (SIZE - height) // 2 + int(rng.integers(-2, 3))
    canvas.paste(glyph, (left, top))
    canvas = canvas.rotate(float(rng.uniform(-12, 12)), resample=Image.BILINEAR)
    pixels = np.asarray(canvas, dtype=np.float32) / 255.0
    return pixels + rng.normal(0, 0.2, pixels.shape)


def make_digits(per_class, rng):
    labels = np.repeat(np.arange(10), per_class)
    images = np.stack([draw_digit(d, rng) for d in labels])
    return images.astype(np.float32), labels


class ConvClassifier:
    def __init__(self, classes=10, epochs=5, batch_size=50, lr=0.03, seed=0):
        self.epochs, self.batch_size, self.lr = epochs, batch_size, lr
        torch.manual_seed(seed)
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * 5 * 5, 64), nn.ReLU(),
            nn.Linear(64, classes),
        )

    def _logits(self, x):
        return self.net((x - self.mean_) / self.std_)

    def _proba(self, x):
        return F.softmax(self._logits(x), dim=1)

    def fit(self, images, labels):
        x = torch.from_numpy(images).unsqueeze(1)
        y = torch.from_numpy(labels).long()
        self.mean_, self.std_ = x.mean(), x.std()
        optimizer = torch.optim.SGD(self.net.parameters(), lr=self.lr, momentum=0.9)
        self.net.train()
        for epoch in range(self.epochs):
            total = 0.0
            for idx in torch.randperm(len(x)).split(self.batch_size):
                optimizer.zero_grad()
                loss = F.cross_entropy(self._proba(x[idx]), y[idx])
                loss.backward()
                optimizer.step()
                total += loss.item() * len(idx)
            print(f"epoch {epoch + 1}: loss {total / len(x):.4f}")
        return self

    def predict_proba(self, images):
        self.net.eval()
        with torch.no_grad():
            return self._proba(torch.from_numpy(images).unsqueeze(1)).numpy()

    def predict(self, images):
        return self.predict_proba(images).argmax(axis=1)

    def score(self, images, labels):
        return float((self.predict(images) == labels).mean())


if __name__ == "__main__":
    rng = np.random.default_rng(7)
    train_images, train_labels = make_digits(200, rng)
    test_images, test_labels = make_digits(50, rng)
    clf = ConvClassifier().fit(train_images, train_labels)
    print(f"accuracy: {clf.score(test_images, test_labels):.3f}")
