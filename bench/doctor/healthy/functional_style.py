import torch
import torch.nn.functional as F

torch.manual_seed(0)


def he(*shape):
    fan = torch.tensor(shape[1:]).prod().item()
    return (torch.randn(shape) * (2 / fan) ** 0.5).requires_grad_()


theta = [
    he(16, 1, 3, 3),
    torch.zeros(16, requires_grad=True),
    he(32, 16, 3, 3),
    torch.zeros(32, requires_grad=True),
    he(5, 512),
    torch.zeros(5, requires_grad=True),
]


def net(x, w1, b1, w2, b2, w3, b3):
    x = F.max_pool2d(F.relu(F.conv2d(x, w1, b1, padding=1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, w2, b2, padding=1)), 2)
    return F.linear(x.flatten(1), w3, b3)


p = torch.randn(5, 1, 16, 16)
y = torch.randint(0, 5, (1500,))
x = 0.35 * p[y] + torch.randn(1500, 1, 16, 16)
lr = 0.05
for epoch in range(4):
    for i in torch.randperm(1200).split(40):
        loss = F.cross_entropy(net(x[i], *theta), y[i])
        grads = torch.autograd.grad(loss, theta)
        with torch.no_grad():
            for t, g in zip(theta, grads):
                t -= lr * g
    print(epoch, loss.item())
with torch.no_grad():
    print("accuracy: %.4f" % (net(x[1200:], *theta).argmax(1) == y[1200:]).float().mean().item())
