"""Smaller images in the first epochs: work follows the number of pixels, and early epochs do not need all."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from tenfold.errors import RecipeError
from tenfold.recipe import Stage

ALTERNATIVES = "Leave --curriculum out, or choose a net for any size: sprint, resnet20."


def size_at(stages: Sequence[Stage], epoch: int) -> int | None:
    """The side in pixels of that epoch's training images; None once the stages are over."""
    for size, epochs in stages:
        if epoch < epochs:
            return size
        epoch -= epochs
    return None


def resized(images: Tensor, size: int | None) -> Tensor:
    """uint8 [N, C, S, S] to uint8 [N, C, size, size], bilinear with antialiasing; None changes nothing."""
    if size is None:
        return images
    if images.device.type == "cpu":  # torch's uint8 kernel for CPUs: four times as fast as float32
        return interpolate(images, (size, size), mode="bilinear", antialias=True)
    made = interpolate(images.float(), (size, size), mode="bilinear", antialias=True)
    return made.round_().clamp_(0, 255).to(torch.uint8)


def check_sizes(stages: Sequence[Stage], model: nn.Module, channels: int, size: int) -> None:
    """RecipeError where the net, built for `size` pixels, does not take a stage's images."""
    training = model.training
    for side, _ in stages:
        try:
            with torch.no_grad():
                model.eval()(torch.zeros(1, channels, side, side))
        except RuntimeError:
            told = f"curriculum: this net, built for {size} pixels, does not take images of {side} pixels."
            raise RecipeError(told, ALTERNATIVES) from None
        finally:
            model.train(training)
