import torch
import torch.nn as nn
import torch.nn.functional as F


class Classifier(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 12, 3, padding=1)
        self.fc = nn.Linear(12 * 9, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        logits = self.fc(x.flatten(1))
        return logits if self.training else F.softmax(logits, dim=1)

    @torch.no_grad()
    def predict(self, x):
        self.eval()
        confidence, label = self(x).max(dim=1)
        return label, confidence


torch.manual_seed(0)
kinds = torch.randn(6, 2, 12, 12)
y = torch.randint(0, 6, (1600,))
x = kinds[y] * 0.4 + torch.randn(1600, 2, 12, 12)
model = Classifier(6)
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    model.train()
    for i in torch.randperm(1200).split(40):
        loss = F.cross_entropy(model(x[i]), y[i])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
label, confidence = model.predict(x[1200:])
print("mean confidence", confidence.mean().item())
print("accuracy: %.4f" % (label == y[1200:]).float().mean().item())
