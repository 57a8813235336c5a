from __future__ import print_function
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

COVER = ['cereal', 'maize', 'meadow', 'orchard', 'forest']
TILE, STRIDE = 20, 10


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(4, 24, 3, padding=1)
        self.conv2 = nn.Conv2d(24, 48, 3, padding=1)
        self.conv3 = nn.Conv2d(48, 48, 3, padding=1)
        self.dropout = nn.Dropout(0.3)
        self.fc1 = nn.Linear(48 * 5 * 5, 64)
        self.fc2 = nn.Linear(64, len(COVER))

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3(x))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        return F.log_softmax(self.fc2(x), dim=1)


def make_scene(rng, size=170, parcels=30):
    """One satellite scene (4 bands) of parcels, with its label map."""
    sites = rng.uniform(0, size, (parcels, 2))
    yy, xx = np.mgrid[:size, :size]
    parcel = cKDTree(sites).query(np.stack([yy, xx], -1).reshape(-1, 2))[1].reshape(size, size)
    cover = rng.permutation(np.arange(parcels) % len(COVER))
    base = np.array([[.30, .34, .24, .52], [.22, .34, .20, .60], [.24, .40, .22, .56], [.26, .33, .24, .50],
                     [.16, .26, .16, .44]])
    season = rng.normal(0, .03, 4)
    img = np.zeros((size, size, 4))
    for p in range(parcels):
        c, a = cover[p], rng.uniform(0, np.pi)
        along = xx * np.cos(a) + yy * np.sin(a)
        across = -xx * np.sin(a) + yy * np.cos(a)
        if c <= 1:
            tex = np.sin(2 * np.pi * along / ((3.2 if c == 0 else 4.6) * rng.lognormal(0, .17)))
        elif c == 3:
            gap = 5.0 * rng.lognormal(0, .15)
            tex = np.sin(2 * np.pi * along / gap) + np.sin(2 * np.pi * across / gap)
        else:
            tex = gaussian_filter(rng.normal(0, 1, (size, size)), 1.1 if c == 4 else 2.2)
            tex /= tex.std()
        colour = base[c] + rng.normal(0, .055, 4)
        look = colour + rng.uniform(.02, .06) * tex[..., None]
        img[parcel == p] = look[parcel == p]
    haze = gaussian_filter(rng.normal(0, 1, (size, size)), 25)
    img = img + season + .03 * (haze / haze.std())[..., None] + rng.normal(0, .025, img.shape)
    return img.astype(np.float32), cover[parcel]


def cut_tiles(img, labels, purity=.8):
    for r, top in enumerate(range(0, img.shape[0] - TILE + 1, STRIDE)):
        for c, left in enumerate(range(0, img.shape[1] - TILE + 1, STRIDE)):
            window = labels[top:top + TILE, left:left + TILE]
            counts = np.bincount(window.ravel(), minlength=len(COVER))
            if counts.max() >= purity * TILE * TILE:
                yield img[top:top + TILE, left:left + TILE], counts.argmax(), r, c


def load_data(n_scenes, seed):
    rng = np.random.default_rng(seed)
    tiles, targets, scenes, rows = [], [], [], []
    for s in range(n_scenes):
        for tile, label, r, c in cut_tiles(*make_scene(rng)):
            tiles.append(tile)
            targets.append(label)
            scenes.append(s)
            rows.append(r)
    tiles = torch.from_numpy(np.stack(tiles)).permute(0, 3, 1, 2).contiguous()
    targets, scenes, rows = torch.tensor(targets), torch.tensor(scenes), torch.tensor(rows)
    held_out = scenes % 4 == 3
    mean = tiles[~held_out].mean(dim=(0, 2, 3), keepdim=True)
    std = tiles[~held_out].std(dim=(0, 2, 3), keepdim=True)
    tiles = (tiles - mean) / std
    return (TensorDataset(tiles[~held_out], targets[~held_out]),
            TensorDataset(tiles[held_out], targets[held_out]))


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.6f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(test_loader.dataset)
    print('\nTest set: Average loss: {:.4f}, Correct: {}/{}, Accuracy: {:.4f}\n'.format(
        test_loss / n, correct, n, correct / n))


def main():
    parser = argparse.ArgumentParser(description='Land cover of satellite tiles')
    parser.add_argument('--batch-size', type=int, default=64)
    parser.add_argument('--test-batch-size', type=int, default=500)
    parser.add_argument('--epochs', type=int, default=14)
    parser.add_argument('--lr', type=float, default=1.5e-3)
    parser.add_argument('--gamma', type=float, default=0.85)
    parser.add_argument('--scenes', type=int, default=16)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--log-interval', type=int, default=20)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train_set, test_set = load_data(args.scenes, args.seed)
    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=args.test_batch_size)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        scheduler.step()
    test(model, test_loader)


if __name__ == '__main__':
    main()
