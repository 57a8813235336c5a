"""Weights files: safetensors whose metadata say which net it is, which classes, and how images are prepared.

So a weights file alone is enough to predict, and nothing in it can run code.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from tenfold.datasets.preprocessing import Preprocessing
from tenfold.errors import RunError
from tenfold.models import build
from tenfold.recipe import ModelOptions
from tenfold.runs import Run
from tenfold.training.tensorfile import read_tensors, write_tensors


@dataclass(frozen=True)
class Weights:
    """A trained net with all that is needed to use it."""

    tensors: dict[str, Tensor]
    model: ModelOptions
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    epoch: int

    def build(self) -> nn.Module:
        """The net in eval mode, on the CPU."""
        net = build(self.model, self.preprocessing.channels, self.preprocessing.size, len(self.classes), seed=0)
        take_over(net, self.tensors)
        return net.eval()

    def save(self, path: Path) -> None:
        """Write atomically."""
        metadata = {
            "format": "tenfold-1",
            "model": self.model.model_dump_json(),
            "classes": json.dumps(self.classes),
            "preprocessing": self.preprocessing.to_json(),
            "epoch": str(self.epoch),
        }
        write_tensors(path, self.tensors, metadata)


def take_over(net: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load the tensors into the net; RunError where it has others (the code of a user's own net changed)."""
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        differences = "; ".join(line.strip() for line in str(error).splitlines()[1:])
        raise RunError(f"The weights do not fit this net: {differences}", "Give the net that was trained.") from None


def load_weights(run: Run, which: str = "best") -> Weights:
    """The best or last weights of a run; RunError where they are missing or damaged."""
    path = run.weights(which)
    if not path.exists():
        raise RunError(
            f"{run.path} has no {which} weights yet.", f"Continue the run: tenfold train --resume {run.path}"
        )
    try:
        tensors, metadata = read_tensors(path)
    except RunError as error:
        other = "last" if which == "best" else "best"
        raise RunError(error.what, f"Use the {other} weights, or train again.") from None
    return Weights(
        tensors,
        ModelOptions.model_validate_json(metadata["model"]),
        tuple(json.loads(metadata["classes"])),
        Preprocessing.from_json(metadata["preprocessing"]),
        int(metadata["epoch"]),
    )


def start_from(model: nn.Module, weights: Weights, classes: tuple[str, ...]) -> str:
    """Fine-tuning: copy every tensor, but for a new head where the classes differ; says what was done.

    The head is the last layer with parameters. RunError where another layer does not fit.
    """
    own = model.state_dict()
    layer = list(dict(model.named_parameters()))[-1].rpartition(".")[0]
    head = {name for name in own if name.rpartition(".")[0] == layer} if weights.classes != classes else set()
    kept = {name: t for name, t in weights.tensors.items() if name in own and name not in head}
    fits = {name: t for name, t in kept.items() if own[name].shape == t.shape}
    missing = sorted(set(own) - set(fits) - head)
    if missing or not fits:
        raise RunError(
            f"The weights do not fit this net: {', '.join(missing) or 'all its layers'} differ.",
            "Choose the recipe and image size with which the weights were trained.",
        )
    with torch.no_grad():
        model.load_state_dict({**own, **fits})
    if weights.classes == classes:
        return f"Started from trained weights (epoch {weights.epoch}), all layers."
    new = ", ".join(sorted(head))
    return f"Started from trained weights; new head ({new}): {len(weights.classes)} classes there, {len(classes)} here."
