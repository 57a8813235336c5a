"""Stencil letter reader. Ported from our old tf.keras notebook (Sequential + fit) to plain torch."""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

LETTERS = "AEHKMRSX"
FONT = ImageFont.load_default()


def draw_letter(ch, rs):
    tile = Image.new("L", (14, 14), 0)
    ImageDraw.Draw(tile).text((4, 1), ch, fill=255, font=FONT)
    tile = tile.resize((28, 28), Image.BILINEAR)
    tile = tile.rotate(rs.uniform(-20, 20), resample=Image.BILINEAR,
                       translate=(rs.randint(-3, 4), rs.randint(-3, 4)))
    a = np.asarray(tile, dtype=np.float32) / 255.0
    a = a * rs.uniform(0.6, 1.0) + rs.normal(0, 0.12, a.shape)
    return np.clip(a, 0, 1)


def load_data(n, seed):
    rs = np.random.RandomState(seed)
    y = rs.permutation(np.arange(n) % len(LETTERS))
    x = np.stack([draw_letter(LETTERS[k], rs) for k in y])
    return x[:, None].astype(np.float32), y


def to_categorical(y, k):
    return np.eye(k, dtype=np.float32)[y]


class Sequential(torch.nn.Sequential):
    """Just enough of the keras interface for the old call sites."""

    def compile_(self, learning_rate):
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)

    def fit(self, x, y, batch_size, epochs, validation_data):
        n = len(x)
        for e in range(epochs):
            self.train()
            order = np.random.permutation(n)
            losses = []
            for s in range(0, n, batch_size):
                idx = order[s:s + batch_size]
                xb, yb = torch.from_numpy(x[idx]), torch.from_numpy(y[idx])
                self.optimizer.zero_grad()
                loss = F.cross_entropy(self(xb), yb)  # from_logits=True, one-hot targets
                loss.backward()
                self.optimizer.step()
                losses.append(loss.item())
            val = self.evaluate(*validation_data)
            print(f"Epoch {e + 1}/{epochs} - loss: {np.mean(losses):.4f} - val_accuracy: {val:.4f}")

    @torch.no_grad()
    def evaluate(self, x, y):
        self.eval()
        p = torch.cat([self(torch.from_numpy(x[s:s + 256])) for s in range(0, len(x), 256)])
        return float((p.argmax(1).numpy() == y.argmax(1)).mean())


def truncated_normal(layer):
    # kernel_initializer=TruncatedNormal(), bias_initializer="zeros"
    if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
        torch.nn.init.trunc_normal_(layer.weight)
        torch.nn.init.zeros_(layer.bias)


np.random.seed(8)
torch.manual_seed(8)
k = len(LETTERS)
x_train, y_train = load_data(1600, 1)
x_val, y_val = load_data(300, 2)
x_test, y_test = load_data(500, 3)
centre, spread = x_train.mean(), x_train.std()
x_train, x_val, x_test = [(d - centre) / spread for d in (x_train, x_val, x_test)]
y_train, y_val, y_test = [to_categorical(d, k) for d in (y_train, y_val, y_test)]

model = Sequential(
    torch.nn.Conv2d(1, 16, 5), torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(16, 32, 3), torch.nn.ReLU(),
    torch.nn.Conv2d(32, 32, 3), torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Flatten(),
    torch.nn.Linear(32 * 4 * 4, 96), torch.nn.ReLU(),
    torch.nn.Dropout(0.25),
    torch.nn.Linear(96, k),
)
model.apply(truncated_normal)
model.compile_(learning_rate=1e-3)
model.fit(x_train, y_train, batch_size=50, epochs=7, validation_data=(x_val, y_val))
print("test accuracy: %.4f" % model.evaluate(x_test, y_test))
