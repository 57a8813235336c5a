"""How many dots are there?  (one to five, never touching)"""
import numpy as np
import torch
import torch.nn as nn


class DotWorld:
    side = 28
    max_dots = 5

    def __init__(self, seed):
        self.rng = np.random.RandomState(seed)
        self.grid = np.mgrid[:self.side, :self.side]

    def centres(self, how_many):
        spots = []
        while len(spots) < how_many:
            c = self.rng.uniform(3, self.side - 4, 2)
            if all(np.hypot(*(c - other)) > 6.5 for other in spots):
                spots.append(c)
            elif self.rng.rand() < 0.02:
                spots = []
        return spots

    def draw(self, how_many):
        picture = np.zeros((self.side, self.side))
        level = self.rng.uniform(0.85, 1.15)
        for cy, cx in self.centres(how_many):
            dist = np.hypot(self.grid[0] - cy, self.grid[1] - cx)
            picture += level * (dist < self.rng.uniform(1.8, 2.4))
        return picture + self.rng.normal(0, 0.3, picture.shape)

    def sample(self, n):
        y = self.rng.randint(0, self.max_dots, n)
        x = np.stack([self.draw(k + 1) for k in y])
        x = (x - 0.06) / 0.38
        return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y).long()


class Counter(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 24, 3, padding=1, bias=False),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 32),
            nn.ReLU(),
            nn.Linear(32, classes),
        )

    def forward(self, x):
        return self.net(x)


class Experiment:
    BATCH = 40

    def __init__(self, seed=19, lr=4e-3):
        torch.manual_seed(seed)
        world = DotWorld(seed)
        self.x, self.y = world.sample(2400)
        self.x_test, self.y_test = world.sample(600)
        self.model = Counter(DotWorld.max_dots)
        self.loss = nn.CrossEntropyLoss()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=lr)

    def epoch(self):
        self.model.train()
        n = len(self.y)
        order = torch.randperm(n)
        history = []
        for start in range(0, n // self.BATCH, self.BATCH):
            rows = order[start:start + self.BATCH]
            value = self.loss(self.model(self.x[rows]), self.y[rows])
            self.opt.zero_grad()
            value.backward()
            self.opt.step()
            history.append(value.item())
        return sum(history) / len(history)

    def test(self):
        self.model.eval()
        with torch.no_grad():
            guess = torch.cat([self.model(x).argmax(1) for x in self.x_test.split(200)])
        return (guess == self.y_test).float().mean().item()


if __name__ == "__main__":
    experiment = Experiment()
    for number in range(6):
        print("epoch", number + 1, "loss", round(experiment.epoch(), 3))
    print(f"accuracy: {experiment.test():.3f}")
