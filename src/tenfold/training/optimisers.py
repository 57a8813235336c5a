"""Optimisers by name: (parameters, lr, weight_decay, *, options…) to a torch optimiser.

Fused kernels where torch has them, several tensors at once otherwise: SimpleNN spends a fifth of its step in a
plain loop over parameters.
"""

from collections.abc import Callable, Iterable

from torch import nn
from torch.optim import SGD, Adam, Optimizer, RAdam

from tenfold.errors import lookup
from tenfold.recipe import OptimizerOptions
from tenfold.registry import chosen

Parameters = Iterable[nn.Parameter]


def sgd(
    parameters: Parameters, lr: float, weight_decay: float, *, momentum: float = 0.9, nesterov: bool = False
) -> Optimizer:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013)."""
    return SGD(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)


def adam(
    parameters: Parameters, lr: float, weight_decay: float, *, beta1: float = 0.9, beta2: float = 0.999
) -> Optimizer:
    """Adam (Kingma & Ba 2015), the decay added to the gradient."""
    return Adam(parameters, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)


def radam(
    parameters: Parameters, lr: float, weight_decay: float, *, beta1: float = 0.9, beta2: float = 0.999
) -> Optimizer:
    """Rectified Adam (Liu et al. 2020), the decay added to the gradient."""
    return RAdam(parameters, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, foreach=True)


OPTIMISERS: dict[str, Callable[..., Optimizer]] = {"sgd": sgd, "adam": adam, "radam": radam}


def build(options: OptimizerOptions, model: nn.Module) -> Optimizer:
    """The optimiser that the resolved options describe."""
    function = lookup(OPTIMISERS, options.name, "optimizer")
    return function(model.parameters(), options.lr, options.weight_decay, **chosen(function, options))
