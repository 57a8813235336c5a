"""Klasifikasi serat kayu dari potongan foto kecil (sintetis), jaringan tanpa normalisasi."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

SERAT = ["lurus", "bergelombang", "mata_kayu", "pori", "bercak", "gembol"]
UKURAN = 30


def serat(jenis, rng):
    y, x = np.mgrid[:UKURAN, :UKURAN].astype(float)
    sudut = rng.normal(0, 0.2) + (np.pi / 2) * rng.integers(0, 2)
    u = x * math.cos(sudut) + y * math.sin(sudut)
    v = -x * math.sin(sudut) + y * math.cos(sudut)
    p, fase = rng.uniform(3.0, 5.5), rng.uniform(0, 2 * np.pi)
    garis = np.sin(2 * np.pi * v / p + fase)
    if jenis == "bergelombang":
        garis = np.sin(2 * np.pi * (v + 1.8 * np.sin(u / 2.4 + fase)) / p)
    elif jenis == "mata_kayu":
        cx, cy = rng.uniform(9, 21, 2)
        r = np.hypot(x - cx, y - cy)
        dekat = np.exp(-((r / 11) ** 4))
        garis = (1 - dekat) * garis + dekat * np.sin(2 * np.pi * r / p)
    elif jenis == "pori":
        titik = rng.random((UKURAN, UKURAN)) > 0.95
        garis = 0.5 * garis - 2.0 * gaussian_filter(titik.astype(float), 0.7) * 4
    elif jenis == "bercak":
        acak = gaussian_filter(rng.normal(0, 1, (UKURAN, UKURAN)), (0.8, 2.5) if abs(math.cos(sudut)) > 0.7 else (2.5, 0.8))
        garis = 0.5 * garis + 1.5 * (acak > 0.35)
    elif jenis == "gembol":
        acak = gaussian_filter(rng.normal(0, 1, (UKURAN, UKURAN)), 2.5)
        garis = np.sin(2 * np.pi * acak * 9 / p + fase)
    warna = np.array([0.55, 0.38, 0.22]) * rng.uniform(0.6, 1.4)
    gambar = warna + rng.uniform(0.06, 0.13) * garis[..., None]
    gambar = gambar * (1 + rng.uniform(-0.2, 0.2) * x / UKURAN)[..., None]
    return (gambar + rng.normal(0, 0.035, gambar.shape)).transpose(2, 0, 1)


def buat_data(jumlah, benih):
    rng = np.random.default_rng(benih)
    label = rng.permutation(np.arange(jumlah) % len(SERAT))
    citra = np.stack([serat(SERAT[k], rng) for k in label])
    return torch.tensor(citra, dtype=torch.float32), torch.tensor(label)


class JaringanKayu(nn.Module):
    def __init__(self, kelas):
        super().__init__()
        self.k1 = nn.Conv2d(3, 16, 5, padding=2)
        self.k2 = nn.Conv2d(16, 24, 3, padding=1)
        self.k3 = nn.Conv2d(24, 32, 3, padding=1)
        self.f1 = nn.Linear(32 * 3 * 3, 64)
        self.f2 = nn.Linear(64, kelas)
        self.apply(inisialisasi)

    def forward(self, x):
        for k in (self.k1, self.k2, self.k3):
            x = F.max_pool2d(F.relu(k(x)), 2)
        x = F.relu(self.f1(x.flatten(1)))
        return F.log_softmax(self.f2(x), dim=1)


def inisialisasi(m):
    """Inisialisasi He: simpangan baku sqrt(2 / fan_in), bias nol."""
    if isinstance(m, (nn.Conv2d, nn.Linear)):
        fan_in = m.weight[0].numel()
        nn.init.normal_(m.weight, std=math.sqrt(2.0 / fan_in))
        nn.init.zeros_(m.bias)


def satu_epoch(model, opt, x, y, ukuran_batch):
    model.train()
    total = 0.0
    for idx in torch.randperm(len(y)).split(ukuran_batch):
        rugi = F.nll_loss(model(x[idx]), y[idx])
        opt.zero_grad()
        rugi.backward()
        opt.step()
        total += rugi.item() * len(idx)
    return total / len(y)


@torch.no_grad()
def akurasi(model, x, y):
    model.eval()
    return (model(x).argmax(1) == y).float().mean().item()


def utama():
    torch.manual_seed(20)
    x_latih, y_latih = buat_data(1500, 71)
    x_val, y_val = buat_data(300, 72)
    x_uji, y_uji = buat_data(600, 73)
    rata, simpang = x_latih.mean((0, 2, 3), keepdim=True), x_latih.std((0, 2, 3), keepdim=True)
    x_latih, x_val, x_uji = [(t - rata) / simpang for t in (x_latih, x_val, x_uji)]

    model = JaringanKayu(len(SERAT))
    opt = torch.optim.Adam(model.parameters(), lr=1e-3)
    terbaik, simpan = 0.0, model.state_dict()
    for e in range(1, 11):
        rugi = satu_epoch(model, opt, x_latih, y_latih, 30)
        a = akurasi(model, x_val, y_val)
        if a > terbaik:
            terbaik, simpan = a, {k: v.clone() for k, v in model.state_dict().items()}
        print(f"epoch {e:2d}: rugi {rugi:.3f}, akurasi validasi {a:.3f}")
    model.load_state_dict(simpan)
    print(f"akurasi uji: {akurasi(model, x_uji, y_uji):.4f}")


if __name__ == "__main__":
    utama()
