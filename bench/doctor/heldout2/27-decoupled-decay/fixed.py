import math

import torch
from torch import nn
from torch.nn.functional import cross_entropy, gelu

torch.manual_seed(1)


class SepConv(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.dw = nn.Conv2d(c_in, c_in, 5, stride, 2, groups=c_in, bias=False)
        self.pw = nn.Conv2d(c_in, c_out, 1, bias=False)
        self.norm = nn.BatchNorm2d(c_out)

    def forward(self, x):
        return gelu(self.norm(self.pw(self.dw(x))))


class MobileTiny(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.stem = nn.Conv2d(2, 12, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(12)
        self.stages = nn.Sequential(SepConv(12, 24, 2), SepConv(24, 32, 2))
        self.classifier = nn.Linear(32, n_classes)

    def forward(self, x):
        x = gelu(self.stem_norm(self.stem(x)))
        return self.classifier(self.stages(x).mean(dim=(2, 3)))


def optical_flow(n):
    """Two-channel flow fields: expansion, contraction, left/right turn, translation, shear."""
    y = torch.randint(6, (n,))
    u = torch.linspace(-1, 1, 16)
    yy, xx = torch.meshgrid(u, u, indexing="ij")
    cy, cx = (0.8 * (torch.rand(2, n, 1, 1) - 0.5)).unbind(0)
    dy, dx = yy - cy, xx - cx
    a = 2 * math.pi * torch.rand(n, 1, 1)
    fields = torch.stack(
        [
            torch.stack([dx, dy], 1),
            torch.stack([-dx, -dy], 1),
            torch.stack([-dy, dx], 1),
            torch.stack([dy, -dx], 1),
            torch.stack([a.cos().expand_as(dx), a.sin().expand_as(dx)], 1),
            torch.stack([dy, dx], 1),
        ]
    )
    x = fields[y, torch.arange(n)] * (0.6 + torch.rand(n, 1, 1, 1))
    return (x + 0.6 * torch.randn_like(x)) / 0.9, y


x_train, y_train = optical_flow(1200)
x_val, y_val = optical_flow(300)
model = MobileTiny(6)

matrices = [p for p in model.parameters() if p.ndim > 1]
vectors = [p for p in model.parameters() if p.ndim == 1]
optimizer = torch.optim.AdamW(
    [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}], lr=3e-3
)
EPOCHS, BATCH = 6, 40
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=EPOCHS * len(x_train) // BATCH)

for epoch in range(1, EPOCHS + 1):
    model.train()
    for idx in torch.randperm(len(x_train)).split(BATCH):
        loss = cross_entropy(model(x_train[idx]), y_train[idx])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()  # one cycle counts batches
    model.eval()
    with torch.inference_mode():
        accuracy = (model(x_val).argmax(-1) == y_val).float().mean().item()
    print(f"{epoch}/{EPOCHS} loss={loss.item():.3f} val={accuracy:.3f} lr={scheduler.get_last_lr()[0]:.2e}")
print(f"accuracy: {accuracy:.3f}")
