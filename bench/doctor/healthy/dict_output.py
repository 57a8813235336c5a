import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Records(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.rows = []
        for _ in range(n):
            k = int(torch.randint(0, 4, (1,), generator=g))
            x = torch.randn(3, 12, 12, generator=g)
            x[k % 3] += 0.5 if k < 3 else -0.5
            self.rows.append({"pixels": x, "target": k})

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i]


class DictModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten())
        self.head = nn.Linear(144, 4)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, pixels, target=None):
        logits = self.head(self.body(pixels))
        out = {"logits": logits}
        if target is not None:
            out["loss"] = self.criterion(logits, target)
        return out


torch.manual_seed(0)
model = DictModel()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(4):
    model.train()
    for batch in DataLoader(Records(1200, 0), batch_size=40, shuffle=True):
        out = model(**batch)
        optimizer.zero_grad()
        out["loss"].backward()
        optimizer.step()
    print(epoch, out["loss"].item())
model.eval()
hits = 0
with torch.no_grad():
    for batch in DataLoader(Records(300, 1), batch_size=100):
        hits += (model(batch["pixels"])["logits"].argmax(-1) == batch["target"]).sum().item()
print(f"accuracy: {hits / 300:.4f}")
