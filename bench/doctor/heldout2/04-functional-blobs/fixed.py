# Where is the coloured blob? A net without nn.Module: parameters in a dict, forward as a function.
import numpy as np
import torch
import torch.nn.functional as F

rng = np.random.RandomState(11)
torch.manual_seed(11)


def blobs(n):
    # 3 x 3 grid cells; one blob of random colour sits in one of them, plus a fainter grey distractor
    labels = rng.randint(0, 9, n)
    other = (labels + rng.randint(1, 9, n)) % 9
    yy, xx = np.mgrid[0:27, 0:27]
    out = rng.normal(0, 0.35, (n, 3, 27, 27)).astype(np.float32)
    for i in range(n):
        for cell, gain in ((labels[i], 1.0), (other[i], 0.0)):
            cy = cell // 3 * 9 + rng.uniform(2.5, 6.5)
            cx = cell % 3 * 9 + rng.uniform(2.5, 6.5)
            bump = np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 6.0)
            if gain:
                colour = rng.dirichlet([0.5, 0.5, 0.5]) * 2.4
            else:
                colour = np.full(3, 0.8)
            out[i] += (colour[:, None, None] * bump).astype(np.float32)
    return torch.from_numpy(out), torch.from_numpy(labels).long()


def he(*shape):
    fan_in = int(np.prod(shape[1:]))
    return (torch.randn(*shape) * (2.0 / fan_in) ** 0.5).requires_grad_()


P = {
    "w1": he(16, 3, 3, 3),
    "b1": torch.zeros(16, requires_grad=True),
    "w2": he(32, 16, 3, 3),
    "b2": torch.zeros(32, requires_grad=True),
    "w3": he(9, 32 * 6 * 6),
    "b3": torch.zeros(9, requires_grad=True),
}


def net(x, p):
    x = F.max_pool2d(F.relu(F.conv2d(x, p["w1"], p["b1"], padding=1)), 2)
    x = F.max_pool2d(F.relu(F.conv2d(x, p["w2"], p["b2"], padding=1)), 2)
    return F.linear(x.flatten(1), p["w3"], p["b3"])


xtr, ytr = blobs(2000)
xva, yva = blobs(500)
mu, sd = xtr.mean(dim=(0, 2, 3), keepdim=True), xtr.std(dim=(0, 2, 3), keepdim=True)
xtr, xva = (xtr - mu) / sd, (xva - mu) / sd

optim = torch.optim.SGD(list(P.values()), lr=0.03, momentum=0.9)
for epoch in range(6):
    seen = 0.0
    for idx in torch.randperm(2000).split(100):
        loss = F.cross_entropy(net(xtr[idx], P), ytr[idx])
        optim.zero_grad()
        loss.backward()
        optim.step()
        seen += loss.item() * len(idx)
    with torch.no_grad():
        acc = (net(xva, P).argmax(1) == yva).float().mean().item()
    print("epoch %d  loss %.4f  val acc %.3f" % (epoch, seen / 2000, acc))
print("accuracy: %.3f" % acc)
