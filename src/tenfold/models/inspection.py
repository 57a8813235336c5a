"""Looking at a net: shapes, parameters and multiply-adds of each layer, and the memory of a training batch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One call of one layer. `multiply_adds` are for one image; only convolutions and linear layers count."""

    name: str
    kind: str
    output: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Memory:
    """Bytes that a training step of the inspected batch holds in float32."""

    weights: int
    gradients: int
    optimizer: int
    activations: int

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.gradients + self.optimizer + self.activations


@dataclass(frozen=True)
class Inspection:
    """What `inspect_model` saw."""

    layers: tuple[Layer, ...]
    input: Shape
    output: Shape
    parameters: int
    multiply_adds: int
    memory: Memory


def inspect_model(model: nn.Module, channels: int, size: int, batch: int = 5, buffers: int = 1) -> Inspection:
    """Send a dummy batch [batch, channels, size, size] through the net, on the net's own device, and watch.

    buffers: tensors of a parameter's size that the optimiser keeps (SGD with momentum 1, Adam 2).
    """
    layers: list[Layer] = []
    counted: set[int] = set()

    def watch(name: str) -> object:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not isinstance(output, Tensor) or not inputs:
                return  # a user's own layer may give and take anything; its parameters count in the total
            own = 0 if id(module) in counted else sum(p.numel() for p in module.parameters(recurse=False))
            counted.add(id(module))
            layers.append(Layer(name, type(module).__name__, tuple(output.shape), own, multiply_adds(module, output)))

        return hook

    hooks = [m.register_forward_hook(watch(name)) for name, m in model.named_modules() if is_layer(m)]
    training = model.training
    model.eval()
    try:
        device = next(model.parameters()).device
        images = torch.zeros(batch, channels, size, size, device=device)
        output, activations = forward_memory(model, images)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    return Inspection(
        tuple(layers),
        tuple(images.shape),
        tuple(output.shape),
        sum(p.numel() for p in model.parameters()),
        sum(layer.multiply_adds for layer in layers),
        Memory(weights, weights, buffers * weights, activations),
    )


def is_layer(module: nn.Module) -> bool:
    """Whether a module does something of its own (containers and Identity do not)."""
    return not list(module.children()) and not isinstance(module, nn.Identity)


def forward_memory(model: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """The output, and the bytes of the tensors that autograd keeps for the backward pass (weights apart)."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(images)
    return output.detach(), sum(kept.values())


def multiply_adds(module: nn.Module, output: Tensor) -> int:
    """Multiply-adds for one image: k·k·in/groups for each output of a convolution, in·out for linear."""
    if isinstance(module, nn.Conv2d):
        each = module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]
        return each * output[0].numel()
    if isinstance(module, nn.Linear):
        return module.in_features * output[0].numel()
    return 0
