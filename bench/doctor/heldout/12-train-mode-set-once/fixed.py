import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(9)
n_train, n_val, C = 1000, 400, 6


def rings(n):
    t = torch.arange(20).float()
    y = torch.randint(0, C, (n,))
    cy, cx = 7 + 6 * torch.rand(n, 1, 1), 7 + 6 * torch.rand(n, 1, 1)
    r = ((t[None, :, None] - cy) ** 2 + (t[None, None, :] - cx) ** 2).sqrt()
    ring = torch.exp(-((r - (1.0 + y[:, None, None])) ** 2))
    return (ring + 0.6 * torch.randn(n, 20, 20))[:, None], y


class RingNet(nn.Module):
    def __init__(self):
        super(RingNet, self).__init__()
        self.conv_a = nn.Conv2d(1, 12, 3, padding=1, bias=False)
        self.norm_a = nn.BatchNorm2d(12)
        self.conv_b = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.norm_b = nn.BatchNorm2d(24)
        self.drop = nn.Dropout(0.4)
        self.lin = nn.Linear(24 * 25, C)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm_a(self.conv_a(x))), 2)
        x = F.max_pool2d(F.relu(self.norm_b(self.conv_b(x))), 2)
        return self.lin(self.drop(x.flatten(1)))


images, labels = rings(n_train)
val_images, val_labels = rings(n_val)
model = RingNet()
optim = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)

for epoch in range(15):
    model.train()
    shuffled = torch.randperm(n_train)
    for k in range(0, n_train, 25):
        part = shuffled[k : k + 25]
        optim.zero_grad()
        loss = F.cross_entropy(model(images[part]), labels[part])
        loss.backward()
        optim.step()

    model.eval()
    with torch.no_grad():
        logits = model(val_images)
    val_loss = F.cross_entropy(logits, val_labels).item()
    val_acc = (logits.argmax(1) == val_labels).float().mean().item()
    print("epoch {:2d} train {:.3f} val {:.3f} acc {:.3f}".format(epoch, loss.item(), val_loss, val_acc))

print("accuracy: {:.4f}".format(val_acc))
