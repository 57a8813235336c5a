"""Kilim motiflerini tanıma. Tek dosya; ayarlar en üstte."""
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Ayar:
    toplam: int = 1500
    sinama: int = 500
    dogrulama_payi: float = 0.1
    yigin: int = 50
    devir: int = 12
    hiz: float = 0.08
    kanallar: tuple = (16, 32, 48)
    tohum: int = 31
    motifler: list = field(default_factory=lambda: ["goz", "yildiz", "suyolu", "tarak", "kocboynuzu"])


def motif_ciz(ad, r, n=28):
    """Renkli yün zemin üzerinde tek bir motif; iplik dokusu, solma ve kayma ile."""
    y, x = np.mgrid[:n, :n].astype(float)
    cy, cx = n / 2 + r.uniform(-4, 4, 2)
    k = r.uniform(0.7, 1.15)
    v, u = (y - cy) / k, (x - cx) / k
    if ad == "goz":
        d = np.abs(u) * 0.8 + np.abs(v)
        m = ((d < 8) & (d > 5)) | (d < 2.2)
    elif ad == "yildiz":
        kare = np.maximum(np.abs(u), np.abs(v)) < 5.2
        m = kare | (np.abs(u) + np.abs(v) < 7.6)
        m &= ~(np.abs(u) + np.abs(v) < 2.5)
    elif ad == "suyolu":
        m = np.abs(v - (np.abs((u + r.uniform(0, 8)) % 8 - 4) * 1.6 - 3)) < 1.7
    elif ad == "tarak":
        m = ((np.abs(u) < 8) & (np.abs(v - 4) < 1.4)) | ((np.abs(u) < 8) & (v < 4) & (v > -6) & ((u + 8) % 4 < 1.8))
    else:
        sag = (np.hypot(np.abs(u) - 4.2, v + 2) < 4.4) & (np.hypot(np.abs(u) - 4.2, v + 2) > 2.4)
        m = (sag & ~((np.abs(u) > 4) & (v > -1.5))) | ((np.abs(u) < 1.2) & (v > -2) & (v < 8))
    zemin, iplik = r.uniform(0.1, 0.9, (2, 3))
    while np.abs(zemin - iplik).max() < 0.3:
        iplik = r.uniform(0.1, 0.9, 3)
    resim = np.where(m[..., None], iplik, zemin)
    if r.random() < 0.5:  # kenar şeridi
        resim[:, : r.integers(2, 5)] = r.uniform(0.1, 0.9, 3)
    doku = 0.07 * np.sin(y * np.pi * 0.9 + r.uniform(0, 6))[..., None]
    return (resim * r.uniform(0.7, 1.1) + doku + r.normal(0, 0.12, resim.shape)).astype(np.float32)


def veri(n, motifler, tohum):
    r = np.random.default_rng(tohum)
    e = r.integers(0, len(motifler), n)
    x = np.stack([motif_ciz(motifler[i], r) for i in e]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(e)


class Ag(nn.Module):
    def __init__(self, kanallar, sinif):
        super().__init__()
        katlar, once = [], 3
        for c in kanallar:
            katlar += [nn.Conv2d(once, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ELU(), nn.MaxPool2d(2)]
            once = c
        self.govde = nn.Sequential(*katlar)
        self.son = nn.Linear(once * 9, sinif)

    def forward(self, x):
        return self.son(self.govde(x).flatten(1))


def basari(ag, x, e):
    ag.eval()
    with torch.no_grad():
        cevap = torch.cat([ag(p).argmax(1) for p in x.split(250)])
    return (cevap == e).float().mean().item()


def egit(ag, ayar, x, e, xd, ed):
    adim = max(1, len(x) // ayar.yigin)
    en_iyi = torch.optim.SGD(ag.parameters(), lr=ayar.hiz, momentum=0.9)
    plan = torch.optim.lr_scheduler.OneCycleLR(en_iyi, ayar.hiz, epochs=ayar.devir, steps_per_epoch=adim)
    for devir in range(1, ayar.devir + 1):
        ag.train()
        sira = torch.randperm(len(x))
        kayip_toplam = 0.0
        for a in range(adim):
            s = sira[a * ayar.yigin:(a + 1) * ayar.yigin]
            en_iyi.zero_grad()
            kayip = F.cross_entropy(ag(x[s]), e[s], label_smoothing=0.05)
            kayip.backward()
            en_iyi.step()
            plan.step()
            kayip_toplam += kayip.item()
        print(f"devir {devir:2d}  kayıp {kayip_toplam / adim:.3f}  "
              f"eğitim {basari(ag, x, e):.3f}  doğrulama {basari(ag, xd, ed):.3f}")


def ana(ayar=Ayar()):
    torch.manual_seed(ayar.tohum)
    x, e = veri(ayar.toplam, ayar.motifler, ayar.tohum)
    xs, es = veri(ayar.sinama, ayar.motifler, ayar.tohum + 1)

    karma = torch.randperm(ayar.toplam)
    kesim = int(ayar.dogrulama_payi * ayar.toplam)
    dogrulama, egitim = karma[:kesim], karma[kesim:]
    ort, sapma = x[egitim].mean((0, 2, 3), keepdim=True), x[egitim].std((0, 2, 3), keepdim=True)
    x, xs = (x - ort) / sapma, (xs - ort) / sapma

    ag = Ag(ayar.kanallar, len(ayar.motifler))
    egit(ag, ayar, x[egitim], e[egitim], x[dogrulama], e[dogrulama])
    print(f"sınama başarısı: {basari(ag, xs, es):.4f}")


if __name__ == "__main__":
    ana()
