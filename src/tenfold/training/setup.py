"""From a plan to a run that is ready for its first step: data, split, net, optimiser, loader."""

import threading
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch import nn

from tenfold.datasets import SOURCES, load
from tenfold.datasets.dataset import Dataset, Rows, silent
from tenfold.datasets.dataset import Progress as ShowProgress
from tenfold.datasets.preprocessing import Preprocessing, fit_preprocessing
from tenfold.datasets.splits import split
from tenfold.models import build
from tenfold.recipe import Plan, Recipe
from tenfold.runs import Run
from tenfold.training import optimisers, schedules
from tenfold.training.backend import Backend, open_backend
from tenfold.training.loader import Images, Loader
from tenfold.training.resolve import check_data, check_options
from tenfold.training.state import State
from tenfold.training.weights import load_weights, start_from

BF16_TOLERANCE = 0.02
"""bf16 has 8 bits of mantissa; a loss that differs by more than this share of fp32's shows a wrong kernel."""


@dataclass
class Setup:
    """A run ready to train. `notes` are things to tell the user, decided on the way."""

    plan: Plan
    dataset: Dataset
    splits: dict[str, Rows]
    preprocessing: Preprocessing
    backend: Backend
    loader: Loader
    validation: Images | None
    schedule: schedules.Schedule
    state: State
    notes: list[str]

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe."""
        return self.plan.recipe


def prepare(plan: Plan, verify: bool = False, progress: ShowProgress = silent, recorded: bool = False) -> Setup:
    """Resolve the plan, load and split the data, build the net with fresh weights.

    recorded: the plan is a run's own, resolved before; nothing is decided anew.
    """
    notes: list[str] = []
    plan = check_options(plan, notes)
    backend = open_backend(plan.recipe.device, plan.recipe.backend)
    # torch's optimisers import torch._dynamo (2 s) when first used: let that happen while the images are read.
    threading.Thread(target=import_module, args=("torch._dynamo",), daemon=True).start()
    dataset = load(plan.recipe.data, plan.recipe.image_size, verify, progress)
    if plan.recipe.data not in SOURCES:
        plan = plan.override({"data": dataset.where}, plan.origin["data"])
    splits = split(dataset, plan.recipe.split_seed, plan.recipe.validation, plan.recipe.test)
    rows = training_rows(splits, plan.recipe.train_on)
    plan = check_data(plan, dataset, len(rows), notes)
    preprocessing = fit_preprocessing(plan.recipe.preprocess, dataset.images, rows)
    model = build(plan.recipe.model, preprocessing.channels, preprocessing.size, len(dataset.classes), plan.recipe.seed)
    model = backend.place(model)
    loader = Loader(Images(dataset, rows, backend.device), plan.recipe, preprocessing)
    if not recorded:
        plan, backend = check_precision(plan, backend, model, loader, notes)
    return Setup(
        plan,
        dataset,
        splits,
        preprocessing,
        backend,
        loader,
        Images(dataset, splits["val"], backend.device) if plan.recipe.train_on == "train" else None,
        schedules.build(plan.recipe.schedule, plan.recipe.epochs),
        State(model, optimisers.build(plan.recipe.optimizer, model)),
        notes,
    )


def start_from_weights(setup: Setup) -> None:
    """Fine-tuning: take over the weights that the recipe names, and note what was done."""
    if setup.recipe.weights:
        source = Run.open(setup.recipe.weights)
        place = str(source.path.resolve())
        setup.plan = setup.plan.override({"weights": place}, setup.plan.origin["weights"])
        setup.notes.append(start_from(setup.state.model, load_weights(source), setup.dataset.classes))


def training_rows(splits: dict[str, Rows], train_on: str) -> Rows:
    """The rows that the net learns from."""
    return splits["train"] if train_on == "train" else np.sort(np.concatenate([splits["train"], splits["val"]]))


def check_precision(
    plan: Plan, backend: Backend, model: nn.Module, loader: Loader, notes: list[str]
) -> tuple[Plan, Backend]:
    """Keep a bf16 that tenfold chose only if the net's outputs agree with fp32 on a batch."""
    if backend.precision != "bf16" or plan.origin["backend.precision"] != "measured":
        return plan, backend
    images, _ = loader.images.take(torch.arange(min(64, len(loader.images))))
    pixels = loader.preprocessing.normalize(loader.preprocessing.crop(images), backend.layout)
    model.eval()
    with torch.inference_mode():
        exact = model(pixels)
        with backend.autocast():
            rough = model(pixels).float()
    if bool((rough - exact).abs().max() <= BF16_TOLERANCE * exact.abs().max()):
        return plan, backend
    notes.append("bf16 disagrees with fp32 for this net on this machine; training in fp32.")
    plan = plan.override({"backend.precision": "fp32"}, "measured")
    return plan, Backend(backend.device, "fp32", backend.layout, backend.threads)
