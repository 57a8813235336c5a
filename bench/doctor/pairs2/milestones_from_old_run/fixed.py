"""Counts of crossing lines -> class; SGD + MultiStepLR."""
import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from PIL import Image, ImageDraw
from torch.optim import lr_scheduler
from torch.utils.data import DataLoader, Dataset


class Polygons(Dataset):
    classes = ["triangle", "square", "pentagon", "hexagon", "circle"]

    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.y = rng.integers(0, 5, n)
        self.x = np.stack([self._one(int(k), rng) for k in self.y])

    @staticmethod
    def _one(k, rng):
        im = Image.new("L", (64, 64), int(rng.integers(0, 80)))
        d = ImageDraw.Draw(im)
        r = float(rng.uniform(18, 26))
        cx, cy = (float(v) for v in rng.uniform(28, 36, 2))
        shade = int(rng.integers(140, 255))
        if k == 4:
            d.ellipse((cx - r, cy - r, cx + r, cy + r), fill=shade)
        else:
            d.regular_polygon((cx, cy, r), k + 3, rotation=float(rng.uniform(0, 360)), fill=shade)
        small = im.resize((32, 32), Image.BOX)
        return np.asarray(small, np.float32) / 255 + rng.normal(0, 0.05, (32, 32)).astype(np.float32)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return torch.from_numpy((self.x[i] - 0.4) / 0.3)[None], int(self.y[i])


def conv(cin, cout):
    layer = nn.Conv2d(cin, cout, 3, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(cout), nn.ReLU(inplace=True), nn.MaxPool2d(2)]


def train_model(model, loaders, criterion, optimizer, scheduler, num_epochs):
    for epoch in range(num_epochs):
        print("Epoch {}/{}".format(epoch, num_epochs - 1), "lr", optimizer.param_groups[0]["lr"])
        for phase in ("train", "val"):
            model.train() if phase == "train" else model.eval()
            running_loss, running_corrects, count = 0.0, 0, 0
            for inputs, labels in loaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += (outputs.argmax(1) == labels).sum().item()
                count += inputs.size(0)
            if phase == "train":
                scheduler.step()
            print("{} Loss: {:.4f} Acc: {:.4f}".format(phase, running_loss / count, running_corrects / count))
    return running_corrects / count


torch.manual_seed(23)
model = nn.Sequential(*conv(1, 16), *conv(16, 24), *conv(24, 32), nn.Flatten(), nn.Linear(32 * 16, 5))
loaders = {
    "train": DataLoader(Polygons(900, 0), batch_size=60, shuffle=True),
    "val": DataLoader(Polygons(300, 1), batch_size=100),
}
optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
scheduler = lr_scheduler.MultiStepLR(optimizer, milestones=[9, 11], gamma=0.1)
print("accuracy: %.3f" % train_model(model, loaders, nn.CrossEntropyLoss(), optimizer, scheduler, 12))
