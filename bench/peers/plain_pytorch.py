"""CIFAR-10 as a lab or a tutorial writes it: the yardstick of bench/ratios.py.

A Dataset of Pillow images; random crop (pad 4), flip, to tensor, normalise, image by image; a DataLoader with
2 workers; eager fp32.

    python bench/peers/plain_pytorch.py --data PATH [--net resnet20]
"""

import random
from contextlib import nullcontext

import numpy as np
import torch
from common import BATCH, LEARNING_RATE, MEAN, MOMENTUM, STD, WEIGHT_DECAY, Clock, Part, arguments, cifar10, report
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torch_nets import NETS, count


class Cifar10(Dataset[tuple[torch.Tensor, int]]):
    """Images as normalised tensors, augmented or not."""

    mean = torch.tensor(MEAN).view(3, 1, 1)
    std = torch.tensor(STD).view(3, 1, 1)

    def __init__(self, part: Part, augment: bool) -> None:
        self.images, self.labels = part
        self.augment = augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.images[index])
        if self.augment:
            x, y = random.randint(0, 8), random.randint(0, 8)
            image = ImageOps.expand(image, 4).crop((x, y, x + 32, y + 32))
            if random.random() < 0.5:
                image = ImageOps.mirror(image)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (pixels - self.mean) / self.std, int(self.labels[index])


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("bf16")
    torch.set_num_threads(chosen.threads)
    torch.manual_seed(chosen.seed)
    training, validation = cifar10(chosen)
    loader = DataLoader(Cifar10(training, augment=True), BATCH, shuffle=True, num_workers=2)
    net = NETS[chosen.net]()
    criterion = nn.CrossEntropyLoss()
    rate = LEARNING_RATE[chosen.net]
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)
    autocast = torch.autocast("cpu", torch.bfloat16) if chosen.precision == "bf16" else nullcontext()
    clock = Clock(len(training[0]))
    for _ in range(chosen.epochs):
        correct, total = 0, 0.0
        clock.start()
        for pixels, labels in loader:
            optimizer.zero_grad()
            with autocast:
                outputs = net(pixels)
                loss = criterion(outputs, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            correct += int((outputs.argmax(1) == labels).sum())
        clock.stop()
    net.eval()
    with torch.no_grad():
        right = sum(
            int((net(pixels).argmax(1) == labels).sum())
            for pixels, labels in DataLoader(Cifar10(validation, augment=False), BATCH, num_workers=2)
        )
    report("plain", ["torch", "numpy", "pillow"], chosen, count(net), clock.rates, right / len(validation[0]))


if __name__ == "__main__":
    main()
