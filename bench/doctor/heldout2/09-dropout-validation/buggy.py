# 彩色条纹分类：六种颜色/方向组合
import numpy as np
import torch
import torch.nn as nn
import torch.utils.data as data

SEED = 42
BATCH = 50
EPOCHS = 6


class StripeDataset(data.Dataset):
    """合成条纹图像。类别 = 方向(2) x 主颜色(3)"""

    def __init__(self, num, seed):
        rs = np.random.RandomState(seed)
        self.y = rs.randint(0, 6, size=num)
        pos = np.arange(20)
        self.x = np.zeros((num, 3, 20, 20), dtype=np.float32)
        for i, c in enumerate(self.y):
            wave = np.sin(pos * rs.uniform(0.7, 1.3) + rs.uniform(0, 6.28))
            img = np.tile(wave, (20, 1))
            if c % 2 == 1:
                img = img.T
            self.x[i, c // 2] += img
            # 其他通道里有较弱的干扰条纹
            self.x[i] += 0.3 * img.T
        self.x += rs.normal(0, 0.8, self.x.shape).astype(np.float32)

    def __getitem__(self, index):
        return torch.from_numpy(self.x[index]), int(self.y[index])

    def __len__(self):
        return len(self.y)


class Model(nn.Module):
    def __init__(self):
        super(Model, self).__init__()
        self.conv1 = nn.Conv2d(3, 12, 5, padding=2, bias=False)
        self.bn1 = nn.BatchNorm2d(12)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(24)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(24 * 5 * 5, 48)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(48, 6)

    def forward(self, x):
        x = self.pool(self.relu(self.bn1(self.conv1(x))))
        x = self.pool(self.relu(self.bn2(self.conv2(x))))
        x = x.view(x.size(0), -1)
        x = self.drop(self.relu(self.fc1(x)))
        return self.fc2(x)


def validate(model, loader):
    # 计算验证集准确率
    right = 0
    with torch.no_grad():
        for x, y in loader:
            right += (model(x).max(1)[1] == y).sum().item()
    return right / len(loader.dataset)


if __name__ == "__main__":
    torch.manual_seed(SEED)
    train_loader = data.DataLoader(StripeDataset(1000, 1), batch_size=BATCH, shuffle=True)
    val_loader = data.DataLoader(StripeDataset(300, 2), batch_size=4, shuffle=False)
    model = Model()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for epoch in range(EPOCHS):
        model.train()
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
        acc = validate(model, val_loader)
        print("第%d轮  损失 %.4f  验证准确率 %.3f" % (epoch + 1, loss.item(), acc))
    print("accuracy: %.3f" % acc)
