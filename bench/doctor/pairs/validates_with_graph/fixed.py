import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
N_CLASSES = 5
prototypes = torch.randn(N_CLASSES, 1, 14, 14)


def sample(n):
    t = torch.randint(0, N_CLASSES, (n,))
    return TensorDataset(prototypes[t] * 0.4 + torch.randn(n, 1, 14, 14), t)


class Learner:
    def __init__(self, model, lr):
        self.model = model
        self.opt = torch.optim.RMSprop(model.parameters(), lr=lr)
        self.crit = nn.CrossEntropyLoss()

    def epoch(self, dl):
        self.model.train()
        for x, t in dl:
            self.opt.zero_grad()
            self.crit(self.model(x), t).backward()
            self.opt.step()

    def evaluate(self, dl):
        self.model.eval()
        hits, n, loss = 0, 0, 0.0
        with torch.no_grad():
            for x, t in dl:
                out = self.model(x)
                loss += self.crit(out, t).item() * len(t)
                hits += (out.argmax(1) == t).sum().item()
                n += len(t)
        return loss / n, hits / n


learner = Learner(
    nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(200, N_CLASSES),
    ),
    lr=1e-3,
)
train_dl, val_dl = DataLoader(sample(1500), 50, shuffle=True), DataLoader(sample(500), 100)
for e in range(4):
    learner.epoch(train_dl)
    loss, acc = learner.evaluate(val_dl)
    print(f"{e}: val loss {loss:.3f}")
print(f"accuracy: {acc:.4f}")
