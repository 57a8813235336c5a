import torch.nn as nn


def conv_act(cin, cout, k=3, stride=1):
    return nn.Sequential(nn.Conv2d(cin, cout, k, stride), nn.LeakyReLU(0.1))


class Stem(nn.Sequential):
    def __init__(self, cin, width):
        super().__init__(
            conv_act(cin, width, 5), nn.MaxPool2d(2), conv_act(width, 2 * width), conv_act(2 * width, 2 * width)
        )
