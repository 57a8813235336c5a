import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


def textures(count, g):
    """64x64 canvases; the class is the kind of stain somewhere on it."""
    y = torch.arange(count) % 6
    canvas = torch.randn(count, 1, 40, 40, generator=g) * 0.35
    r = torch.arange(9).float() - 4
    yy, xx = torch.meshgrid(r, r, indexing="ij")
    kinds = torch.stack([
        (yy.abs() < 1.5).float(), (xx.abs() < 1.5).float(), ((yy - xx).abs() < 1.5).float(),
        ((yy + xx).abs() < 1.5).float(), ((yy ** 2 + xx ** 2) < 10).float(),
        ((yy ** 2 + xx ** 2 - 10).abs() < 6).float(),
    ])
    for i in range(count):
        a, b = torch.randint(8, 23, (2,), generator=g).tolist()
        canvas[i, 0, a:a + 9, b:b + 9] += 1.1 * kinds[y[i]]
    return canvas, y


class CropSet(Dataset):
    def __init__(self, count, seed, random_crop):
        self.canvas, self.y = textures(count, torch.Generator().manual_seed(seed))
        self.random_crop = random_crop
        self.gen = torch.Generator().manual_seed(seed)

    def __getitem__(self, i):
        img = self.canvas[i]
        if not self.random_crop:
            return img[:, 4:36, 4:36], self.y[i]
        gen = self.gen
        top, left = torch.randint(0, 9, (2,), generator=gen).tolist()
        img = img[:, top:top + 32, left:left + 32]
        noise = torch.randn(img.shape, generator=gen) * 0.35
        return img + noise, self.y[i]

    def __len__(self):
        return len(self.y)


def conv_block(i, o):
    return nn.Sequential(nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(inplace=True))


def main(epochs=24):
    torch.manual_seed(21)
    loaders = {
        "train": DataLoader(CropSet(300, 1, True), 30, shuffle=True),
        "test": DataLoader(CropSet(600, 2, False), 100),
    }
    model = nn.Sequential(conv_block(1, 16), nn.MaxPool2d(2), conv_block(16, 32), nn.MaxPool2d(2),
                          conv_block(32, 32), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 6))
    optim = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    ce = nn.CrossEntropyLoss()
    for epoch in range(1, epochs + 1):
        model.train()
        loss_sum, n = 0.0, 0
        for img, lab in loaders["train"]:
            optim.zero_grad(set_to_none=True)
            loss = ce(model(img), lab)
            loss.backward()
            optim.step()
            loss_sum, n = loss_sum + loss.item() * len(lab), n + len(lab)
        if epoch % 4 == 0:
            print(f"epoch {epoch:2d}  loss {loss_sum / n:.4f}")
    model.eval()
    with torch.inference_mode():
        right = sum(int((model(img).argmax(-1) == lab).sum()) for img, lab in loaders["test"])
    print(f"accuracy: {right / len(loaders['test'].dataset):.3f}")


main()
