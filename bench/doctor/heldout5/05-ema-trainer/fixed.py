import copy

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE = 24
# blur of the noise in x and y, one pair for each kind of texture
TEXTURES = {"fine": (0.6, 0.6), "medium": (1.2, 1.2), "coarse": (2.4, 2.4), "rows": (3.0, 0.7), "columns": (0.7, 3.0)}


def make_texture(n, blur_x, blur_y, rng):
    fy = np.fft.fftfreq(SIZE)[:, None]
    fx = np.fft.fftfreq(SIZE)[None, :]
    lowpass = np.exp(-2 * np.pi ** 2 * ((fx * blur_x) ** 2 + (fy * blur_y) ** 2))
    noise = rng.normal(size=(n, SIZE, SIZE))
    img = np.fft.ifft2(np.fft.fft2(noise) * lowpass).real
    img /= img.std(axis=(1, 2), keepdims=True)
    img = img * rng.uniform(0.7, 1.3, (n, 1, 1)) + rng.uniform(-0.3, 0.3, (n, 1, 1))
    return img + rng.normal(0, 0.4, img.shape)


def make_set(per_class, rng):
    x = np.concatenate([make_texture(per_class, bx, by, rng) for bx, by in TEXTURES.values()])
    y = np.repeat(np.arange(len(TEXTURES)), per_class)
    return torch.from_numpy(x).float().unsqueeze(1), torch.from_numpy(y)


def build_model(classes):
    def conv(cin, cout):
        return [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]

    return nn.Sequential(
        *conv(1, 16), nn.MaxPool2d(2),
        *conv(16, 32), nn.MaxPool2d(2),
        *conv(32, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(32, classes),
    )


class Trainer:
    """Trains a model and keeps an exponential moving average of it for the evaluation."""

    def __init__(self, model, lr=1e-3, decay=0.9):
        self.model = model
        self.ema = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.opt = torch.optim.Adam(model.parameters(), lr=lr)
        self.loss_fn = nn.CrossEntropyLoss()

    @torch.no_grad()
    def update_ema(self):
        for e, p in zip(self.ema.parameters(), self.model.parameters()):
            e.lerp_(p, 1 - self.decay)
        for e, b in zip(self.ema.buffers(), self.model.buffers()):
            e.copy_(b)

    def fit(self, loader, epochs):
        for epoch in range(epochs):
            self.model.train()
            for x, y in loader:
                self.opt.zero_grad()
                loss = self.loss_fn(self.model(x), y)
                loss.backward()
                self.opt.step()
                self.update_ema()
            print(f"[{epoch + 1}/{epochs}] last loss {loss.item():.4f}")

    @torch.no_grad()
    def evaluate(self, loader):
        self.ema.eval()
        hits = 0
        for x, y in loader:
            hits += (self.ema(x).argmax(1) == y).sum().item()
        return hits / len(loader.dataset)


def main():
    torch.manual_seed(21)
    rng = np.random.default_rng(21)
    x_train, y_train = make_set(300, rng)
    x_test, y_test = make_set(100, rng)
    mean, std = x_train.mean(), x_train.std()
    train_loader = DataLoader(TensorDataset((x_train - mean) / std, y_train), batch_size=50, shuffle=True)
    test_loader = DataLoader(TensorDataset((x_test - mean) / std, y_test), batch_size=100, shuffle=False)

    trainer = Trainer(build_model(len(TEXTURES)))
    trainer.fit(train_loader, epochs=6)
    print(f"accuracy: {trainer.evaluate(test_loader):.3f}")


if __name__ == "__main__":
    main()
