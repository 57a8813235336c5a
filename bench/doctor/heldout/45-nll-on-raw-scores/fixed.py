import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset


class Dice(Dataset):
    PIPS = {
        1: [(1, 1)],
        2: [(0, 0), (2, 2)],
        3: [(0, 0), (1, 1), (2, 2)],
        4: [(0, 0), (0, 2), (2, 0), (2, 2)],
        5: [(0, 0), (0, 2), (1, 1), (2, 0), (2, 2)],
        6: [(0, 0), (0, 2), (1, 0), (1, 2), (2, 0), (2, 2)],
    }

    def __init__(self, n, seed, sigma):
        gen = torch.Generator().manual_seed(seed)
        self.faces = torch.randint(1, 7, (n,), generator=gen)
        self.images = torch.randn(n, 1, 18, 18, generator=gen) * sigma
        for im, face in zip(self.images, self.faces.tolist()):
            top, left = torch.randint(1, 6, (2,), generator=gen).tolist()
            grid = torch.zeros(3, 3)
            for a, b in self.PIPS[face]:
                grid[a, b] = 1
            if torch.rand((), generator=gen) < 0.5:
                grid = grid.rot90()
            for a, b in grid.nonzero().tolist():
                im[0, top + 4 * a : top + 4 * a + 2, left + 4 * b : left + 4 * b + 2] += 1.5

    def __len__(self):
        return len(self.faces)

    def __getitem__(self, i):
        return self.images[i], self.faces[i] - 1


class DiceNet(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.extract = nn.Sequential(
            nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 24, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2)
        )
        self.classify = nn.Sequential(
            nn.Flatten(), nn.Linear(24 * 9, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 6)
        )

    def forward(self, x):
        scores = self.classify(self.extract(x))
        return scores.log_softmax(dim=1)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("-b", "--batch", type=int, default=32)
    p.add_argument("-e", "--epochs", type=int, default=8)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--hidden", type=int, default=64)
    p.add_argument("--sigma", type=float, default=0.3)
    a = p.parse_args()
    torch.manual_seed(66)
    dl = {
        k: DataLoader(Dice(n, s, a.sigma), a.batch, shuffle=k == "fit")
        for k, n, s in (("fit", 1600, 1), ("check", 480, 2))
    }
    net = DiceNet(a.hidden)
    loss_function = nn.NLLLoss()
    opt = torch.optim.Adam(net.parameters(), a.lr)
    for e in range(a.epochs):
        for mode, loader in dl.items():
            fitting = mode == "fit"
            net.train(fitting)
            right, total = 0, 0.0
            for image, face in loader:
                with torch.set_grad_enabled(fitting):
                    scores = net(image)
                    loss = loss_function(scores, face)
                if fitting:
                    opt.zero_grad()
                    loss.backward()
                    opt.step()
                right += (scores.argmax(1) == face).sum().item()
                total += loss.item() * len(face)
            size = len(loader.dataset)
            print(f"{e} {mode:5} loss {total / size:.4f} acc {right / size:.4f}")
    print(f"accuracy: {right / size:.4f}")


if __name__ == "__main__":
    main()
