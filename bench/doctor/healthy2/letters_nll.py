"""Lettres dessinées avec PIL ; le réseau rend des log-probabilités.

La dernière couche est suivie de log_softmax, la perte est NLLLoss : ensemble
c'est exactement l'entropie croisée.  Le taux suit OneCycle, avancé à chaque lot.
"""
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import nn

LETTRES = "AEHKMRSXZ"
GRAINE = 2024


def dessiner(lettre, alea):
    police = ImageFont.load_default(size=int(alea.integers(18, 25)))
    toile = Image.new("L", (32, 32), int(alea.integers(0, 80)))
    plume = ImageDraw.Draw(toile)
    x, y = alea.uniform(5, 11), alea.uniform(0, 6)
    plume.text((x, y), lettre, fill=int(alea.integers(150, 256)), font=police)
    toile = toile.rotate(alea.uniform(-20, 20), resample=Image.BILINEAR, fillcolor=int(alea.integers(0, 80)))
    pixels = np.asarray(toile, np.float32) / 255
    return pixels + alea.normal(0, 0.08, pixels.shape).astype(np.float32)


def jeu(n, alea):
    cibles = alea.integers(0, len(LETTRES), n)
    images = np.stack([dessiner(LETTRES[c], alea) for c in cibles])
    return torch.from_numpy(images).unsqueeze(1), torch.from_numpy(cibles)


class Lecteur(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 5, padding=2)   # pas de normalisation : le biais sert
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.c3 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(64, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        x = F.max_pool2d(F.relu(self.c3(x)), 2)
        x = self.dropout(F.relu(self.fc1(x.flatten(1))))
        return F.log_softmax(self.fc2(x), dim=1)


def mesurer(reseau, images, cibles):
    reseau.eval()
    with torch.no_grad():
        sortie = reseau(images)
    return F.nll_loss(sortie, cibles).item(), (sortie.argmax(1) == cibles).float().mean().item()


def main():
    torch.manual_seed(GRAINE)
    alea = np.random.default_rng(GRAINE)
    x_app, y_app = jeu(1440, alea)
    x_val, y_val = jeu(300, alea)
    moyenne, ecart = x_app.mean(), x_app.std()
    x_app, x_val = (x_app - moyenne) / ecart, (x_val - moyenne) / ecart

    reseau = Lecteur(len(LETTRES))
    print(f"perte initiale {mesurer(reseau, x_val, y_val)[0]:.3f}, ln 9 = {np.log(9):.3f}")
    perte = nn.NLLLoss()
    epoques, lot = 6, 48
    optimiseur = torch.optim.Adam(reseau.parameters())
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiseur, max_lr=4e-3, epochs=epoques, steps_per_epoch=len(x_app) // lot)

    for epoque in range(epoques):
        reseau.train()
        for indices in torch.randperm(len(x_app)).split(lot):
            optimiseur.zero_grad()
            perte(reseau(x_app[indices]), y_app[indices]).backward()
            optimiseur.step()
            cycle.step()
        p, a = mesurer(reseau, x_val, y_val)
        print(f"époque {epoque + 1} : perte {p:.3f}, exactitude {a:.3f}")

    # les probabilités ne servent qu'à l'affichage
    reseau.eval()
    with torch.no_grad():
        p = reseau(x_val[:1]).exp()[0]
    print(" ".join(f"{l}={v:.2f}" for l, v in zip(LETTRES, p.tolist())))
    print(f"accuracy: {mesurer(reseau, x_val, y_val)[1]:.3f}")


if __name__ == "__main__":
    main()
