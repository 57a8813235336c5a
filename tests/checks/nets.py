"""Small nets for the doctor's tests: one that is healthy, to be made ill in one way at a time."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Net(nn.Module):
    """conv → norm → relu → pool → conv → norm → relu → pool → linear → relu → linear; `ill` names its fault."""

    def __init__(self, ill: str = "", classes: int = 3, p: float = 0.2) -> None:
        super().__init__()
        self.ill, self.p = ill, p
        bias = ill == "bias"
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1, bias=bias)
        self.norm1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1, bias=bias)
        self.norm2 = nn.BatchNorm2d(16)
        self.fc1 = nn.Linear(16 * 8 * 8, 32)
        self.fc2 = nn.Linear(32, classes)
        self.drop = nn.Dropout(p)
        if ill == "constant":
            nn.init.constant_(self.fc1.weight, 0.1)
        if ill == "zero head":
            nn.init.zeros_(self.fc2.weight)
        if ill == "large":
            nn.init.normal_(self.fc1.weight)
        if ill == "hidden":
            self.extra = [nn.Linear(32, 32)]
        if ill == "unused":
            self.extra = nn.Linear(32, 32)

    def forward(self, x: Tensor) -> Tensor:
        ill = self.ill
        if ill == "normalises":
            x = (x - 0.5) / 0.25 / 255
        x = self.conv1(x)
        if ill == "dropout":
            x = self.drop(x)
        x = self.norm1(x)
        x = F.max_pool2d(x if ill == "linear" else F.relu(x), 2)
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.max_pool2d(F.relu(x) if ill == "doubled" else x, 2)
        if ill == "mixed":
            x = x.permute(1, 2, 3, 0).reshape(len(x), -1)
        x = x.flatten(1)
        if ill == "blank":
            x = torch.ones_like(x)
        x = F.relu(self.fc1(x))
        if ill == "hidden":
            x = F.relu(self.extra[0](x))
        if ill == "random":
            x = F.dropout(x, 0.5)
        x = self.fc2(x)
        if ill == "dropped":
            x = self.drop(x)
        return {"softmax": x.softmax(1), "sigmoid": x.sigmoid(), "log": x.log_softmax(1), "relu": F.relu(x)}.get(ill, x)


class Published(nn.Module):
    """Looks faulty and is published: linear bottlenecks, depthwise pairs, dropout in a sum, pooled logits."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.expand = nn.Conv2d(16, 32, 1, bias=False)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        self.project = nn.Conv2d(32, 16, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(n) for n in (16, 32, 32, 16, 16))
        self.wide = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        nn.init.zeros_(self.wide.weight)
        self.last = nn.Conv2d(16, 3, 1)
        self.drop = nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.stem(x))
        y = F.relu6(self.norms[1](self.expand(x)))
        y = F.relu6(self.norms[2](self.depthwise(y)))
        x = x + self.norms[3](self.project(y))
        x = x + self.wide(self.norms[4](self.drop(F.relu(x))))
        return F.relu(self.last(F.relu(x))).mean((2, 3))
