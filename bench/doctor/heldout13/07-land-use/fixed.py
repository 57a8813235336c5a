from __future__ import print_function
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from scipy.ndimage import gaussian_filter
from torch.optim.lr_scheduler import StepLR

NAMES = ['water', 'forest', 'cropland', 'suburb', 'industry', 'bare']
BATCH, TEST_BATCH, EPOCHS, LOG_INTERVAL, SIDE = 32, 100, 10, 12, 22


def tile(name, g):
    """One RGB tile; colours vary with season and haze, so texture has to help."""
    noise = g.normal(size=(SIDE, SIDE))
    tone = {'water': (.22, .32, .42), 'forest': (.22, .36, .22), 'cropland': (.42, .46, .28),
            'suburb': (.40, .42, .36), 'industry': (.46, .46, .46), 'bare': (.48, .42, .34)}[name]
    rgb = np.ones((3, SIDE, SIDE)) * (np.array(tone) + g.normal(0, .05, 3))[:, None, None]
    y, x = np.mgrid[0:SIDE, 0:SIDE]
    if name == 'water':
        rgb += .25 * gaussian_filter(noise, 4)
    elif name == 'forest':
        rgb += .16 * gaussian_filter(noise, 1)
    elif name == 'cropland':
        a = g.uniform(0, np.pi)
        rgb += .06 * np.sin(g.uniform(1.0, 1.7) * (x * np.cos(a) + y * np.sin(a)))
        if g.random() < .5:
            rgb[:, :, g.integers(6, 16):] -= .06
    elif name == 'suburb':
        for _ in range(g.integers(8, 14)):
            r, c = g.integers(0, SIDE - 2, 2)
            rgb[:, r:r + 2, c:c + 2] += g.uniform(.08, .2)
        rgb[:, :, g.integers(0, SIDE)] += .12
    elif name == 'industry':
        for _ in range(g.integers(2, 4)):
            r, c = g.integers(0, SIDE - 9, 2)
            h, w = g.integers(5, 10, 2)
            rgb[:, r:r + h, c:c + w] += g.uniform(.12, .25)
    else:
        rgb += .3 * gaussian_filter(noise, 2.5)
    haze = g.uniform(0, .3)
    rgb = rgb * (1 - haze) + .6 * haze
    return rgb + g.normal(0, .045, rgb.shape)


def tiles(per_class, g):
    data = np.stack([tile(n, g) for n in NAMES for _ in range(per_class)])
    return torch.tensor(data, dtype=torch.float), torch.arange(len(NAMES)).repeat_interleave(per_class)


class Trunk(nn.Module):
    def __init__(self):
        super(Trunk, self).__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.conv3 = nn.Conv2d(32, 48, 3, padding=1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        return x.mean((2, 3))


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.trunk = Trunk()
        self.fc = nn.Linear(48, len(NAMES))

    def forward(self, x):
        return F.log_softmax(self.fc(self.trunk(x)), dim=1)


def train(model, loader, opt_trunk, opt_fc, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        opt_trunk.zero_grad()
        opt_fc.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        opt_trunk.step()
        opt_fc.step()
        if batch_idx % LOG_INTERVAL == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, batch_idx * len(data), len(loader.dataset), loss.item()))


def test(model, loader, name):
    model.eval()
    loss, correct = 0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            loss += F.nll_loss(output, target, reduction='sum').item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(loader.dataset)
    print('{}: average loss {:.4f}, correct {}/{}, accuracy {:.4f}'.format(name, loss / n, correct, n, correct / n))
    return loss / n


def main():
    torch.manual_seed(1)
    g = np.random.default_rng(1)
    sets = {'train': tiles(220, g), 'validation': tiles(50, g), 'test': tiles(80, g)}
    mean = sets['train'][0].mean((0, 2, 3), keepdim=True)
    std = sets['train'][0].std((0, 2, 3), keepdim=True)
    loaders = {}
    for key, (x, y) in sets.items():
        dataset = torch.utils.data.TensorDataset((x - mean) / std, y)
        loaders[key] = torch.utils.data.DataLoader(
            dataset, batch_size=BATCH if key == 'train' else TEST_BATCH, shuffle=(key == 'train'))

    model = Net()
    opt_trunk = optim.SGD(model.trunk.parameters(), lr=0.1, momentum=0.8)
    opt_fc = optim.Adam(model.fc.parameters(), lr=2e-3)
    schedulers = [StepLR(o, step_size=1, gamma=0.85) for o in (opt_trunk, opt_fc)]
    lowest, keep = float('inf'), None
    for epoch in range(1, EPOCHS + 1):
        train(model, loaders['train'], opt_trunk, opt_fc, epoch)
        loss = test(model, loaders['validation'], 'Validation')
        for s in schedulers:
            s.step()
        if loss < lowest:
            lowest, keep = loss, {k: v.clone() for k, v in model.state_dict().items()}
    model.load_state_dict(keep)
    test(model, loaders['test'], 'Test')


if __name__ == '__main__':
    main()
