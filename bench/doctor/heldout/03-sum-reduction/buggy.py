import torch
import torch.nn as nn
import torch.nn.functional as F


class Trainer:
    def __init__(self, model, lr=0.05, momentum=0.9, batch=64):
        self.model = model
        self.batch = batch
        self.optim = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum, weight_decay=1e-4)
        self.loss_fn = nn.CrossEntropyLoss(reduction="sum")
        self.history = []

    def fit(self, images, labels, epochs):
        for _ in range(epochs):
            self.model.train()
            order = torch.randperm(images.shape[0])
            running = 0.0
            for start in range(0, len(order), self.batch):
                pick = order[start : start + self.batch]
                self.optim.zero_grad()
                loss = self.loss_fn(self.model(images[pick]), labels[pick])
                loss.backward()
                self.optim.step()
                running += loss.item()
            self.history.append(running)
            print("loss", running)

    @torch.no_grad()
    def score(self, images, labels):
        self.model.eval()
        hits = 0
        for a, b in zip(images.split(256), labels.split(256)):
            hits += (self.model(a).argmax(1) == b).sum().item()
        return hits / len(labels)


class SmallCNN(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.c1 = nn.Conv2d(3, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.c3 = nn.Conv2d(24, 32, 3, padding=1)
        self.out = nn.Linear(32, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.relu(self.c3(x))
        return self.out(x.mean(dim=(2, 3)))


def shapes(n, gen):
    """0 filled square, 1 frame, 2 cross, 3 diagonal, 4 two dots; random colour and position."""
    x = torch.rand(n, 3, 16, 16, generator=gen) * 0.3
    y = torch.randint(0, 5, (n,), generator=gen)
    for i in range(n):
        r, c = torch.randint(0, 9, (2,), generator=gen).tolist()
        m = torch.zeros(7, 7)
        k = y[i].item()
        if k == 0:
            m[:] = 1
        elif k == 1:
            m[0] = m[-1] = 1
            m[:, 0] = m[:, -1] = 1
        elif k == 2:
            m[3] = 1
            m[:, 3] = 1
        elif k == 3:
            m += torch.eye(7)
        else:
            m[1:3, 1:3] = m[4:6, 4:6] = 1
        x[i, :, r : r + 7, c : c + 7] += m * (0.4 + 0.6 * torch.rand(3, 1, 1, generator=gen))
    return (x - 0.25) / 0.25, y


if __name__ == "__main__":
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(11)
    tx, ty = shapes(1500, g)
    vx, vy = shapes(500, g)
    t = Trainer(SmallCNN(5))
    t.fit(tx, ty, epochs=20)
    print(f"accuracy: {t.score(vx, vy):.4f}")
