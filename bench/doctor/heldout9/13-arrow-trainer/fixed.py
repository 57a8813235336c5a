"""Which of eight ways does the arrow point?"""
import math

import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

NAMES = ["E", "SE", "S", "SW", "W", "NW", "N", "NE"]


class Arrows(Dataset):
    def __init__(self, n, seed):
        rng = np.random.RandomState(seed)
        self.labels = rng.randint(0, 8, n)
        self.images = [self.draw(k, rng) for k in self.labels]

    @staticmethod
    def draw(k, rng):
        bg, fg = rng.randint(0, 90), rng.randint(150, 256)
        if rng.rand() < 0.5:
            bg, fg = fg, bg
        im = Image.new("L", (60, 60), int(bg))
        d = ImageDraw.Draw(im)
        a = math.pi / 4 * k + math.radians(rng.uniform(-12, 12))
        c, s = math.cos(a), math.sin(a)
        cx, cy, r = 30 + rng.uniform(-5, 5), 30 + rng.uniform(-5, 5), rng.uniform(15, 22)
        tip = (cx + r * c, cy + r * s)
        d.line([cx - r * c, cy - r * s, cx + 0.6 * r * c, cy + 0.6 * r * s], fill=int(fg), width=4)
        base = (cx + 0.2 * r * c, cy + 0.2 * r * s)
        w = 0.45 * r
        d.polygon([tip, (base[0] - w * s, base[1] + w * c), (base[0] + w * s, base[1] - w * c)], fill=int(fg))
        a = np.asarray(im.resize((30, 30), Image.BOX), dtype=np.float32)
        return np.clip(a + rng.normal(0, 12, a.shape), 0, 255).astype(np.uint8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        x = torch.from_numpy(self.images[i]).float().unsqueeze(0) / 255
        return (x - 0.5) / 0.3, int(self.labels[i])


class ArrowNet(nn.Module):
    def __init__(self, width=16, classes=8):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.conv3 = nn.Conv2d(2 * width, 2 * width, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(2 * width)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(2 * width * 3 * 3, classes)
        self.reset_parameters()

    def reset_parameters(self):
        for name, p in self.named_parameters():
            if p.dim() > 1:
                nn.init.kaiming_normal_(p, nonlinearity="relu")
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, x):
        x = self.pool(self.relu(self.norm1(self.conv1(x))))
        x = self.pool(self.relu(self.norm2(self.conv2(x))))
        x = self.pool(self.relu(self.norm3(self.conv3(x))))
        return self.fc(x.flatten(1))


class Trainer:
    def __init__(self, model, train_set, test_set, lr=0.03, batch_size=50, epochs=5):
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.model = model.to(self.device)
        self.train_loader = DataLoader(train_set, batch_size=batch_size, shuffle=True)
        self.test_loader = DataLoader(test_set, batch_size=100)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, nesterov=True)
        self.epochs = epochs

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.criterion(self.model(x.to(self.device)), y.to(self.device))
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self):
        for epoch in range(1, self.epochs + 1):
            self.model.train()
            losses = [self.step(x, y) for x, y in self.train_loader]
            print(f"epoch {epoch}: mean loss {np.mean(losses):.3f}")
        return self

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        guesses, truths = [], []
        for x, y in self.test_loader:
            guesses.append(self.model(x.to(self.device)).argmax(1).cpu())
            truths.append(y)
        guesses, truths = torch.cat(guesses), torch.cat(truths)
        for k, name in enumerate(NAMES):
            print(f"  {name:2s} recall {(guesses[truths == k] == k).float().mean().item():.2f}")
        return (guesses == truths).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(8)
    trainer = Trainer(ArrowNet(), Arrows(1200, seed=80), Arrows(300, seed=81)).run()
    print(f"accuracy: {trainer.evaluate():.3f}")
