import torch
import torch.nn as nn
import torch.nn.functional as F


class AutoClassifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU())
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(24, 12, 2, 2), nn.ReLU(), nn.ConvTranspose2d(12, 1, 2, 2), nn.Sigmoid()
        )
        self.head = nn.Linear(24 * 16, classes)

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), self.head(z.flatten(1))


def rects(n):
    y = torch.randint(0, 4, (n,))
    x = torch.rand(n, 1, 16, 16) * 0.3
    for i in range(n):
        h, w = [(3, 9), (9, 3), (5, 5), (9, 9)][y[i]]
        r, c = int(torch.randint(0, 17 - h, (1,))), int(torch.randint(0, 17 - w, (1,)))
        x[i, 0, r : r + h, c : c + w] += 0.6
    return x, y


torch.manual_seed(0)
x, y = rects(1500)
xt, yt = rects(400)
model = AutoClassifier(4)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    for i in torch.randperm(1500).split(50):
        recon, logits = model(x[i])
        loss = F.cross_entropy(logits, y[i]) + F.mse_loss(recon, x[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(epoch, loss.item())
with torch.no_grad():
    _, logits = model(xt)
print("accuracy: %.4f" % (logits.argmax(1) == yt).float().mean().item())
