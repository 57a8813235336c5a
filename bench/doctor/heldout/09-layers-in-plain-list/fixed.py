import torch
import torch.nn as nn

from nets import ConvBlock, flatten_pool


class StackedNet(nn.Module):
    def __init__(self, widths=(12, 16, 24, 24), num_classes=6):
        super().__init__()
        blocks = []
        last = 3
        for i, w in enumerate(widths):
            blocks.append(ConvBlock(last, w, stride=1 + i % 2))
            last = w
        self.blocks = nn.ModuleList(blocks)
        self.classifier = nn.Linear(last * 4, num_classes)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.classifier(flatten_pool(x))


def glyphs(n):
    """Six 3x3 glyphs pasted four times at random places, coloured at random."""
    base = torch.tensor(
        [
            [[1, 1, 1], [0, 1, 0], [0, 1, 0]],
            [[0, 1, 0], [0, 1, 0], [1, 1, 1]],
            [[1, 0, 0], [1, 1, 1], [1, 0, 0]],
            [[0, 0, 1], [1, 1, 1], [0, 0, 1]],
            [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
            [[0, 1, 0], [1, 0, 1], [0, 1, 0]],
        ]
    ).float()
    y = torch.randint(len(base), (n,))
    x = torch.randn(n, 3, 20, 20) * 0.3
    for i in range(n):
        for _ in range(4):
            r, c = torch.randint(0, 17, (2,)).tolist()
            x[i, :, r : r + 3, c : c + 3] += base[y[i]] * (torch.rand(3, 1, 1) + 0.7)
    return x, y


def main():
    torch.manual_seed(100)
    train_x, train_y = glyphs(1800)
    test_x, test_y = glyphs(600)
    net = StackedNet()
    opt = torch.optim.AdamW(net.parameters(), lr=4e-3, weight_decay=1e-4)
    lossf = nn.CrossEntropyLoss(label_smoothing=0.05)
    for epoch in range(12):
        net.train()
        for ids in torch.randperm(len(train_x)).split(36):
            opt.zero_grad(set_to_none=True)
            loss = lossf(net(train_x[ids]), train_y[ids])
            loss.backward()
            opt.step()
        print(f"epoch {epoch + 1}: last loss {loss:.3f}")
    net.eval()
    with torch.no_grad():
        acc = (net(test_x).argmax(dim=1) == test_y).double().mean().item()
    print(f"accuracy: {acc:.4f}")


if __name__ == "__main__":
    main()
