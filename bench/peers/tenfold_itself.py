"""CIFAR-10 with tenfold's own loader and step, as `tenfold train` runs them, on the backend that it measured.

The net, crop and flip, and batch of the recipe; SGD as all peers have it, so that accuracies can be compared.

    python bench/peers/tenfold_itself.py --data PATH [--net resnet20] [--precision auto|fp32|bf16|bf16_all]
"""

import numpy as np
from common import BATCH, LEARNING_RATE, MOMENTUM, TRAIN, VALIDATION, WEIGHT_DECAY, Clock, arguments, report

from tenfold import api
from tenfold.training.loader import Images, Loader
from tenfold.training.loop import descend
from tenfold.training.setup import Setup, prepare
from tenfold.training.step import evaluate

RECIPES = {"simplenn": "simplenn-augment", "resnet20": "resnet20-lab"}
SGD = {"name": "sgd", "momentum": MOMENTUM, "nesterov": False, "weight_decay": WEIGHT_DECAY}


def with_rows(setup: Setup, images: int, judge: int) -> Setup:
    """The rows that all peers train on and are judged by."""
    device, end = setup.backend.device, TRAIN + VALIDATION
    training, validation = np.arange(min(images, TRAIN)), np.arange(end - min(judge, VALIDATION), end)
    setup.loader = Loader(Images(setup.dataset, training, device), setup.recipe, setup.preprocessing)
    setup.validation = Images(setup.dataset, validation, device)
    return setup


def train_epoch(setup: Setup, epoch: int) -> None:
    """The steps of one epoch."""
    correct, total = 0, 0.0
    for step in range(setup.loader.steps):
        images, labels = setup.loader.batch(epoch, step)
        loss, right = descend(setup, epoch, step, images, labels)
        total += loss * len(labels)
        correct += right


def main() -> None:
    """Train, judge, report."""
    chosen = arguments("auto", "bf16", "bf16_all")
    plan = api.plan(
        RECIPES[chosen.net],
        data=chosen.data,
        seed=chosen.seed,
        batch=BATCH,
        device="cpu",
        optimizer={**SGD, "lr": LEARNING_RATE[chosen.net]},
        schedule={"name": "constant"},
        backend={"precision": chosen.precision},
    )
    setup = with_rows(prepare(plan), chosen.images, chosen.judge)
    clock = Clock(len(setup.loader.images))
    for epoch in range(chosen.epochs):
        clock.start()
        train_epoch(setup, epoch)
        clock.stop()
    _, right = evaluate(setup.state.model, setup.validation, setup.preprocessing, setup.backend, lambda: None)
    parameters = sum(p.numel() for p in setup.state.model.parameters() if p.requires_grad)
    how = {"backend": setup.recipe.backend.model_dump()}
    report("tenfold", ["tenfold", "torch"], chosen, parameters, clock.rates, right / len(setup.validation), **how)


if __name__ == "__main__":
    main()
