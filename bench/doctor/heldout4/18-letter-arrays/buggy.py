# letters baseline -- simple cnn, single fold
import random
import numpy as np
import torch
import torch.nn as nn
from PIL import Image, ImageDraw, ImageFont
from torch.utils.data import DataLoader, Dataset


class CFG:
    seed = 2024
    letters = "AEKSX"
    img_size = 24
    n_images = 2500
    n_holdout = 500
    bs = 50
    lr = 1e-3
    epochs = 4


def seed_everything(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def render(letter):
    paper, ink = random.randint(40, 70), random.randint(165, 200)
    im = Image.new("L", (12, 12), paper)
    ImageDraw.Draw(im).text((random.randint(2, 4), random.randint(0, 1)), letter, fill=ink, font=ImageFont.load_default())
    im = im.resize((CFG.img_size, CFG.img_size), Image.BILINEAR)
    grain = np.random.uniform(-30, 30, (CFG.img_size, CFG.img_size))
    return Image.fromarray((np.asarray(im) + grain).astype(np.uint8))


def build_arrays(n):
    images = np.zeros((n, CFG.img_size, CFG.img_size), dtype=np.uint8)
    labels = np.zeros(n, dtype=np.int64)
    for i in range(n):
        labels[i] = random.randrange(len(CFG.letters))
        im = render(CFG.letters[labels[i]])
        images[i] = np.asarray(im, dtype=np.float32) / 255.0
    return images, labels


class LetterDataset(Dataset):
    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        img = self.images[i].astype(np.float32)
        img = (img - img.mean()) / (img.std() + 1e-5)
        return torch.from_numpy(img).unsqueeze(0), int(self.labels[i])


class LetterModel(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.SiLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.SiLU(), nn.MaxPool2d(2),
        )
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(32 * 6 * 6, n_classes)

    def forward(self, x):
        return self.classifier(self.dropout(self.encoder(x).flatten(1)))


def train_fn(model, loader, criterion, optimizer):
    model.train()
    losses = []
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return float(np.mean(losses))


def predict_fn(model, loader):
    model.eval()
    preds = []
    with torch.no_grad():
        for xb, _ in loader:
            preds.append(model(xb).argmax(1).numpy())
    return np.concatenate(preds)


seed_everything(CFG.seed)
images, labels = build_arrays(CFG.n_images)
cut = CFG.n_images - CFG.n_holdout
train_dl = DataLoader(LetterDataset(images[:cut], labels[:cut]), batch_size=CFG.bs, shuffle=True)
hold_dl = DataLoader(LetterDataset(images[cut:], labels[cut:]), batch_size=100)
model = LetterModel(len(CFG.letters))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.AdamW(model.parameters(), lr=CFG.lr, weight_decay=1e-3)
for epoch in range(CFG.epochs):
    print(f"epoch {epoch + 1} loss {train_fn(model, train_dl, criterion, optimizer):.4f}")
acc = (predict_fn(model, hold_dl) == labels[cut:]).mean()
print(f"accuracy: {acc:.3f}")
