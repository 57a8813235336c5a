import torch
import torch.nn as nn
import torch.nn.functional as F


class AverageMeter(object):
    def __init__(self, name):
        self.name, self.sum, self.count = name, 0.0, 0

    def update(self, val, n=1):
        self.sum += val * n
        self.count += n

    @property
    def avg(self):
        return self.sum / self.count


def accuracy(output, target):
    _, pred = output.topk(2, dim=1)
    correct = pred.eq(target.view(-1, 1)).any(dim=1)
    return correct.float().mean().item()


def hues(n):
    """The class is one of ten hues, seen through noise and varying light."""
    label = torch.randint(0, 10, (n,))
    angle = label * 0.6283 + 0.22 * torch.randn(n)
    rgb = torch.stack([torch.cos(angle), torch.cos(angle - 2.094), torch.cos(angle + 2.094)], 1)
    light = 0.4 + 0.6 * torch.rand(n, 1, 1, 1)
    soft = F.avg_pool2d(torch.rand(n, 1, 18, 18), 3, 1) * 1.5
    return rgb[:, :, None, None] * light * soft + 0.5 * torch.randn(n, 3, 16, 16), label


class HueNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 20, 3, padding=1)
        self.conv2 = nn.Conv2d(20, 20, 3, padding=1, stride=2)
        self.fc = nn.Linear(20, 10)

    def forward(self, x):
        x = F.elu(self.conv1(x))
        x = F.elu(self.conv2(x))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def epoch_pass(model, x, y, optimizer=None):
    losses, top1 = AverageMeter("loss"), AverageMeter("acc")
    model.train() if optimizer else model.eval()
    order = torch.randperm(len(y)) if optimizer else torch.arange(len(y))
    with torch.set_grad_enabled(optimizer is not None):
        for idx in order.split(50):
            out = model(x[idx])
            loss = F.cross_entropy(out, y[idx])
            if optimizer:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            losses.update(loss.item(), len(idx))
            top1.update(accuracy(out.detach(), y[idx]), len(idx))
    return losses.avg, top1.avg


torch.manual_seed(10)
train, test = hues(1200), hues(600)
net = HueNet()
adam = torch.optim.Adam(net.parameters(), lr=4e-3)
for e in range(10):
    l, a = epoch_pass(net, *train, adam)
    vl, va = epoch_pass(net, *test)
    print(f"{e}  train loss {l:.3f}  test loss {vl:.3f}")
print(f"accuracy: {va:.3f}")
