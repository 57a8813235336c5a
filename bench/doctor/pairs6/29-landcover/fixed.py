from __future__ import print_function
import argparse
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from scipy.ndimage import gaussian_filter
from torch.optim.lr_scheduler import StepLR

# Land cover from 24x24 tiles with three bands (near infrared, red, green)
COVER = ['water', 'forest', 'crops', 'meadow', 'built-up']
BASE = [(.22, .25, .30), (.52, .26, .32), (.57, .33, .36), (.60, .32, .38), (.40, .40, .40)]


class Tiles(torch.utils.data.Dataset):
    def __init__(self, n, seed):
        rng = np.random.RandomState(seed)
        self.targets = rng.randint(0, len(COVER), n)
        self.data = torch.stack([torch.from_numpy(self.tile(rng, c)) for c in self.targets])

    @staticmethod
    def tile(rng, c, s=24):
        yy, xx = np.mgrid[:s, :s]
        phi = rng.uniform(0, np.pi)
        if c == 0:
            tex = gaussian_filter(rng.randn(s, s), 4) * 2
        elif c == 1:
            tex = gaussian_filter(rng.randn(s, s), 0.8) * 2
        elif c == 2:
            tex = np.sign(np.sin((xx * np.cos(phi) + yy * np.sin(phi)) * rng.uniform(.7, 1.6) + rng.uniform(0, 6)))
        elif c == 3:
            tex = gaussian_filter(rng.randn(s, s), 2) * 4
        else:
            tex = np.kron(rng.randn(s // 4, s // 4), np.ones((4, 4)))
            tex = np.roll(tex, rng.randint(0, 4, 2), (0, 1))
        base = np.array(BASE[c]) + rng.normal(0, .04, 3) + rng.normal(0, .06)
        img = base[:, None, None] + tex * rng.uniform(.06, .13) * np.array([1.2, .8, .9])[:, None, None]
        mix = np.array(BASE[rng.randint(len(BASE))])[:, None, None]       # neighbouring field
        edge = (xx * np.sin(phi) - yy * np.cos(phi)) > rng.uniform(6, 16)
        img = np.where(edge, mix, img)
        return (img + rng.normal(0, .035, img.shape)).astype(np.float32)

    def normalize(self, mean, std):
        self.data = (self.data - mean) / std

    def __getitem__(self, index):
        return self.data[index], int(self.targets[index])

    def __len__(self):
        return len(self.targets)


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1)
        self.conv2 = nn.Conv2d(16, 24, 3, 1)
        self.conv3 = nn.Conv2d(24, 32, 3, 1)
        self.dropout = nn.Dropout(0.25)
        self.fc = nn.Linear(64, len(COVER))

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(x, 2)
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        x = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        x = self.dropout(x)
        return F.log_softmax(self.fc(x), dim=1)


def train(args, model, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            print('Train Epoch: {} [{}/{}]\tLoss: {:.4f}'.format(
                epoch, batch_idx * len(data), len(train_loader.dataset), loss.item()))


def test(model, test_loader, name):
    model.eval()
    test_loss = 0
    matrix = torch.zeros(len(COVER), len(COVER), dtype=torch.long)
    with torch.no_grad():
        for data, target in test_loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction='sum').item()
            pred = output.argmax(dim=1)
            matrix.index_put_((target, pred), torch.ones_like(target), accumulate=True)
    test_loss /= len(test_loader.dataset)
    accuracy = (matrix.diagonal().sum() / matrix.sum()).item()
    print('\n{}: Average loss: {:.4f}, Accuracy: {:.4f}\n'.format(name, test_loss, accuracy))
    return matrix, accuracy


def main():
    parser = argparse.ArgumentParser(description='Land cover example')
    parser.add_argument('--batch-size', type=int, default=32, metavar='N')
    parser.add_argument('--test-batch-size', type=int, default=24, metavar='N')
    parser.add_argument('--epochs', type=int, default=12, metavar='N')
    parser.add_argument('--lr', type=float, default=3e-3, metavar='LR')
    parser.add_argument('--gamma', type=float, default=0.8, metavar='M')
    parser.add_argument('--seed', type=int, default=1, metavar='S')
    parser.add_argument('--log-interval', type=int, default=20, metavar='N')
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    train_set, val_set, test_set = Tiles(1280, 10), Tiles(240, 20), Tiles(480, 30)
    mean = train_set.data.mean((0, 2, 3), keepdim=True)[0]
    std = train_set.data.std((0, 2, 3), keepdim=True)[0]
    for dataset in (train_set, val_set, test_set):
        dataset.normalize(mean, std)
    train_loader = torch.utils.data.DataLoader(train_set, batch_size=args.batch_size, shuffle=True)
    val_loader = torch.utils.data.DataLoader(val_set, batch_size=args.test_batch_size)
    test_loader = torch.utils.data.DataLoader(test_set, batch_size=args.test_batch_size)

    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=args.lr)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, train_loader, optimizer, epoch)
        test(model, val_loader, 'Validation set')
        scheduler.step()

    matrix, accuracy = test(model, test_loader, 'Test set')
    for name, row in zip(COVER, matrix.tolist()):
        print('{:>9}'.format(name), row)
    print('Accuracy: {:.4f}'.format(accuracy))


if __name__ == '__main__':
    main()
