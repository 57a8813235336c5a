"""Port of our old two-blob detector (TF 1) to PyTorch."""
import numpy as np
import torch
import torch.nn as nn

PARAMS = dict(
    size=24,
    labels=["horizontal", "vertical", "falling", "rising"],
    filters=(16, 32),
    dense=64,
    keep_prob=0.95,
    batch_size=40,
    learning_rate=1e-3,
    epochs=5,
)

np.random.seed(99)
torch.manual_seed(99)


def make_images(n):
    size = PARAMS["size"]
    labels = np.random.randint(len(PARAMS["labels"]), size=n)
    direction = np.array([(1, 0), (0, 1), (0.7, 0.7), (0.7, -0.7)])[labels]
    centre = size / 2 + np.random.uniform(-3, 3, (n, 2))
    reach = np.random.uniform(4, 6, (n, 1))
    gy, gx = np.mgrid[0:size, 0:size]
    out = np.random.normal(0, 0.3, (n, 1, size, size))
    for sign in (-1, 1):
        c = centre + sign * reach * direction
        d2 = (gx[None] - c[:, 0, None, None]) ** 2 + (gy[None] - c[:, 1, None, None]) ** 2
        out[:, 0] += np.exp(-d2 / (2 * 1.8 ** 2))
    return out.astype(np.float32), labels


def one_hot(labels, depth):
    return np.eye(depth, dtype=np.float32)[labels]


class BlobNet(nn.Module):
    def __init__(self, p):
        super().__init__()
        f1, f2 = p["filters"]
        rate = p["keep_prob"]
        self.conv1 = nn.Conv2d(1, f1, 3, padding=1)
        self.conv2 = nn.Conv2d(f1, f2, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.drop_map = nn.Dropout2d(rate)
        self.dense = nn.Linear(f2 * (p["size"] // 4) ** 2, p["dense"])
        self.drop = nn.Dropout(rate)
        self.logits = nn.Linear(p["dense"], len(p["labels"]))

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.drop_map(x)
        x = self.pool(torch.relu(self.conv2(x)))
        x = self.drop_map(x)
        x = torch.relu(self.dense(x.reshape(x.shape[0], -1)))
        return self.logits(self.drop(x))


def batches(x, y, size, shuffle):
    order = np.random.permutation(len(x)) if shuffle else np.arange(len(x))
    for i in range(0, len(x), size):
        pick = order[i:i + size]
        yield torch.from_numpy(x[pick]), torch.from_numpy(y[pick])


def train(net, x, y, p):
    loss_fn = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.RMSprop(net.parameters(), lr=p["learning_rate"])
    for epoch in range(p["epochs"]):
        net.train()
        losses = []
        for xb, yb in batches(x, y, p["batch_size"], shuffle=True):
            loss = loss_fn(net(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print("epoch %d  loss %.4f" % (epoch + 1, np.mean(losses)))


def accuracy(net, x, y):
    net.eval()
    right = 0
    with torch.no_grad():
        for xb, yb in batches(x, y, 200, shuffle=False):
            right += int((net(xb).argmax(1) == yb.argmax(1)).sum())
    return right / len(x)


x, labels = make_images(2500)
y = one_hot(labels, len(PARAMS["labels"]))
x_train, y_train, x_test, y_test = x[:2000], y[:2000], x[2000:], y[2000:]
mean, std = x_train.mean(), x_train.std()
x_train, x_test = (x_train - mean) / std, (x_test - mean) / std
net = BlobNet(PARAMS)
train(net, x_train, y_train, PARAMS)
print("accuracy: %.3f" % accuracy(net, x_test, y_test))
