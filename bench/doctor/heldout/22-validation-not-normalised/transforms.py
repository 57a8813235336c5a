import numpy as np
import torch


class Compose:
    def __init__(self, steps):
        self.steps = steps

    def __call__(self, img):
        for s in self.steps:
            img = s(img)
        return img


class ToTensor:
    def __call__(self, img):
        return torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1))).float() / 255


class Normalize:
    def __init__(self, mean, std):
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def __call__(self, t):
        return (t - self.mean) / self.std


class RandomShift:
    def __init__(self, pixels):
        self.pixels = pixels

    def __call__(self, img):
        dy, dx = np.random.randint(-self.pixels, self.pixels + 1, 2)
        return np.roll(img, (dy, dx), axis=(0, 1))
