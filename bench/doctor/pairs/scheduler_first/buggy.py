import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
num_classes = 4

base = torch.randn(num_classes, 3, 12, 12)
labels = torch.randint(num_classes, (1800,))
images = base[labels] * 0.6 + torch.randn(1800, 3, 12, 12)
train_data = TensorDataset(images[:1400], labels[:1400])
valid_data = TensorDataset(images[1400:], labels[1400:])

train_loader = DataLoader(train_data, batch_size=20, shuffle=True)
valid_loader = DataLoader(valid_data, batch_size=100)

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(2),
    nn.Flatten(),
    nn.Linear(128, num_classes),
)
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.7)

for epoch in range(6):
    scheduler.step()
    model.train()
    for batch, target in train_loader:
        optimizer.zero_grad()
        loss = loss_function(model(batch), target)
        loss.backward()
        optimizer.step()
    print("Epoch:", epoch, "LR:", scheduler.get_last_lr())

model.eval()
correct = 0
with torch.no_grad():
    for batch, target in valid_loader:
        correct += (model(batch).argmax(1) == target).sum().item()
print(f"accuracy: {correct / len(valid_data):.4f}")
