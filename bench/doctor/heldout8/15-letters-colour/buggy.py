"""Coloured letters on coloured paper: which letter is it?"""
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.utils.data import DataLoader, Dataset

LETTERS = "ABEHKMRSTX"


class Standardizer:
    """Per-channel standardisation with the statistics of the training images."""

    def fit(self, images):
        pixels = np.concatenate([im.reshape(-1, 3) for im in images])
        self.mean_ = pixels.mean(axis=0, dtype=np.float64)
        self.std_ = pixels.std(axis=0, dtype=np.float64)
        return self

    def transform(self, image):
        return (image - self.mean_) / self.std_


class LetterDataset(Dataset):
    def __init__(self, images, labels, scaler, train):
        self.images, self.labels = images, labels
        self.scaler = scaler
        self.train = train

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = self.images[i]
        if self.train:
            dy, dx = (int(v) for v in torch.randint(-2, 3, (2,)))
            image = np.roll(image, (dy, dx), axis=(0, 1))
        x = self.scaler.transform(image).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(x)), self.labels[i]


def draw_letter(letter, rng, font):
    paper = tuple(int(v) for v in rng.integers(150, 255, 3))
    ink = tuple(int(v) for v in rng.integers(0, 110, 3))
    img = Image.new("RGB", (14, 14), paper)
    box = font.getbbox(letter)
    w, h = box[2] - box[0], box[3] - box[1]
    ImageDraw.Draw(img).text(((14 - w) / 2 - box[0], (14 - h) / 2 - box[1]), letter, font=font, fill=ink)
    img = img.resize((28, 28), Image.BICUBIC)
    img = img.rotate(rng.uniform(-18, 18), Image.BILINEAR, fillcolor=paper)
    arr = np.asarray(img, dtype=np.float32) / 255
    arr = arr + rng.normal(0, 0.05, arr.shape).astype(np.float32)
    return np.clip(arr, 0, 1)


def make_split(n, seed):
    rng = np.random.default_rng(seed)
    font = ImageFont.load_default()
    labels = rng.permutation(np.arange(n) % len(LETTERS)).tolist()
    return [draw_letter(LETTERS[k], rng, font) for k in labels], labels


def build_model():
    def block(c_in, c_out):
        return [nn.Conv2d(c_in, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.LeakyReLU(0.1)]

    return nn.Sequential(
        *block(3, 24), nn.MaxPool2d(2),
        *block(24, 48), nn.MaxPool2d(2),
        *block(48, 64),
        nn.Flatten(),
        nn.Linear(64 * 7 * 7, len(LETTERS)),
    )


def train_one_epoch(model, loader, loss_fn, opt, device):
    model.train()
    total = 0.0
    for x, y in loader:
        x, y = x.to(device), y.to(device)
        opt.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        opt.step()
        total += loss.item()
    return total / len(loader)


@torch.inference_mode()
def accuracy(model, loader, device):
    model.eval()
    good = sum((model(x.to(device)).argmax(1).cpu() == y).sum().item() for x, y in loader)
    return good / len(loader.dataset)


def main():
    torch.manual_seed(5)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    train_images, train_labels = make_split(1200, 21)
    test_images, test_labels = make_split(400, 22)
    scaler = Standardizer().fit(train_images)
    train_loader = DataLoader(LetterDataset(train_images, train_labels, scaler, True), batch_size=60, shuffle=True)
    test_loader = DataLoader(LetterDataset(test_images, test_labels, scaler, False), batch_size=100)

    model = build_model().to(device)
    loss_fn = nn.CrossEntropyLoss()
    opt = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.75)
    for epoch in range(5):
        loss = train_one_epoch(model, train_loader, loss_fn, opt, device)
        sched.step()
        print(f"epoch {epoch + 1}  loss {loss:.4f}")
    print(f"accuracy: {accuracy(model, test_loader, device):.3f}")


if __name__ == "__main__":
    main()
