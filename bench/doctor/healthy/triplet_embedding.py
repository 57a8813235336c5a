import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
shapes = torch.randn(6, 1, 14, 14)


def photos(y):
    return 0.6 * shapes[y] + torch.randn(len(y), 1, 14, 14)


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 16, 3, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(128, 16)
        )

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


model = Embed()
criterion = nn.TripletMarginLoss(margin=0.5)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for step in range(200):
    a = torch.randint(0, 6, (32,))
    n = (a + torch.randint(1, 6, (32,))) % 6
    loss = criterion(model(photos(a)), model(photos(a)), model(photos(n)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(step, loss.item())

model.eval()
with torch.no_grad():
    gallery_y = torch.arange(6).repeat(20)
    gallery = model(photos(gallery_y))
    query_y = torch.randint(0, 6, (300,))
    nearest = torch.cdist(model(photos(query_y)), gallery).argmin(1)
print("accuracy: %.4f" % (gallery_y[nearest] == query_y).float().mean().item())
