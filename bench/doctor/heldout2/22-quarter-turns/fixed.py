# Which way does the half-disc look? 0 = up, 1 = left, 2 = down, 3 = right (counter-clockwise, as torch.rot90 turns).
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset


class HalfDiscs(Dataset):
    def __init__(self, n, g, turn):
        self.turn = turn
        yy, xx = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
        centre = 8 + 3 * torch.rand(n, 2, 1, 1, generator=g)
        radius = 4 + 3 * torch.rand(n, 1, 1, generator=g)
        dy, dx = yy - centre[:, 0], xx - centre[:, 1]
        disc = (dy**2 + dx**2 < radius**2) & (dy < 0)
        self.labels = torch.randint(4, (n,), generator=g)
        img = torch.stack([torch.rot90(d, int(k)) for d, k in zip(disc.float(), self.labels)])
        img = img * (0.7 + 0.6 * torch.rand(n, 1, 1, generator=g)) + 0.5 * torch.randn(img.shape, generator=g)
        self.images = (img[:, None] - 0.12) / 0.6

    def __len__(self):
        return self.labels.numel()

    def __getitem__(self, i):
        image, label = self.images[i], self.labels[i]
        if self.turn:
            k = int(torch.randint(4, ()))
            image = torch.rot90(image, k, (1, 2))
            label = (label + k) % 4
        return image, label


def conv_net():
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 5, padding=2),
        torch.nn.LeakyReLU(0.1),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(8, 16, 5, padding=2),
        torch.nn.LeakyReLU(0.1),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(16 * 5 * 5, 4),
    )


torch.manual_seed(77)
gen = torch.Generator().manual_seed(77)
trainset = HalfDiscs(800, gen, turn=True)
valset = HalfDiscs(300, gen, turn=False)
model = conv_net()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for epoch in range(6):
    model.train()
    for image, label in DataLoader(trainset, batch_size=20, shuffle=True):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(image), label)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = sum(
            (model(image).argmax(1) == label).sum().item() for image, label in DataLoader(valset, batch_size=100)
        )
    print(f"epoch {epoch} loss {loss.item():.3f} val {hits / len(valset):.3f}")
print(f"accuracy: {hits / len(valset):.3f}")
