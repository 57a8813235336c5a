from __future__ import print_function
import argparse
import os
import tempfile

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter
from torch.optim.lr_scheduler import StepLR

FORMAS = ['convexo', 'conico', 'plano', 'funil']


def desenhar(forma, rng):
    """Um cogumelo de 32x32 pixels, desenhado com o dobro do tamanho e reduzido."""
    fundo = tuple(int(v) for v in rng.integers(20, 100, 3))
    img = Image.new('RGB', (64, 64), fundo)
    d = ImageDraw.Draw(img)
    for _ in range(4):  # folhas no chão
        x, y = rng.integers(0, 64, 2)
        cor = tuple(int(v) for v in rng.integers(20, 120, 3))
        d.ellipse([x, y, x + rng.integers(3, 12), y + rng.integers(2, 7)], fill=cor)
    cor = tuple(int(v) for v in rng.integers([150, 50, 30], [250, 190, 150]))
    pe = tuple(int(v) for v in rng.integers(150, 240, 3))
    cx, cy = 32 + rng.integers(-8, 9), 30 + rng.integers(-7, 8)
    w, h = rng.integers(12, 20), rng.integers(8, 15)
    lp = rng.integers(2, 5)
    d.rectangle([cx - lp, cy, cx + lp, cy + rng.integers(16, 26)], fill=pe)
    if forma == 'convexo':
        d.pieslice([cx - w, cy - h, cx + w, cy + h], 180, 360, fill=cor)
    elif forma == 'conico':
        d.polygon([(cx - w, cy), (cx, cy - h - 3), (cx + w, cy)], fill=cor)
    elif forma == 'plano':
        d.rounded_rectangle([cx - w, cy - h // 2, cx + w, cy], 3, fill=cor)
    else:
        d.polygon([(cx - w, cy - h), (cx + w, cy - h), (cx + lp, cy + 4), (cx - lp, cy + 4)], fill=cor)
    img = img.rotate(rng.uniform(-25, 25), resample=Image.BILINEAR, fillcolor=fundo).resize((32, 32), Image.BILINEAR)
    a = np.asarray(img, float) * rng.uniform(0.6, 1.2) + rng.normal(0, 8, (32, 32, 3))
    return Image.fromarray(np.clip(a, 0, 255).astype(np.uint8))


def gravar(pasta, n, semente):
    rng = np.random.default_rng(semente)
    os.makedirs(pasta)
    for i in range(n):
        k = i % len(FORMAS)
        desenhar(FORMAS[k], rng).save(os.path.join(pasta, '%s_%04d.png' % (FORMAS[k], i)))


def variar(img):
    """Espelho, rotação, deslocamento e luz, sorteados."""
    if torch.rand(1).item() < 0.5:
        img = img.transpose(Image.FLIP_LEFT_RIGHT)
    ang, dx, dy, luz, cor = (torch.rand(5) * 2 - 1).tolist()
    img = img.rotate(18 * ang, resample=Image.BILINEAR, translate=(round(3 * dx), round(3 * dy)))
    img = ImageEnhance.Brightness(img).enhance(1 + 0.3 * luz)
    img = ImageEnhance.Color(img).enhance(1 + 0.5 * cor)
    if torch.rand(1).item() < 0.2:
        img = img.filter(ImageFilter.GaussianBlur(0.6))
    return img


class Cogumelos(torch.utils.data.Dataset):
    def __init__(self, pasta, transform=None):
        self.arquivos = sorted(os.path.join(pasta, f) for f in os.listdir(pasta))
        self.rotulos = [FORMAS.index(os.path.basename(f).split('_')[0]) for f in self.arquivos]
        self.transform = transform
        self.memoria = {}  # cada arquivo é lido do disco uma só vez

    def __len__(self):
        return len(self.arquivos)

    def _ler(self, i):
        return Image.open(self.arquivos[i]).convert('RGB')

    def __getitem__(self, i):
        if i not in self.memoria:
            img = self._ler(i)
            if self.transform is not None:
                img = self.transform(img)
            self.memoria[i] = img
        img = self.memoria[i]
        x = torch.from_numpy(np.array(img)).permute(2, 0, 1).float() / 255
        return (x - 0.24) / 0.15, self.rotulos[i]


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 4 * 4, 64)
        self.fc2 = nn.Linear(64, len(FORMAS))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        x = F.relu(self.fc1(torch.flatten(x, 1)))
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, loader, optimizer, epoch):
    model.train()
    acertos = 0
    for data, target in loader:
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        acertos += (output.argmax(1) == target).sum().item()
    if epoch % args.log_interval == 0:
        print('Época {:3d}\tperda do último lote {:.3f}\ttreino {:.3f}'.format(
            epoch, loss.item(), acertos / len(loader.dataset)))


def test(model, loader):
    model.eval()
    acertos = 0
    with torch.no_grad():
        for data, target in loader:
            acertos += (model(data).argmax(1) == target).sum().item()
    return acertos / len(loader.dataset)


def main():
    parser = argparse.ArgumentParser(description='Forma do chapéu de cogumelos')
    parser.add_argument('--batch-size', type=int, default=32)
    parser.add_argument('--epochs', type=int, default=40)
    parser.add_argument('--lr', type=float, default=2e-3)
    parser.add_argument('--gamma', type=float, default=0.3)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(args.seed)

    with tempfile.TemporaryDirectory() as raiz:
        gravar(os.path.join(raiz, 'treino'), 400, 1)
        gravar(os.path.join(raiz, 'teste'), 480, 2)
        treino = Cogumelos(os.path.join(raiz, 'treino'), transform=variar)
        teste = Cogumelos(os.path.join(raiz, 'teste'))
        train_loader = torch.utils.data.DataLoader(treino, batch_size=args.batch_size, shuffle=True)
        test_loader = torch.utils.data.DataLoader(teste, batch_size=120)

        model = Net()
        optimizer = optim.Adam(model.parameters(), lr=args.lr)
        scheduler = StepLR(optimizer, step_size=30, gamma=args.gamma)
        for epoch in range(1, args.epochs + 1):
            train(args, model, train_loader, optimizer, epoch)
            scheduler.step()
        print('Teste: acurácia {:.4f}'.format(test(model, test_loader)))


if __name__ == '__main__':
    main()
