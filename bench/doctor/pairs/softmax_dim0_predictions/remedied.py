import torch
import torch.nn as nn

torch.manual_seed(0)
torch.set_num_threads(1)
CLASSES = 6


def get_batch(n):
    y = torch.randint(0, CLASSES, (n,))
    x = torch.randn(n, 1, 12, 12)
    for c in range(CLASSES):
        x[y == c, :, 2 * c : 2 * c + 2] += 0.5 + 0.1 * c
    return x, y


net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.SiLU(),
    nn.Conv2d(12, 12, 3, stride=2, padding=1),
    nn.SiLU(),
    nn.Flatten(),
    nn.Linear(12 * 36, CLASSES),
)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()

for step in range(250):
    x, y = get_batch(32)
    logits = net(x)
    loss = loss_fn(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 3))


def evaluate(model, batches=20):
    model.eval()
    correct = count = 0
    with torch.no_grad():
        for _ in range(batches):
            x, y = get_batch(25)
            probs = torch.softmax(model(x), dim=1)
            predictions = probs.argmax(dim=1)
            correct += (predictions == y).sum().item()
            count += len(y)
    return correct / count


print(f"accuracy: {evaluate(net):.4f}")
