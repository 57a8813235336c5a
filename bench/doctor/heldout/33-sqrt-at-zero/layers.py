import torch.nn as nn


def conv_relu(cin, cout, k=3, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, k, stride, k // 2), nn.ReLU(inplace=True))


class Stem(nn.Sequential):
    def __init__(self, cin, width):
        super().__init__(
            conv_relu(cin, width, 5), nn.MaxPool2d(2), conv_relu(width, 2 * width), conv_relu(2 * width, 2 * width)
        )
