"""SimpleNN and ResNet-20 (option A) as PyTorch users write them: for the plain script, Lightning and skorch."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def simplenn() -> nn.Module:
    """82,006 parameters."""
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 5, bias=False), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    )


class BasicBlock(nn.Module):
    """Two convolutions and a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.padding = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        """Option A: where the block shrinks, every second pixel, zeros for the new channels."""
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.padding, self.padding))
        return F.relu(out + x)


class ResNet20(nn.Module):
    """269,722 parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels = [16, 16, 16, 16, 32, 32, 32, 64, 64, 64]
        pairs = list(itertools.pairwise(channels))
        self.blocks = nn.Sequential(*(BasicBlock(a, b, stride=b // a) for a, b in pairs))
        self.linear = nn.Linear(64, 10)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Images [N, 3, 32, 32] to logits [N, 10]."""
        x = self.blocks(F.relu(self.bn1(self.conv1(x))))
        return self.linear(x.mean((2, 3)))  # type: ignore[no-any-return]


NETS = {"simplenn": simplenn, "resnet20": ResNet20}


def count(net: nn.Module) -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in net.parameters() if parameter.requires_grad)


def crop_and_flip(images: Tensor) -> Tensor:
    """A random crop (pad 4) and a coin-flip mirror for each of a batch, [N, 3, 32, 32]."""
    number = len(images)
    windows = F.pad(images, (4, 4, 4, 4)).unfold(2, 32, 1).unfold(3, 32, 1)
    y, x = torch.randint(0, 9, (2, number))
    images = windows[torch.arange(number), :, y, x]
    return torch.where(torch.rand(number, 1, 1, 1) < 0.5, images.flip(3), images)
