"""CRNN: which of two marks comes first, and how far, reading the image from left to right."""

import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class CRNN(nn.Module):
    def __init__(self, n_class, hidden=32):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d((2, 1)),
        )
        self.rnn = nn.GRU(16 * 3, hidden, batch_first=True)
        self.head = nn.Linear(hidden, n_class)

    def forward(self, x):
        f = self.cnn(x)
        b, c, h, w = f.shape
        seq = f.permute(0, 3, 1, 2).reshape(b, w, c * h)
        out, _ = self.rnn(seq)
        return self.head(out[:, -1])


def synth(n):
    imgs = 0.25 * torch.randn(n, 1, 12, 24)
    labels = torch.randint(0, 4, (n,))
    for i, lab in enumerate(labels.tolist()):
        first, second = int(torch.randint(0, 8, ())), int(torch.randint(13, 20, ()))
        a, b = ("H", "V") if lab % 2 else ("V", "H")
        row = int(torch.randint(1, 5, ())) if lab < 2 else int(torch.randint(6, 8, ()))
        for col, kind in ((first, a), (second, b)):
            if kind == "H":
                imgs[i, 0, row + 2, col : col + 4] = 1.5
            else:
                imgs[i, 0, row : row + 4, col + 2] = 1.5
    return imgs, labels


def main():
    torch.manual_seed(21)
    train_set = TensorDataset(*synth(1920))
    test_set = TensorDataset(*synth(480))
    train_loader = DataLoader(train_set, batch_size=32, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=32)
    net = CRNN(4)
    optimizer = optim.Adam(net.parameters(), lr=3e-3)
    lossfn = nn.CrossEntropyLoss()
    for epoch in range(8):
        net.train()
        tot = 0.0
        for inputs, targets in train_loader:
            optimizer.zero_grad()
            loss = lossfn(net(inputs), targets)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            tot += loss.item()
        print("[%d] loss: %.3f" % (epoch + 1, tot / len(train_loader)))
    net.eval()
    correct = 0
    with torch.no_grad():
        for inputs, targets in test_loader:
            correct += (net(inputs).argmax(-1) == targets).sum().item()
    print("accuracy: %.4f" % (correct / len(test_set)))


if __name__ == "__main__":
    main()
