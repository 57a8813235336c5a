from __future__ import print_function
import argparse
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from scipy.ndimage import gaussian_filter

# Cortezas de cinco árboles; el inventario del bosque manda: hay muchos pinos y pocos olivos.
ESPECIES = ['pino', 'roble', 'abedul', 'haya', 'olivo']
CANTIDAD = {'train': (480, 240, 130, 80, 60), 'val': (160, 80, 44, 27, 20), 'test': (320, 160, 88, 54, 40)}


def corteza(k, rng, lado=28):
    ruido = rng.standard_normal((lado, lado))
    s = rng.uniform(0.85, 1.2)
    if k == 0:      # placas alargadas
        t = gaussian_filter(ruido, (3.0 * s, 1.0 * s))
    elif k == 1:    # grietas más finas e irregulares
        t = np.abs(gaussian_filter(ruido, (2.4 * s, 1.0 * s)))
    elif k == 2:    # rayas horizontales
        t = gaussian_filter(ruido, (0.8 * s, 2.6 * s))
    elif k == 3:    # casi lisa
        t = gaussian_filter(ruido, 2.0 * s)
    else:           # nudos
        t = np.abs(gaussian_filter(ruido, 1.6 * s))
    t = (t - t.mean()) / t.std()
    img = rng.uniform(0.35, 0.65) + rng.uniform(0.08, 0.18) * t
    img += rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, lado)[None, :]
    img += rng.normal(0, 0.09, img.shape)
    return img.clip(0, 1)


def conjunto(parte, rng):
    y = np.repeat(np.arange(len(ESPECIES)), CANTIDAD[parte])
    x = np.stack([corteza(k, rng) for k in y]).astype(np.float32)
    return torch.from_numpy((x[:, None] - 0.5) / 0.2), torch.from_numpy(y)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 32, 3, 1)
        self.conv3 = nn.Conv2d(32, 32, 3, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc = nn.Linear(64, len(ESPECIES))

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(x, 2)
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = F.relu(self.conv3(x))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        return self.fc(self.dropout(x))


def train(model, train_loader, optimizer, epoch):
    model.train()
    total = 0.
    for data, target in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(target)
    print('Época {:2d}  pérdida {:.4f}'.format(epoch, total / len(train_loader.dataset)), end='  ')


def confusion(model, loader):
    """Matriz de confusión, cm[verdadera, predicha], y pérdida media."""
    model.eval()
    cm = torch.zeros(len(ESPECIES), len(ESPECIES))
    loss = 0.
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += F.cross_entropy(output, target, reduction='sum').item()
            pred = output.argmax(dim=1)
            cm += torch.bincount(target * len(ESPECIES) + pred, minlength=cm.numel()).view_as(cm)
    return cm, loss / len(loader.dataset)


def exactitud_por_clase(cm):
    """Fracción de aciertos de cada especie; su media no depende de cuántos pinos haya."""
    return cm.diag() / cm.sum(dim=0).clamp(min=1)


def main():
    parser = argparse.ArgumentParser(description='Cortezas')
    parser.add_argument('--batch-size', type=int, default=30, metavar='N')
    parser.add_argument('--epochs', type=int, default=12, metavar='N')
    parser.add_argument('--lr', type=float, default=3e-3, metavar='LR')
    parser.add_argument('--seed', type=int, default=1, metavar='S')
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    sets = {parte: torch.utils.data.TensorDataset(*conjunto(parte, rng)) for parte in CANTIDAD}
    train_loader = torch.utils.data.DataLoader(sets['train'], batch_size=args.batch_size, shuffle=True)
    val_loader = torch.utils.data.DataLoader(sets['val'], batch_size=110)
    test_loader = torch.utils.data.DataLoader(sets['test'], batch_size=110)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    best, state = float('inf'), None
    for epoch in range(1, args.epochs + 1):
        train(model, train_loader, optimizer, epoch)
        cm, loss = confusion(model, val_loader)
        print('validación: pérdida {:.4f}, exactitud equilibrada {:.3f}'.format(
            loss, exactitud_por_clase(cm).mean().item()))
        if loss < best:
            best, state = loss, {k: v.clone() for k, v in model.state_dict().items()}

    model.load_state_dict(state)
    cm, loss = confusion(model, test_loader)
    aciertos = exactitud_por_clase(cm)
    for nombre, a in zip(ESPECIES, aciertos.tolist()):
        print('  {:8s} {:.3f}'.format(nombre, a))
    print('Prueba: exactitud equilibrada {:.4f}'.format(aciertos.mean().item()))


if __name__ == '__main__':
    main()
