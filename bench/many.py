"""Many runs on one machine: processes × threads, and several nets in one step. Images/s of all together.

    python bench/many.py [--recipe simplenn-augment] [--data cifar10] [--out bench/results/many.json]

Processes: real steps (input, forward, backward, optimiser) in processes of their own at the same time, as `compare`,
`ablate` and `sweep` run them (tenfold.experiments.many). One step: forward and backward of K copies of the net on
batches of their own through torch.func.vmap, against the same net K times one after the other, fp32 and bf16 autocast,
all cores; no input, no optimiser. Medians. A net with functions of its own that vmap cannot map, as ResNet's shortcut,
is measured in processes only.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn.functional import cross_entropy

from tenfold import api
from tenfold.cores import core_numbers
from tenfold.experiments.many import possible, shares
from tenfold.experiments.rates import rate_side_by_side
from tenfold.models import build
from tenfold.recipe import Plan
from tenfold.runs import write_atomic
from tenfold.training.backend import keep_freed_memory
from tenfold.training.environment import processor
from tenfold.training.resolve import check_options

COPIES = (1, 2, 4, 6)


def in_one_step(nets: list[nn.Module], pixels: Tensor, labels: Tensor) -> Callable[[], None]:
    """Gradients of all nets at once; pixels [K, N, C, H, W], labels [K, N]."""
    parameters, buffers = stack_module_state(nets)

    def loss(weights: dict[str, Tensor], rest: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(functional_call(nets[0], (weights, rest), (x,)).float(), y)

    gradients = vmap(grad(loss))
    return lambda: gradients(parameters, buffers, pixels, labels) and None


def one_by_one(nets: list[nn.Module], pixels: Tensor, labels: Tensor) -> Callable[[], None]:
    """Gradients of one net after the other."""

    def step() -> None:
        for net, x, y in zip(nets, pixels, labels, strict=True):
            net.zero_grad(set_to_none=True)
            cross_entropy(net(x).float(), y).backward()

    return step


def rate(step: Callable[[], None], images: int, bf16: bool, seconds: float) -> float:
    """Images/s: the median step."""
    times: list[float] = []
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        began = time.perf_counter()
        while len(times) < 5 or time.perf_counter() - began < seconds:
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
    return images / statistics.median(times[2:])


def several(plan: Plan, seconds: float) -> dict[str, int]:
    """Images/s of 1 to 6 nets, one after the other and in one step."""
    options = check_options(plan, []).recipe.model.model_copy(update={"activation": "gelu"})  # vmap: nothing in place
    found: dict[str, int] = {}
    for copies in COPIES:
        nets = [build(options, 3, 32, 10, seed) for seed in range(copies)]
        for net in nets:
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        pixels = torch.randn(copies, plan.recipe.batch, 3, 32, 32)
        labels = torch.randint(10, (copies, plan.recipe.batch))
        for name, make in (("one by one", one_by_one), ("in one step", in_one_step)):
            for bf16 in (False, True):
                kind = f"{copies} nets, {name}, {'bf16' if bf16 else 'fp32'}"
                found[kind] = round(rate(make(nets, pixels, labels), copies * plan.recipe.batch, bf16, seconds))
    return found


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="simplenn-augment")
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    plan = api.plan(chosen.recipe, data=chosen.data)
    own = core_numbers()
    figures: dict[str, object] = {"processor": processor(), "recipe": chosen.recipe, "batch": plan.recipe.batch}
    figures["processes × threads"] = {
        f"{split.processes} × {split.threads}": round(rate_side_by_side(plan, shares(own, split.threads)))
        for split in possible(len(own))
    }
    if plan.recipe.model.name == "simplenn":
        torch.set_num_threads(len(own))
        keep_freed_memory()
        figures["several nets"] = several(plan, chosen.seconds)
    print(json.dumps(figures, indent=2, ensure_ascii=False))
    if chosen.out:
        write_atomic(chosen.out, json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
