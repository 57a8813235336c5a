import torch
import torch.nn as nn
from torch.nn.functional import cross_entropy

torch.manual_seed(4)


def camera(n):
    """uint8 frames, 3 x 16 x 16, with one of five coloured stripes."""
    kind = torch.randint(0, 5, (n,))
    frames = torch.randint(0, 130, (n, 3, 16, 16), dtype=torch.uint8)
    for i, k in enumerate(kind.tolist()):
        at = int(torch.randint(2, 11, (1,)))
        if k < 3:
            frames[i, k, at : at + 3, :] += 90
        else:
            frames[i, k - 3, :, at : at + 3] += 90
    return frames, kind


class StripeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.fc = nn.Linear(256, 5)

    def forward(self, frames):
        return self.fc(self.backbone(frames).flatten(1))


frames, kind = camera(1500)
frames = (frames / 255).float()
test_frames, test_kind = camera(400)
test_frames = (test_frames / 255).float()

net = StripeNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(4):
    net.train()
    for batch in torch.randperm(len(frames)).chunk(40):
        optimizer.zero_grad()
        loss = cross_entropy(net(frames[batch]), kind[batch])
        loss.backward()
        optimizer.step()
    print("loss after epoch", epoch, "is", loss.item())

net.eval()
with torch.no_grad():
    guess = net(test_frames).argmax(1)
print("accuracy: %.4f" % (guess == test_kind).float().mean().item())
