import torch
import torch.nn as nn
import torch.nn.functional as F


def get_batch(size, generator):
    """Endless supply: number of equal discs (1-4) in the image decides the class."""
    yy, xx = torch.meshgrid(torch.arange(20.0), torch.arange(20.0), indexing="ij")
    n = torch.randint(1, 5, (size,), generator=generator)
    x = torch.zeros(size, 20, 20)
    centres = torch.tensor([[4.5, 4.5], [4.5, 14.5], [14.5, 4.5], [14.5, 14.5]])
    for i in range(size):
        for j in torch.randperm(4, generator=generator)[: n[i]]:
            cy, cx = centres[j] + torch.randn(2, generator=generator)
            x[i] += ((yy - cy) ** 2 + (xx - cx) ** 2 < 9).float()
    x = x + 0.4 * torch.randn(x.shape, generator=generator)
    return ((x - 0.2) / 0.5).unsqueeze(1), n - 1


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 16, 5, padding=2), nn.Conv2d(16, 16, 5, padding=2)
        self.fc = nn.Linear(16 * 25, 4)

    def forward(self, x):
        x = F.avg_pool2d(F.relu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def main(steps=600, batch_size=32, eval_every=100):
    torch.manual_seed(19)
    g = torch.Generator().manual_seed(20)
    heldout_x, heldout_y = get_batch(500, torch.Generator().manual_seed(21))
    model = Counter()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9)
    for step in range(1, steps + 1):
        model.train()
        x, y = get_batch(batch_size, g)
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % eval_every == 0:
            model.eval()
            with torch.no_grad():
                acc = (model(heldout_x).argmax(-1) == heldout_y).float().mean().item()
            print(f"step {step:5d}  loss {loss.item():.4f}  held-out {acc:.4f}")
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
