import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(42)
rs = np.random.RandomState(42)
FONT = ImageFont.load_default()

spec = {
    "conv": [(1, 16), (16, 32)],
    "mlp": [32 * 6 * 6, 96, 10],
    "lr": 1e-3,
    "epochs": 5,
    "batch": 40,
}


def digit(k):
    tile = Image.new("L", (12, 12), 0)
    ImageDraw.Draw(tile).text((rs.randint(2, 5), rs.randint(0, 2)), str(k), fill=255, font=FONT)
    tile = tile.resize((24, 24), Image.BILINEAR).rotate(rs.uniform(-12, 12))
    a = np.asarray(tile, dtype=np.float32) / 255.0
    return a * rs.uniform(0.6, 1.0) + rs.normal(0, 0.12, a.shape)


def digits(n):
    y = rs.randint(0, 10, n)
    x = np.stack([digit(k) for k in y]).astype(np.float32)
    return torch.from_numpy(x).unsqueeze(1), torch.from_numpy(y).long()


def build_convs(pairs):
    layers = []
    for cin, cout in pairs:
        layers += [nn.Conv2d(cin, cout, kernel_size=3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


def build_mlp(sizes):
    layers = [nn.Flatten()]
    for i in range(len(sizes) - 1):
        layers.append(nn.Linear(sizes[i], sizes[i + 1]))
        if i < len(sizes) - 1:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


x_train, y_train = digits(2400)
x_test, y_test = digits(600)
mu, sigma = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mu) / sigma, (x_test - mu) / sigma

train_dl = DataLoader(TensorDataset(x_train, y_train), batch_size=spec["batch"], shuffle=True)
test_dl = DataLoader(TensorDataset(x_test, y_test), batch_size=200)

model = nn.Sequential(build_convs(spec["conv"]), build_mlp(spec["mlp"]))
loss_fn = nn.CrossEntropyLoss()
opt = torch.optim.Adam(model.parameters(), lr=spec["lr"])

for epoch in range(spec["epochs"]):
    model.train()
    total = 0.0
    for xb, yb in train_dl:
        opt.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        opt.step()
        total += loss.item() * xb.size(0)
    print("epoch", epoch, "loss", round(total / len(x_train), 4))

model.eval()
correct = 0
with torch.no_grad():
    for xb, yb in test_dl:
        correct += (model(xb).argmax(dim=1) == yb).sum().item()
print(f"accuracy: {correct / len(x_test):.3f}")
