# %% [markdown]
# # Reconnaître le cépage d'après la feuille
# Chaque pied de vigne a été photographié lors de plusieurs visites, plusieurs clichés par visite.
# Nom d'un cliché : `pied_visite_cliche`, par exemple `p017_v2_c3`.

# %%
import numpy as np
import torch
import torch.nn as nn
from scipy.ndimage import gaussian_filter

graine = 5
torch.manual_seed(graine)
hasard = np.random.default_rng(graine)

CEPAGES = ["Merlot", "Syrah", "Chasselas", "Gamay"]
COTE = 26
PIEDS, VISITES, CLICHES = 96, 4, 4


# %%
def caractere_du_pied(cepage):
    """Ce qui est propre à un pied : lobes, vigueur, teinte, taches."""
    return dict(
        lobes=[5, 5, 3, 3][cepage],
        profondeur=[0.18, 0.40, 0.20, 0.44][cepage] + hasard.normal(0, 0.075),
        dents=int(hasard.integers(11, 20)),
        teinte=np.array([0.25, 0.5, 0.2]) + hasard.normal(0, 0.06, 3),
        taches=[(hasard.uniform(-0.6, 0.6), hasard.uniform(-0.6, 0.6), hasard.uniform(0.1, 0.2))
                for _ in range(4)],
    )


def photographier(pied, taille, jour):
    yy, xx = (np.mgrid[:COTE, :COTE] - COTE / 2 + 0.5) / (COTE / 2)
    xx, yy = xx - hasard.uniform(-0.08, 0.08), yy - hasard.uniform(-0.08, 0.08)
    a = np.arctan2(yy, xx) + hasard.normal(0, 0.08)
    r = np.hypot(xx, yy)
    bord = taille * (1 - pied["profondeur"] * (1 + np.cos(pied["lobes"] * a)) / 2 + 0.04 * np.cos(pied["dents"] * a))
    feuille = r < bord
    nervures = feuille & (np.abs(np.sin(pied["lobes"] / 2 * a)) < 0.09 / (r + 0.15))
    image = np.ones((COTE, COTE, 3)) * np.array([0.55, 0.5, 0.45]) * hasard.uniform(0.8, 1.2)
    image[feuille] = pied["teinte"]
    image[nervures] = pied["teinte"] * 1.4
    for tx, ty, rayon in pied["taches"]:
        image[feuille & (np.hypot(xx - tx, yy - ty) < rayon)] = (0.45, 0.25, 0.12)
    image = gaussian_filter(image, (0.5, 0.5, 0)) * jour * hasard.uniform(0.9, 1.1)
    return np.clip(image + hasard.normal(0, 0.045, image.shape), 0, 1)


noms, images, etiquettes = [], [], []
for p in range(PIEDS):
    cepage = p % len(CEPAGES)
    pied = caractere_du_pied(cepage)
    for v in range(VISITES):
        taille, jour = 0.78 + 0.05 * v, hasard.uniform(0.75, 1.25)
        for c in range(CLICHES):
            noms.append(f"p{p:03d}_v{v}_c{c}")
            images.append(photographier(pied, taille, jour))
            etiquettes.append(cepage)
X = torch.tensor(np.stack(images), dtype=torch.float32).permute(0, 3, 1, 2)
y = torch.tensor(etiquettes)
print(len(X), "clichés de", PIEDS, "pieds")

# %% [markdown]
# ## Découpage
# Des clichés trop semblables ne doivent pas se trouver des deux côtés : on tire au sort des groupes entiers.

# %%
groupes = np.array([nom.rsplit("_", 1)[0] for nom in noms])
uniques = hasard.permutation(np.unique(groupes))
groupes_test = uniques[:len(uniques) // 4]
est_test = torch.from_numpy(np.isin(groupes, groupes_test))

Xa, ya = X[~est_test], y[~est_test]
Xt, yt = X[est_test], y[est_test]
moyenne, ecart = Xa.mean((0, 2, 3), keepdim=True), Xa.std((0, 2, 3), keepdim=True)
Xa, Xt = (Xa - moyenne) / ecart, (Xt - moyenne) / ecart
print("apprentissage :", len(Xa), " test :", len(Xt), " groupes communs :",
      len(set(groupes[~est_test.numpy()]) & set(groupes_test)))

# %%
modele = nn.Sequential(
    nn.Conv2d(3, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.GELU(), nn.MaxPool2d(2),
    nn.Conv2d(24, 48, 3, padding=1, bias=False), nn.BatchNorm2d(48), nn.GELU(), nn.MaxPool2d(2),
    nn.Conv2d(48, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.GELU(), nn.AdaptiveAvgPool2d(3),
    nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 9, len(CEPAGES)),
)
entropie = nn.CrossEntropyLoss()
opt = torch.optim.AdamW(modele.parameters(), lr=2e-3, weight_decay=0.01)
EPOQUES, LOT = 10, 64
pas = EPOQUES * -(-len(Xa) // LOT)
rythme = torch.optim.lr_scheduler.CosineAnnealingLR(opt, pas)

# %%
for epoque in range(EPOQUES):
    modele.train()
    pertes = []
    for lot in torch.randperm(len(Xa)).split(LOT):
        xb = Xa[lot]
        retournes = torch.rand(len(xb)) < 0.5
        xb[retournes] = xb[retournes].flip(3)
        opt.zero_grad()
        perte = entropie(modele(xb), ya[lot])
        perte.backward()
        opt.step()
        rythme.step()
        pertes.append(perte.item())
    print(f"époque {epoque + 1:2d}  perte {np.mean(pertes):.3f}")

# %%
modele.eval()
with torch.no_grad():
    prevu = modele(Xt).argmax(1)
for k, nom in enumerate(CEPAGES):
    print(f"  {nom:10s} rappel {(prevu[yt == k] == k).float().mean().item():.2f}")
print(f"exactitude sur les clichés de test : {(prevu == yt).float().mean().item():.3f}")
