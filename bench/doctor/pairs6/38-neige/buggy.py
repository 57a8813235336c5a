# Cristaux de neige photographiés au microscope : petit ensemble de réseaux (4 graines x 4 instantanés),
# composé par sélection gloutonne avec remise (Caruana et al., 2004).
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

FORMES = ["plaquette", "etoile", "aiguille", "colonne", "colonne_coiffee", "neige_roulee"]
COTE, LOT, EPOQUES, INSTANTANES = 20, 32, 8, (5, 6, 7, 8)


def cristal(alea, forme):
    y, x = np.mgrid[:COTE, :COTE].astype(np.float64)
    x, y = x - COTE / 2 - alea.uniform(-2, 2), y - COTE / 2 - alea.uniform(-2, 2)
    angle, taille = alea.uniform(0, np.pi), alea.uniform(4.5, 7.5)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    r, t = np.hypot(u, v), np.arctan2(v, u)
    bord = lambda d: 1 / (1 + np.exp(-2.5 * d))
    if forme == 0:
        ecart = np.mod(t, np.pi / 3) - np.pi / 6
        img = bord(taille * 0.9 - r * np.cos(ecart))
    elif forme == 1:
        img = bord(taille * (0.62 + 0.45 * np.cos(6 * t)) - r)
    elif forme == 2:
        img = bord(np.minimum(taille * 1.2 - abs(u), 1.0 - abs(v)))
    elif forme == 3:
        img = bord(np.minimum(taille - abs(u), 0.40 * taille - abs(v)))
    elif forme == 4:
        tige = np.minimum(taille - abs(u), 0.25 * taille - abs(v))
        coiffe = np.minimum(1.0 - abs(abs(u) - taille * 0.85), 0.65 * taille - abs(v))
        img = bord(np.maximum(tige, coiffe))
    else:
        img = bord(taille * 0.8 - r + 1.2 * np.sin(3 * t + alea.uniform(0, 6)) * alea.uniform(0.3, 1))
        img = img * (0.75 + 0.25 * alea.normal(size=img.shape))
    fond = alea.uniform(0.1, 0.4) + alea.uniform(-0.02, 0.02) * x
    return alea.uniform(0.4, 0.9) * img + fond + alea.normal(0, 0.15, img.shape)


def tirer(nombre, graine):
    alea = np.random.default_rng(graine)
    y = alea.integers(0, len(FORMES), nombre)
    x = np.stack([cristal(alea, f) for f in y])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


def reseau():
    return nn.Sequential(
        nn.Conv2d(1, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(10, 20, 3, padding=1, bias=False), nn.BatchNorm2d(20), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(20 * 5 * 5, len(FORMES)),
    )


def probabilites(modele, x):
    modele.eval()
    with torch.no_grad():
        return F.softmax(modele(x), dim=1)


def entrainer(graine, x, y, parties):
    """Renvoie, par partie, les probabilités de chaque instantané."""
    torch.manual_seed(graine)
    modele = reseau()
    optim = torch.optim.RMSprop(modele.parameters(), lr=1e-3)
    sorties = {nom: [] for nom in parties}
    for epoque in range(1, EPOQUES + 1):
        modele.train()
        for lot in torch.randperm(len(y)).split(LOT):
            perte = F.cross_entropy(modele(x[lot]), y[lot])
            optim.zero_grad()
            perte.backward()
            optim.step()
        if epoque in INSTANTANES:
            for nom, (xp, _) in parties.items():
                sorties[nom].append(probabilites(modele, xp))
    return sorties


def exactitude(probas, y):
    return (probas.argmax(1) == y).float().mean().item()


def selection_gloutonne(probas, y, tours=12):
    """Ajoute à chaque tour le membre qui aide le plus ; un membre peut revenir."""
    membres, somme = [], torch.zeros_like(probas[0])
    for _ in range(tours):
        notes = [exactitude(somme + p, y) for p in probas]
        choix = int(np.argmax(notes))
        membres.append(choix)
        somme = somme + probas[choix]
    return membres


def bilan(P, y):
    resultats = {}
    for nom in P:
        membres = selection_gloutonne(P[nom], y[nom])
        ensemble = P[nom][membres].mean(0)
        resultats[nom] = exactitude(ensemble, y[nom])
        seuls = [exactitude(p, y[nom]) for p in P[nom]]
        print(f"{nom:10s} n={len(y[nom])}  seuls {np.mean(seuls):.3f} +- {np.std(seuls):.3f}  "
              f"ensemble de {len(set(membres))} membres {resultats[nom]:.3f}")
    return resultats


def principal():
    x, y = tirer(800, 31)
    moyenne, ecart = x.mean(), x.std()
    x = (x - moyenne) / ecart
    parties = {}
    for nom, nombre, graine in (("validation", 360, 32), ("test", 180, 33)):
        xp, yp = tirer(nombre, graine)
        parties[nom] = ((xp - moyenne) / ecart, yp)

    sorties = [entrainer(g, x, y, parties) for g in range(4)]
    P = {nom: torch.stack([p for s in sorties for p in s[nom]]) for nom in parties}
    resultats = bilan(P, {nom: yp for nom, (_, yp) in parties.items()})
    print(f"exactitude sur le test : {resultats['test']:.4f}")


if __name__ == "__main__":
    principal()
