import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


def cnn(width):
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(width * 9, 6),
    )


def kd_loss(student, teacher, y, T=3.0, alpha=0.5):
    soft = F.kl_div(F.log_softmax(student / T, 1), F.softmax(teacher / T, 1), reduction="batchmean") * T * T
    return alpha * soft + (1 - alpha) * F.cross_entropy(student, y)


torch.manual_seed(0)
p = torch.randn(6, 1, 12, 12)
y = torch.randint(0, 6, (1800,))
x = p[y] * 0.5 + torch.randn(1800, 1, 12, 12)
loader = DataLoader(TensorDataset(x[:1400], y[:1400]), batch_size=50, shuffle=True)

teacher = cnn(24)
opt = torch.optim.Adam(teacher.parameters(), lr=3e-3)
for _ in range(3):
    teacher.train()
    for xb, yb in loader:
        opt.zero_grad()
        F.cross_entropy(teacher(xb), yb).backward()
        opt.step()

teacher.eval()
student = cnn(6)
opt = torch.optim.Adam(student.parameters(), lr=3e-3)
for epoch in range(4):
    student.train()
    for xb, yb in loader:
        with torch.no_grad():
            target = teacher(xb)
        loss = kd_loss(student(xb), target, yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, loss.item())
student.eval()
with torch.no_grad():
    print("accuracy: %.4f" % (student(x[1400:]).argmax(1) == y[1400:]).float().mean().item())
