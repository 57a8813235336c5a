"""Reconhecimento de motivos de azulejo.

Cada azulejo é cortado em quatro quadrantes; a mesma rede olha para cada um deles
e o painel decide em conjunto (média dos quatro votos).
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

MOTIVOS = ["cruz", "losango", "circulo", "xadrez", "ondas", "estrela", "diagonal", "moldura"]
LADO = 28
SEMENTE = 11


def desenhar(motivo, rng):
    yy, xx = np.mgrid[:LADO, :LADO].astype(np.float64)
    cx, cy = LADO / 2 + rng.uniform(-2.5, 2.5, 2)
    u, v = xx - cx, yy - cy
    traco = rng.uniform(1.2, 2.4)
    raio = rng.uniform(6.0, 11.0)
    if motivo == "cruz":
        m = (abs(u) < traco) | (abs(v) < traco)
    elif motivo == "losango":
        m = abs(abs(u) + abs(v) - raio) < traco
    elif motivo == "circulo":
        m = abs(np.hypot(u, v) - raio) < traco
    elif motivo == "xadrez":
        p = rng.uniform(3.5, 6.0)
        m = (np.floor(u / p) + np.floor(v / p)) % 2 == 0
    elif motivo == "ondas":
        m = np.sin(v / 1.5 + 2 * np.sin(u / 4 + rng.uniform(0, 6))) > 0.3
    elif motivo == "estrela":
        m = (abs(u) * abs(v) < raio * traco / 2) & (np.hypot(u, v) < raio + 2)
    elif motivo == "diagonal":
        m = (abs(u - v) < 1.4 * traco) | (abs(u + v) < 1.4 * traco)
    else:
        m = abs(np.maximum(abs(u), abs(v)) - raio) < traco
    fundo = rng.uniform(0.6, 1.0, 3)
    tinta = np.array([0.15, 0.3, 0.6]) + rng.normal(0, 0.12, 3)
    img = np.where(m[..., None], tinta, fundo)
    img = img * (1 + rng.uniform(-0.3, 0.3) * u / LADO)[..., None]
    img = img + rng.normal(0, 0.2, img.shape)
    return img.clip(0, 1).transpose(2, 0, 1)


def gerar(n, semente):
    rng = np.random.default_rng(semente)
    y = rng.permutation(np.arange(n) % len(MOTIVOS))
    x = np.stack([desenhar(MOTIVOS[k], rng) for k in y]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class Painel(nn.Module):
    """Uma rede pequena partilhada pelos quatro quadrantes."""

    def __init__(self, n_classes, largura=20):
        super().__init__()
        self.extrator = nn.Sequential(
            nn.Conv2d(3, largura, 3, padding=1), nn.ReLU(),
            nn.Conv2d(largura, largura, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(largura, 2 * largura, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.cabeca = nn.Linear(2 * largura * 3 * 3, n_classes)

    def forward(self, x):
        n, q = x.size(0), LADO // 2
        quadrantes = x.unfold(2, q, q).unfold(3, q, q).permute(0, 2, 3, 1, 4, 5)
        f = self.extrator(quadrantes.reshape(n * 4, 3, q, q))
        votos = self.cabeca(f).view(n, 4, -1)
        return votos.mean(dim=1)


@torch.no_grad()
def avaliar(rede, lotes):
    rede.eval()
    certos = total = 0
    for x, y in lotes:
        certos += (rede(x).argmax(1) == y).sum().item()
        total += len(y)
    return certos / total


def main():
    torch.manual_seed(SEMENTE)
    x_tr, y_tr = gerar(1600, 1)
    x_te, y_te = gerar(600, 2)
    media, desvio = x_tr.mean((0, 2, 3), keepdim=True), x_tr.std((0, 2, 3), keepdim=True)
    treino = DataLoader(TensorDataset((x_tr - media) / desvio, y_tr), batch_size=40, shuffle=True)
    teste = DataLoader(TensorDataset((x_te - media) / desvio, y_te), batch_size=200)

    rede = Painel(len(MOTIVOS))
    criterio = nn.CrossEntropyLoss()
    epocas = 7
    otim = torch.optim.SGD(rede.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    agenda = torch.optim.lr_scheduler.CosineAnnealingLR(otim, T_max=epocas * len(treino))

    for epoca in range(1, epocas + 1):
        rede.train()
        soma = 0.0
        for x, y in treino:
            otim.zero_grad()
            perda = criterio(rede(x), y)
            perda.backward()
            otim.step()
            agenda.step()
            soma += perda.item() * len(y)
        print(f"época {epoca}: perda {soma / len(y_tr):.3f}")
    print(f"acerto no teste: {avaliar(rede, teste):.4f}")


if __name__ == "__main__":
    main()
