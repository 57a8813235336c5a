# Reconnaissance d'armures textiles : apprentissage sur plusieurs fenêtres de chaque échantillon,
# essai sur l'image entière.
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset

ARMURES = ["toile", "serge", "satin", "chevron", "natte"]
COTE, VUE, N_VUES = 32, 20, 3


# ---------- données ----------

def dessine(armure, alea):
    lig, col = np.mgrid[0:COTE, 0:COTE]
    pas = alea.integers(2, 4)
    lig, col = (lig + alea.integers(0, 24)) // pas, (col + alea.integers(0, 24)) // pas
    if armure == "toile":
        motif = (lig + col) % 2
    elif armure == "serge":
        motif = (lig + col) % 4 < 2
    elif armure == "satin":
        motif = (lig * 2 + col) % 5 == 0
    elif armure == "chevron":
        motif = (lig + np.abs(col % 6 - 3)) % 4 < 2
    else:
        motif = (lig // 2 + col // 2) % 2
    image = motif * alea.uniform(0.25, 0.7) + alea.uniform(0.1, 0.3)
    lumiere = np.linspace(alea.uniform(-0.2, 0.2), alea.uniform(-0.2, 0.2), COTE)
    return (image + lumiere[:, None] + alea.normal(0, 0.38, image.shape)).astype(np.float32)


class Echantillons(Dataset):
    def __init__(self, nombre, graine):
        alea = np.random.default_rng(graine)
        self.etiquettes = alea.integers(0, len(ARMURES), nombre)
        self.images = np.stack([dessine(ARMURES[k], alea) for k in self.etiquettes])
        self.moyenne, self.ecart = self.images.mean(), self.images.std()

    def normalise(self, moyenne, ecart):
        self.moyenne, self.ecart = moyenne, ecart
        return self

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        image = torch.from_numpy((self.images[i] - self.moyenne) / self.ecart)
        return image[None], int(self.etiquettes[i])


# ---------- petites briques ----------

class ConvNormRelu(nn.Module):
    def __init__(self, entree, sortie, pas=1):
        super().__init__()
        self.conv = nn.Conv2d(entree, sortie, 3, stride=pas, padding=1, bias=False)
        self.norme = nn.BatchNorm2d(sortie)

    def forward(self, x):
        return F.relu(self.norme(self.conv(x)))


class Residuel(nn.Module):
    def __init__(self, canaux):
        super().__init__()
        self.a = ConvNormRelu(canaux, canaux)
        self.b = nn.Conv2d(canaux, canaux, 3, padding=1, bias=False)
        self.norme = nn.BatchNorm2d(canaux)

    def forward(self, x):
        return F.relu(x + self.norme(self.b(self.a(x))))


class ReseauTextile(nn.Module):
    """Accepte toute taille d'image : la moyenne spatiale précède la couche linéaire."""

    def __init__(self, classes):
        super().__init__()
        self.tronc = nn.Sequential(ConvNormRelu(1, 12), ConvNormRelu(12, 24, pas=2), Residuel(24))
        self.tete = nn.Linear(24, classes)

    def forward(self, x):
        return self.tete(self.tronc(x).mean(dim=(2, 3)))


# ---------- vues locales ----------

def vues_locales(lot, nombre=N_VUES):
    """Découpe `nombre` fenêtres au hasard dans le lot ; rend un seul grand lot de fenêtres."""
    fenetres = []
    for _ in range(nombre):
        h, g = torch.randint(0, COTE - VUE + 1, (2,)).tolist()
        fenetres.append(lot[:, :, h:h + VUE, g:g + VUE])
    return torch.stack(fenetres).flatten(0, 1)


def une_epoque(reseau, chargeur, optimiseur):
    reseau.train()
    cumul = 0.0
    for lot, etiquettes in chargeur:
        vues = vues_locales(lot)
        perte = F.cross_entropy(reseau(vues), etiquettes.repeat(N_VUES))
        optimiseur.zero_grad()
        perte.backward()
        optimiseur.step()
        cumul += perte.item()
    return cumul / len(chargeur)


@torch.no_grad()
def exactitude(reseau, chargeur):
    reseau.eval()
    justes = sum(int((reseau(lot).argmax(1) == e).sum()) for lot, e in chargeur)
    return justes / len(chargeur.dataset)


def principal():
    torch.manual_seed(5)
    apprentissage = Echantillons(800, graine=50)
    stats = apprentissage.moyenne, apprentissage.ecart
    validation = Echantillons(200, graine=51).normalise(*stats)
    epreuve = Echantillons(500, graine=52).normalise(*stats)
    ch_app = DataLoader(apprentissage, batch_size=40, shuffle=True, drop_last=True)
    ch_val, ch_epr = DataLoader(validation, batch_size=100), DataLoader(epreuve, batch_size=100)

    reseau = ReseauTextile(len(ARMURES))
    optimiseur = optim.RMSprop(reseau.parameters(), lr=2e-3)
    baisse = optim.lr_scheduler.MultiStepLR(optimiseur, milestones=[5, 7], gamma=0.3)
    for epoque in range(8):
        perte = une_epoque(reseau, ch_app, optimiseur)
        baisse.step()
        print(f"époque {epoque + 1} : perte {perte:.3f}, validation {exactitude(reseau, ch_val):.3f}")
    print(f"exactitude finale sur l'épreuve : {exactitude(reseau, ch_epr):.4f}")


if __name__ == "__main__":
    principal()
