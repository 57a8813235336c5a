"""Pengenalan pola ikan karang dengan mixup."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch.utils.data import DataLoader, Dataset

POLA = ["polos", "belang_tegak", "belang_datar", "totol", "dua_warna"]
UKURAN = 32


def gambar_ikan(pola, acak):
    s = UKURAN * 2
    air = tuple(int(v) for v in acak.integers([10, 60, 90], [90, 150, 200]))
    badan = tuple(int(v) for v in acak.integers(60, 255, 3))
    corak = tuple(int(v) for v in acak.integers(0, 200, 3))
    while sum(abs(a - b) for a, b in zip(badan, corak)) < 110:
        corak = tuple(int(v) for v in acak.integers(0, 200, 3))
    cx, cy = s // 2 + acak.integers(-6, 7), s // 2 + acak.integers(-7, 8)
    a, b = acak.integers(17, 23), acak.integers(10, 15)

    lapis = Image.new("RGB", (s, s), badan)
    d = ImageDraw.Draw(lapis)
    if pola == "belang_tegak":
        for x in range(cx - a + int(acak.integers(3, 8)), cx + a, int(acak.integers(9, 12))):
            d.rectangle([x, 0, x + 4, s], fill=corak)
    elif pola == "belang_datar":
        for y in range(cy - b + int(acak.integers(3, 6)), cy + b, int(acak.integers(7, 9))):
            d.rectangle([0, y, s, y + 3], fill=corak)
    elif pola == "totol":
        for _ in range(16):
            x, y = cx + acak.integers(-a, a), cy + acak.integers(-b, b)
            d.ellipse([x - 2, y - 2, x + 2, y + 2], fill=corak)
    elif pola == "dua_warna":
        d.rectangle([cx + acak.integers(-6, 7), 0, s, s], fill=corak)

    topeng = Image.new("L", (s, s), 0)
    t = ImageDraw.Draw(topeng)
    t.ellipse([cx - a, cy - b, cx + a, cy + b], fill=255)
    t.polygon([(cx - a + 4, cy), (cx - a - 8, cy - 9), (cx - a - 8, cy + 9)], fill=255)
    foto = Image.composite(lapis, Image.new("RGB", (s, s), air), topeng)
    foto = foto.rotate(acak.uniform(-20, 20), resample=Image.BILINEAR, fillcolor=air)
    if acak.random() < 0.5:
        foto = foto.transpose(Image.FLIP_LEFT_RIGHT)
    piksel = np.asarray(foto.resize((UKURAN, UKURAN), Image.BILINEAR), np.float32) / 255
    piksel = piksel * acak.uniform(0.6, 1.1) + acak.normal(0, 0.06, piksel.shape)
    return piksel.transpose(2, 0, 1).astype(np.float32)


def kumpulkan(n, benih):
    acak = np.random.default_rng(benih)
    label = acak.permutation(np.arange(n) % len(POLA))
    return np.stack([gambar_ikan(POLA[k], acak) for k in label]), label


class Campuran(Dataset):
    """Mixup: setiap contoh dicampur dengan contoh lain yang dipilih acak."""

    def __init__(self, x, label, alfa=0.3, benih=0):
        self.x = x
        self.y = np.eye(len(POLA), dtype=np.float32)[label]
        self.alfa = alfa
        self.acak = np.random.default_rng(benih)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        j = self.acak.integers(len(self.x))
        lam = np.float32(self.acak.beta(self.alfa, self.alfa))
        lam = max(lam, 1 - lam)
        x = self.x[i].copy()
        y = self.y[i].copy()
        x *= lam
        x += (1 - lam) * self.x[j]
        y *= lam
        y += (1 - lam) * self.y[j]
        return x, y


class JaringIkan(nn.Module):
    def __init__(self):
        super().__init__()
        self.awal = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.tengah = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.akhir = nn.Conv2d(32, 48, 3, padding=1, bias=False)
        self.norm = nn.ModuleList([nn.BatchNorm2d(c) for c in (16, 32, 48)])
        self.kelas = nn.Linear(48 * 16, len(POLA))

    def forward(self, x):
        for konv, norm in zip((self.awal, self.tengah, self.akhir), self.norm):
            x = F.max_pool2d(F.hardswish(norm(konv(x))), 2)
        return self.kelas(torch.flatten(x, 1))


def hitung_tepat(model, pemuat):
    model.eval()
    tepat = 0
    with torch.no_grad():
        for x, y in pemuat:
            tepat += (model(x).argmax(1) == y).sum().item()
    return tepat / len(pemuat.dataset)


def utama():
    torch.manual_seed(77)
    (xl, yl), (xv, yv), (xu, yu) = kumpulkan(1000, 1), kumpulkan(250, 2), kumpulkan(500, 3)
    rata = xl.mean((0, 2, 3), keepdims=True)
    simpang = xl.std((0, 2, 3), keepdims=True)
    xl, xv, xu = ((x - rata) / simpang for x in (xl, xv, xu))

    def pemuat_uji(x, y):
        return DataLoader(list(zip(torch.from_numpy(x), y)), batch_size=125)

    latih = DataLoader(Campuran(xl, yl), batch_size=40, shuffle=True)
    validasi, uji = pemuat_uji(xv, yv), pemuat_uji(xu, yu)

    model = JaringIkan()
    opt = torch.optim.Adamax(model.parameters(), lr=6e-3)
    jadwal = torch.optim.lr_scheduler.MultiStepLR(opt, milestones=[10, 13], gamma=0.2)
    for putaran in range(1, 16):
        model.train()
        rugi = 0.0
        for x, y in latih:
            opt.zero_grad()
            nilai = F.cross_entropy(model(x), y)
            nilai.backward()
            opt.step()
            rugi += nilai.item()
        jadwal.step()
        print(f"putaran {putaran:2d}  rugi {rugi / len(latih):.3f}  validasi {hitung_tepat(model, validasi):.3f}")
    print(f"ketepatan pada data uji: {hitung_tepat(model, uji):.4f}")


if __name__ == "__main__":
    utama()
