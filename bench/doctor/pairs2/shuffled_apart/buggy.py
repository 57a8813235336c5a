import numpy as np
import torch


def gratings(rs, n):
    """8 orientations, contrast and phase at random."""
    k = rs.randint(0, 8, n)
    ang = k * np.pi / 8 + rs.normal(0, 0.06, n)
    u, v = np.meshgrid(np.arange(24), np.arange(24))
    arg = u[None] * np.cos(ang)[:, None, None] + v[None] * np.sin(ang)[:, None, None]
    img = rs.uniform(0.5, 1, (n, 1, 1)) * np.sin(0.8 * arg + rs.uniform(0, 6.3, (n, 1, 1)))
    return (img + rs.normal(0, 0.5, img.shape)).astype("float32")[:, None], k


def shuffle(rs, images, labels):
    images = rs.permutation(images)
    labels = rs.permutation(labels)
    return images, labels


def init(shape, gain=2.0):
    fan_in = int(np.prod(shape[1:]))
    return (torch.randn(shape) * (gain / fan_in) ** 0.5).requires_grad_()


def forward(p, x):
    x = torch.relu(torch.conv2d(x, p["w1"], p["b1"], padding=2))
    x = torch.max_pool2d(x, 2)
    x = torch.relu(torch.conv2d(x, p["w2"], p["b2"], padding=1))
    x = x.mean((2, 3))
    return x @ p["w3"].t() + p["b3"]


rs = np.random.RandomState(0)
torch.manual_seed(0)
train_x, train_y = shuffle(rs, *gratings(rs, 2000))
test_x, test_y = gratings(rs, 600)
params = {
    "w1": init((12, 1, 5, 5)), "b1": torch.zeros(12, requires_grad=True),
    "w2": init((32, 12, 3, 3)), "b2": torch.zeros(32, requires_grad=True),
    "w3": init((8, 32), 1.0), "b3": torch.zeros(8, requires_grad=True),
}
optimizer = torch.optim.Adam(params.values(), lr=3e-3)
batches = 2000 // 50
for epoch in range(8):
    total = 0.0
    order = rs.permutation(2000).reshape(batches, 50)
    for ids in order:
        out = forward(params, torch.from_numpy(train_x[ids]))
        loss = torch.nn.functional.cross_entropy(out, torch.from_numpy(train_y[ids]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print("epoch", epoch, "loss", total / batches)
with torch.no_grad():
    guess = forward(params, torch.from_numpy(test_x)).argmax(1).numpy()
print(f"accuracy: {(guess == test_y).mean():.3f}")
