import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
torch.manual_seed(0)

# toy data: bright quadrant
labels = torch.randint(0, 4, (1600,))
images = torch.randn(1600, 1, 14, 14)
for q in range(4):
    r, c = 7 * (q // 2), 7 * (q % 2)
    images[labels == q, :, r : r + 7, c : c + 7] += 0.7
train_loader = DataLoader(TensorDataset(images[:1200], labels[:1200]), batch_size=32, shuffle=True)
test_loader = DataLoader(TensorDataset(images[1200:], labels[1200:]), batch_size=100)


class QuadrantNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8 * 7 * 7, 4)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv(x)))
        return self.fc(x.view(x.size(0), -1))


model = QuadrantNet().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(model.parameters(), lr=0.05)

for epoch in range(3):
    for inputs, targets in train_loader:
        targets = targets.to(device)
        optimizer.zero_grad()
        outputs = model(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
    print(f"Epoch {epoch + 1}, loss {loss.item():.4f}")

model.eval()
hits = 0
with torch.no_grad():
    for inputs, targets in test_loader:
        inputs, targets = inputs.to(device), targets.to(device)
        hits += (model(inputs).argmax(1) == targets).sum().item()
print(f"accuracy: {hits / 400:.4f}")
