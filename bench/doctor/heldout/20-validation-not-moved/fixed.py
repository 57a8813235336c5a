import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Learner:
    """Keeps model, data and optimiser together."""

    def __init__(self, model, train_dl, valid_dl, lr):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_dl, self.valid_dl = train_dl, valid_dl
        self.opt = optim.Adam(self.model.parameters(), lr)
        self.loss_func = nn.CrossEntropyLoss()

    def one_batch(self, xb, yb):
        xb, yb = xb.to(self.device), yb.to(self.device)
        loss = self.loss_func(self.model(xb), yb)
        loss.backward()
        self.opt.step()
        self.opt.zero_grad()
        return loss.item()

    def validate(self):
        self.model.eval()
        correct, n = 0, 0
        with torch.no_grad():
            for xb, yb in self.valid_dl:
                preds = self.model(xb.to(self.device)).argmax(dim=1)
                correct += (preds == yb.to(self.device)).sum().item()
                n += yb.shape[0]
        return correct / n

    def fit(self, epochs):
        for epoch in range(epochs):
            self.model.train()
            losses = [self.one_batch(xb, yb) for xb, yb in self.train_dl]
            print(epoch, sum(losses) / len(losses), self.validate())


def letters(n):
    glyph = {
        "L": ["x...", "x...", "x...", "xxxx"],
        "T": ["xxxx", ".xx.", ".xx.", ".xx."],
        "U": ["x..x", "x..x", "x..x", "xxxx"],
        "Z": ["xxxx", "..x.", ".x..", "xxxx"],
        "F": ["xxxx", "x...", "xxx.", "x..."],
    }
    bits = torch.stack([torch.tensor([[float(ch == "x") for ch in row] for row in g]) for g in glyph.values()])
    bits = bits.repeat_interleave(2, 1).repeat_interleave(2, 2)
    y = torch.randint(0, len(bits), (n,))
    x = torch.randn(n, 1, 16, 16) * 0.7
    for i in range(n):
        r, c = torch.randint(0, 9, (2,)).tolist()
        x[i, 0, r : r + 8, c : c + 8] += bits[y[i]] * 1.2
    return TensorDataset(x, y)


torch.manual_seed(4)
train_dl = DataLoader(letters(1500), batch_size=30, shuffle=True)
valid_dl = DataLoader(letters(500), batch_size=100)
model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, stride=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(512, 5),
)
learn = Learner(model, train_dl, valid_dl, lr=2e-3)
learn.fit(6)
print(f"accuracy: {learn.validate():.4f}")
