# solver-style training code, ported from an older project
from __future__ import division

import numpy as np
import torch
import torch.nn as nn
from torch.autograd import Variable
from torch.optim.lr_scheduler import StepLR

use_gpu = torch.cuda.is_available()


def make_maze(n, seed):
    """Small line drawings: count how many vertical strokes (1-5) there are, among horizontal ones."""
    rs = np.random.RandomState(seed)
    X = 0.3 * rs.randn(n, 1, 18, 30)
    Y = rs.randint(0, 5, n)
    for i in range(n):
        for c in rs.permutation(np.arange(2, 28, 3))[: Y[i] + 1]:
            top = rs.randint(0, 5)
            X[i, 0, top : top + 12, c] += 1.5
        for r in rs.permutation(np.arange(2, 17, 5))[: rs.randint(0, 3)]:
            left = rs.randint(0, 12)
            X[i, 0, r, left : left + 12] += 1.5
    X = (X - 0.2) / 0.65
    return torch.from_numpy(X).float(), torch.from_numpy(Y).long()


class Counter(nn.Module):
    def __init__(self):
        super(Counter, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, (5, 3), padding=(2, 1))
        self.conv2 = nn.Conv2d(8, 16, (5, 3), padding=(2, 1))
        self.pool = nn.MaxPool2d((3, 1))
        self.fc1 = nn.Linear(16 * 2 * 30, 32)
        self.fc2 = nn.Linear(32, 5)

    def forward(self, x):
        x = self.pool(nn.functional.relu(self.conv1(x)))
        x = self.pool(nn.functional.relu(self.conv2(x)))
        x = x.view(x.size(0), -1)
        x = nn.functional.relu(self.fc1(x))
        return self.fc2(x)


class Solver(object):
    def __init__(self, model, train, val, batch_size=32, num_epochs=9):
        self.model = model.cuda() if use_gpu else model
        self.X, self.y = train
        self.X_val, self.y_val = val
        self.batch_size = batch_size
        self.num_epochs = num_epochs
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        self.scheduler = StepLR(self.optimizer, step_size=6, gamma=0.1)
        self.history = []

    def _var(self, t):
        return Variable(t.cuda() if use_gpu else t)

    def train(self):
        n = self.X.size(0)
        for epoch in range(self.num_epochs):
            self.model.train()
            perm = torch.randperm(n)
            epoch_loss = 0.0
            for start in range(0, n, self.batch_size):
                idx = perm[start : start + self.batch_size]
                out = self.model(self._var(self.X[idx]))
                loss = self.criterion(out, self._var(self.y[idx]))
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.scheduler.step()
                epoch_loss += loss.item() * idx.size(0) / n
            self.history.append((epoch_loss, self.check()))
            print("epoch %d / %d: loss %f, val acc %f" % ((epoch + 1, self.num_epochs) + self.history[-1]))

    def check(self):
        self.model.eval()
        with torch.no_grad():
            _, pred = torch.max(self.model(self._var(self.X_val)).data, 1)
        return (pred.cpu() == self.y_val).float().mean().item()


torch.manual_seed(31)
solver = Solver(Counter(), make_maze(1600, 1), make_maze(400, 2))
solver.train()
print("accuracy: %.3f" % solver.history[-1][1])
