import torch
import torch.nn as nn
from collections import OrderedDict

SEED, CLASSES, EPOCHS = 17, 6, 10
torch.manual_seed(SEED)


def init_weights(m):
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        nn.init.constant_(m.weight, 0.05)
        nn.init.zeros_(m.bias)


def get_model():
    model = nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(3, 8, 3, padding=1),
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flat=nn.Flatten(),
            fc1=nn.Linear(16 * 16, 32),
            relu3=nn.ReLU(),
            fc2=nn.Linear(32, CLASSES),
        )
    )
    model.apply(init_weights)
    return model


def get_data(n):
    # corner (or centre, or none) that holds a coloured patch
    corners = [(1, 1), (1, 10), (10, 1), (10, 10), (6, 6)]
    y = torch.randint(0, CLASSES, (n,))
    x = torch.rand(n, 3, 16, 16)
    for i in range(n):
        if y[i] < 5:
            r, c = corners[y[i]]
            dr, dc = torch.randint(-1, 2, (2,))
            x[i, :, r + dr : r + dr + 5, c + dc : c + dc + 5] += torch.rand(3, 1, 1) * 0.8
    return (x - 0.5) / 0.3, y


train_x, train_y = get_data(1500)
dev_x, dev_y = get_data(500)
model = get_model()
objective = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

for epoch in range(1, EPOCHS + 1):
    total_loss = 0.0
    batches = torch.randperm(len(train_x)).chunk(30)
    for b in batches:
        optimizer.zero_grad()
        loss = objective(model(train_x[b]), train_y[b])
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    with torch.no_grad():
        dev_acc = (model(dev_x).argmax(1) == dev_y).float().mean()
    print(f"{epoch}/{EPOCHS} loss={total_loss / len(batches):.4f} dev={dev_acc:.4f}")
print(f"accuracy: {dev_acc.item():.4f}")
