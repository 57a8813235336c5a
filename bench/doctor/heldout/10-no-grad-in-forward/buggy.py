import torch, math
import torch.nn as nn
from torch.utils.data import TensorDataset, DataLoader, random_split

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(42)

# ---------------------------------------------------------------- data
N = 2000
ang = torch.randint(0, 5, (N,))
grid = torch.linspace(-1, 1, 16)
gy, gx = torch.meshgrid(grid, grid, indexing="ij")
pics = []
for a in ang.tolist():
    th = math.pi * a / 5 + 0.1 * torch.randn(()).item()
    off = 0.6 * torch.randn(()).item()
    dist = (gx * math.cos(th) + gy * math.sin(th) - off * 0.5).abs()
    pic = torch.exp(-((dist / 0.12) ** 2))
    pics.append(pic + 0.5 * torch.randn(16, 16))
data = torch.stack(pics).unsqueeze(1)
data = (data - data.mean()) / data.std()
train_part, val_part = random_split(TensorDataset(data, ang), [1600, 400])
loaders = {
    "train": DataLoader(train_part, batch_size=32, shuffle=True),
    "val": DataLoader(val_part, batch_size=100),
}


# ---------------------------------------------------------------- model
class LineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 5, padding=2),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
        )
        self.decoder = nn.Linear(16, 5)

    def forward(self, img):
        with torch.no_grad():
            code = self.encoder(img).squeeze(-1).squeeze(-1)
        return self.decoder(code)


model = LineNet().to(device)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)

# ---------------------------------------------------------------- loop
for epoch in range(12):
    for phase in ["train", "val"]:
        model.train(phase == "train")
        corrects, count = 0, 0
        for inputs, labels in loaders[phase]:
            inputs, labels = inputs.to(device), labels.to(device)
            optimizer.zero_grad()
            with torch.set_grad_enabled(phase == "train"):
                outputs = model(inputs)
                loss = criterion(outputs, labels)
                if phase == "train":
                    loss.backward()
                    optimizer.step()
            corrects += torch.sum(outputs.argmax(1) == labels).item()
            count += len(labels)
        epoch_acc = corrects / count
        print(f"{phase} epoch {epoch} acc {epoch_acc:.4f}")
print(f"accuracy: {epoch_acc:.4f}")
