import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Waves(Dataset):
    def __init__(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        self.y = torch.randint(0, 6, (n,), generator=g)
        r = torch.arange(18.0)
        p = torch.rand(n, 2, generator=g) * 6.28
        fx = torch.tensor([0.5, 1.2, 2.2])[self.y % 3]
        fy = torch.tensor([0.6, 1.8])[self.y // 3]
        self.x = torch.sin(fx[:, None, None] * r[None, None, :] + p[:, 0, None, None]) * torch.sin(
            fy[:, None, None] * r[None, :, None] + p[:, 1, None, None]
        )
        self.x = (self.x + torch.randn(n, 18, 18, generator=g) * 0.3).unsqueeze(1)

    def __len__(self):
        return self.x.shape[0]

    def __getitem__(self, item):
        return {"image": self.x[item], "label": self.y[item]}


class Encoder(nn.Module):
    def __init__(self, dim=24):
        super().__init__()
        self.seq = nn.Sequential(
            nn.Conv2d(1, dim, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(dim, dim, 3, 2, 1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
        )

    def forward(self, x):
        return self.seq(x)


class System:
    def __init__(self):
        self.encoder = Encoder()
        self.head = nn.Linear(24, 6)
        self.opt = torch.optim.Adam([*self.encoder.parameters(), *self.head.parameters()], lr=4e-3)
        self.loss = nn.CrossEntropyLoss()

    def predict(self, image):
        return self.head(self.encoder(image))

    def training_step(self, batch):
        loss = self.loss(self.predict(batch["image"]), batch["label"])
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def validation_step(self, batch):
        return (self.predict(batch["image"]).argmax(1) == batch["label"]).float().sum().item()


torch.manual_seed(0)
train = DataLoader(Waves(1800, 1), batch_size=36, shuffle=True)
val = DataLoader(Waves(600, 2), batch_size=100)
system = System()
for epoch in range(7):
    losses = [system.training_step(b) for b in train]
    print(epoch, sum(losses) / len(losses))
print(f"accuracy: {sum(system.validation_step(b) for b in val) / 600:.4f}")
