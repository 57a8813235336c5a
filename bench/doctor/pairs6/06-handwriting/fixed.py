# Reconnaissance de lettres manuscrites : validation croisée par auteur.
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from PIL import Image, ImageDraw

LETTRES = "aeocs"
COTE = 20
N_AUTEURS, REPETITIONS, N_PLIS = 48, 5, 4

# Tracés modèles : points de contrôle dans le carré unité
MODELES = {
    "a": [(.75, .25), (.4, .2), (.22, .5), (.4, .8), (.72, .65), (.75, .25), (.78, .85)],
    "e": [(.25, .52), (.75, .48), (.7, .22), (.35, .2), (.22, .55), (.42, .82), (.76, .76)],
    "o": [(.5, .2), (.25, .35), (.25, .68), (.5, .82), (.75, .68), (.75, .35), (.5, .2)],
    "c": [(.74, .28), (.52, .18), (.3, .3), (.22, .52), (.32, .74), (.54, .82), (.76, .72)],
    "s": [(.72, .24), (.42, .18), (.28, .36), (.5, .5), (.72, .66), (.54, .83), (.26, .76)],
}


def lisser(points, pas=6):
    points = np.asarray(points)
    t = np.linspace(0, len(points) - 1, pas * len(points))
    brut = np.stack([np.interp(t, np.arange(len(points)), points[:, k]) for k in (0, 1)], 1)
    noyau = np.ones(5) / 5
    borde = np.pad(brut, ((2, 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(borde[:, k], noyau, "valid") for k in (0, 1)], 1)


def ecrire(points, plume, encre, papier, rng):
    grand = COTE * 4
    img = Image.new("L", (grand, grand), 0)
    xy = (lisser(points + rng.normal(0, .018, points.shape)) - .5) * rng.uniform(.85, 1.05) + .5
    xy = xy + rng.normal(0, .03, 2)
    ImageDraw.Draw(img).line([tuple(p) for p in xy * grand], fill=255, width=plume, joint="curve")
    trait = np.asarray(img.resize((COTE, COTE), Image.BOX)) / 255.
    return papier - encre * trait + rng.normal(0, .06, trait.shape)


def corpus(rng):
    images, cibles, auteurs = [], [], []
    for a in range(N_AUTEURS):
        pente, plume = rng.normal(0, .25), int(rng.integers(5, 13))
        encre, papier = rng.uniform(.3, .7), rng.uniform(.75, 1.)
        for c, lettre in enumerate(LETTRES):
            forme = np.array(MODELES[lettre]) + rng.normal(0, .085, (7, 2))
            forme[:, 0] += pente * (.5 - forme[:, 1])
            for _ in range(REPETITIONS):
                images.append(ecrire(forme, plume, encre, papier, rng))
                cibles.append(c)
                auteurs.append(f"auteur{a:02d}")
    return np.array(images, np.float32), np.array(cibles), np.array(auteurs)


def numeroter_plis(auteurs, k, rng):
    """Tire un pli pour chaque auteur et rend le numéro de pli de chaque image."""
    tirage = np.array(auteurs)
    rng.shuffle(tirage)
    rang = {nom: i for i, nom in enumerate(dict.fromkeys(tirage.tolist()))}
    return np.array([rang[nom] % k for nom in auteurs.tolist()])


class ReseauLettres(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 20, 3, padding=1)
        self.c2 = nn.Conv2d(20, 40, 3, padding=1)
        self.d1 = nn.Linear(40 * 25, 64)
        self.d2 = nn.Linear(64, len(LETTRES))

    def forward(self, x):
        x = F.max_pool2d(F.elu(self.c1(x)), 2)
        x = F.max_pool2d(F.elu(self.c2(x)), 2)
        x = F.elu(self.d1(x.flatten(1)))
        return self.d2(F.dropout(x, .3, self.training))


def apprendre(x, y, epoques=8, lot=32):
    reseau = ReseauLettres()
    opt = torch.optim.SGD(reseau.parameters(), lr=.03, momentum=.9)
    for _ in range(epoques):
        reseau.train()
        for idx in torch.randperm(len(y)).split(lot):
            opt.zero_grad()
            F.cross_entropy(reseau(x[idx]), y[idx]).backward()
            opt.step()
    return reseau


def principal():
    torch.set_num_threads(1)
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    images, cibles, auteurs = corpus(rng)
    plis = numeroter_plis(auteurs, N_PLIS, rng)
    x, y = torch.from_numpy(images)[:, None], torch.from_numpy(cibles)

    notes = []
    for p in range(N_PLIS):
        dehors = torch.from_numpy(plis == p)
        moy, ect = x[~dehors].mean(), x[~dehors].std()
        reseau = apprendre((x[~dehors] - moy) / ect, y[~dehors])
        reseau.eval()
        with torch.no_grad():
            juste = reseau((x[dehors] - moy) / ect).argmax(1) == y[dehors]
        notes.append(juste.float().mean().item())
        print(f"pli {p + 1} : {notes[-1]:.3f}")
    print(f"écart-type entre plis : {np.std(notes):.3f}")
    print(f"exactitude moyenne : {np.mean(notes):.4f}")


if __name__ == "__main__":
    principal()
