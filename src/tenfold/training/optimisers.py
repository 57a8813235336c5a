"""Optimisers by name: (model, lr, weight_decay, *, options…) to a torch optimiser over the trained parameters.

Fused kernels where torch has them, several tensors at once otherwise: SimpleNN spends a fifth of its step in a
plain loop over parameters.
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RAdam, RMSprop

from tenfold.dynamo import defer
from tenfold.errors import lookup
from tenfold.models.protocols import TrainsPartly
from tenfold.recipe import OptimizerOptions
from tenfold.registry import chosen
from tenfold.training.lion import Lion
from tenfold.training.muon import Muon

Group = dict[str, Any]

SIDE_MOMENTUM = 0.85
"""Momentum of what Muon leaves to SGD (airbench94_muon)."""


def sgd(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    momentum: float = 0.9,
    nesterov: bool = False,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """Stochastic gradient descent with momentum (Sutskever et al. 2013)."""
    groups = regularised(model, decay_norms, l1)
    return SGD(groups, lr=lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, fused=True)


def adam(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """Adam (Kingma & Ba 2015), the decay added to the gradient."""
    groups = regularised(model, decay_norms, l1)
    return Adam(groups, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)


def adamw(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """Adam with the decay taken from the weights directly (Loshchilov & Hutter 2019): lr · weight_decay of each."""
    groups = regularised(model, decay_norms, l1)
    return AdamW(groups, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, fused=True)


def radam(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """Rectified Adam (Liu et al. 2020), the decay added to the gradient."""
    groups = regularised(model, decay_norms, l1)
    return RAdam(groups, lr=lr, betas=(beta1, beta2), weight_decay=weight_decay, foreach=True)


def rmsprop(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    momentum: float = 0.0,
    beta2: float = 0.99,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """RMSprop (Hinton 2012): each gradient divided by the root of its running mean square."""
    groups = regularised(model, decay_norms, l1)
    return RMSprop(groups, lr=lr, alpha=beta2, momentum=momentum, weight_decay=weight_decay, foreach=True)


def adagrad(
    model: nn.Module, lr: float, weight_decay: float, *, decay_norms: bool = True, l1: float = 0.0
) -> Optimizer:
    """Adagrad (Duchi et al. 2011): each gradient divided by the root of the sum of all its squares so far."""
    on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
    fused = {"fused": True} if on_cpu else {"foreach": True}  # torch 2.10 has no fused one for CUDA
    return Adagrad(regularised(model, decay_norms, l1), lr=lr, weight_decay=weight_decay, **fused)


def lion(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    beta1: float = 0.9,
    beta2: float = 0.99,
    decay_norms: bool = True,
    l1: float = 0.0,
) -> Optimizer:
    """Lion (Chen et al. 2023); wants a rate 3 to 10 times smaller than AdamW's, and a decay as much larger."""
    return Lion(regularised(model, decay_norms, l1), lr, (beta1, beta2), weight_decay)


def muon(
    model: nn.Module,
    lr: float,
    weight_decay: float,
    *,
    momentum: float = 0.6,
    nesterov: bool = True,
    ns_steps: int = 3,
    bias_lr: float = 0.05,
    head_lr: float = 0.05,
) -> Optimizer:
    """Muon (Jordan 2024) for convolution filters; biases and linear weights by SGD at rates of their own.

    weight_decay: the share of biases and linear weights taken away in a step at full rate, before momentum.
    """
    filters = {"lr": lr, "orthogonal": True, "momentum": momentum, "nesterov": nesterov, "ns_steps": ns_steps}
    side = {"orthogonal": False, "momentum": SIDE_MOMENTUM}
    others = [*trained(model, 2, 3), *trained(model, 5)]
    return Muon(
        filled(
            {"params": trained(model, 4, 4), **filters},
            {"params": trained(model, 0, 1), **side, "lr": bias_lr, "weight_decay": weight_decay / bias_lr},
            {"params": others, **side, "lr": head_lr, "weight_decay": weight_decay / head_lr},
        )
    )


OPTIMISERS: dict[str, Callable[..., Optimizer]] = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adamw,
    "radam": radam,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "lion": lion,
    "muon": muon,
}


def regularised(model: nn.Module, decay_norms: bool, l1: float) -> list[Group]:
    """One group of all trained parameters; weights apart from biases and norms where they are treated otherwise."""
    if decay_norms and not l1:
        return [{"params": trained(model)}]
    spared: Group = {} if decay_norms else {"weight_decay": 0.0}
    return filled({"params": trained(model, 2), "l1": l1}, {"params": trained(model, 0, 1), "l1": 0.0, **spared})


def trained(model: nn.Module, least: int = 0, most: int = sys.maxsize) -> list[nn.Parameter]:
    """The parameters of `least` to `most` axes that are not frozen; biases and norms have one axis, filters four."""
    return [p for p in model.parameters() if p.requires_grad and least <= p.dim() <= most]


def filled(*groups: Group) -> list[Group]:
    """The groups that hold a parameter."""
    return [group for group in groups if group["params"]]


def build(options: OptimizerOptions, model: nn.Module) -> Optimizer:
    """The optimiser that the resolved options describe, ready for `set_rates`."""
    defer()
    function = lookup(OPTIMISERS, options.name, "optimizer")
    optimizer = function(model, options.lr, options.weight_decay, **chosen(function, options))
    for group in optimizer.param_groups:
        group.update(base=group["lr"], until=None)
    if options.clip_norm:
        optimizer.register_step_pre_hook(partial(clip, norm=options.clip_norm))
    if options.l1:
        optimizer.register_step_pre_hook(add_l1)
    if isinstance(model, TrainsPartly):
        parameters = dict(model.named_parameters())
        for name, epochs in model.trained_until().items():
            set_apart(optimizer, parameters[name], epochs)
    optimizer.param_groups[:] = filled(*optimizer.param_groups)
    return optimizer


def clip(optimizer: Optimizer, *_: Any, norm: float) -> None:
    """Shorten the gradient of all weights together to `norm` where it is longer (Pascanu et al. 2013)."""
    clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], norm, foreach=True)


@torch.no_grad()
def add_l1(optimizer: Optimizer, *_: Any) -> None:
    """Add the subgradient of l1·Σ|w| to the gradients: l1·sign(w), and nothing where a weight is 0."""
    for group in optimizer.param_groups:
        weights = [p for p in group["params"] if group["l1"] and p.grad is not None]
        if weights:
            torch._foreach_add_([p.grad for p in weights], torch._foreach_sign(weights), alpha=group["l1"])


def buffers(options: OptimizerOptions) -> int:
    """How many numbers a weight the optimiser remembers."""
    momentum = int(bool(options.momentum))
    return {"sgd": momentum, "rmsprop": 1 + momentum, "adagrad": 1, "lion": 1, "muon": 1}.get(options.name, 2)


def set_apart(optimizer: Optimizer, parameter: nn.Parameter, until: int) -> None:
    """Move a parameter into a group of its own that is trained for `until` epochs."""
    for group in optimizer.param_groups:
        rest = [p for p in group["params"] if p is not parameter]
        if len(rest) < len(group["params"]):
            group["params"] = rest
            optimizer.add_param_group({**group, "params": [parameter], "until": until})
            return


def set_rates(optimizer: Optimizer, factor: float, epoch: float) -> None:
    """Every group's rate at a position: its base rate times `factor`; a group with an end falls linearly to it.

    Past its end a parameter needs no gradient, so that the backward pass stops there.
    """
    for group in optimizer.param_groups:
        until = group["until"]
        if until is None:
            group["lr"] = group["base"] * factor
            continue
        group["lr"] = group["base"] * max(0.0, 1 - epoch / until) if until else 0.0
        for parameter in group["params"]:
            parameter.requires_grad_(epoch < until)
