"""From a plan to a run that is ready for its first step: data, split, net, optimiser, loader."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from tenfold.datasets import SOURCES, load
from tenfold.datasets.dataset import Dataset, Rows, silent
from tenfold.datasets.dataset import Progress as ShowProgress
from tenfold.datasets.preprocessing import Preprocessing, fit_preprocessing
from tenfold.datasets.splits import portion, split
from tenfold.models import build
from tenfold.models.inspection import Inspection, inspect_model
from tenfold.models.protocols import LooksAtImages
from tenfold.recipe import Plan, Recipe
from tenfold.runs import Run
from tenfold.training import optimisers, schedules
from tenfold.training.averaging import Average
from tenfold.training.backend import Backend, choose_device, open_backend
from tenfold.training.curriculum import check_sizes
from tenfold.training.loader import Images, Loader
from tenfold.training.memory import memory_explained
from tenfold.training.resolve import check_data, check_options
from tenfold.training.state import State
from tenfold.training.tuning import Choice, settle_backend
from tenfold.training.weights import load_weights, start_from

LOOKED_AT = 5000 * 3 * 32 * 32
"""Numbers that a net may look at before it is trained: 5,000 images of CIFAR-10."""


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
    choice: Choice | None

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
    device = choose_device(plan.recipe.device)
    dataset = load(plan.recipe.data, plan.recipe.image_size, verify, progress)
    if plan.recipe.data not in SOURCES:
        plan = plan.override({"data": dataset.where}, plan.origin["data"])
    splits = split(dataset, plan.recipe.split_seed, plan.recipe.validation, plan.recipe.test)
    splits["train"] = portion(splits["train"], dataset, plan.recipe.fraction, plan.recipe.split_seed)
    rows = training_rows(splits, plan.recipe.train_on)
    plan = check_data(plan, dataset, len(rows), notes)
    preprocessing = fit_preprocessing(plan.recipe.preprocess, dataset.images, rows)
    model = build(plan.recipe.model, preprocessing.channels, preprocessing.size, len(dataset.classes), plan.recipe.seed)
    loader = Loader(Images(dataset, rows, device), plan.recipe, preprocessing)
    check_sizes(plan.recipe.curriculum, model, preprocessing.channels, preprocessing.size)
    slow_norms(model, plan.recipe)
    show_images(model, loader)
    choice = None
    if not recorded:
        with memory_explained(plan.recipe.batch, preprocessing.size):
            probed = probe_batch(loader, plan.recipe)
            plan, choice = settle_backend(plan, model.to(device), *probed, passes(loader, plan.recipe))
    backend = open_backend(plan.recipe.device, plan.recipe.backend)
    model = backend.place(model)
    state = fresh_state(model, plan.recipe)
    return Setup(
        plan,
        dataset,
        splits,
        preprocessing,
        backend,
        loader,
        Images(dataset, splits["val"], device) if plan.recipe.train_on == "train" else None,
        schedules.build(plan.recipe.schedule, plan.recipe.epochs, state.accuracies),
        state,
        notes,
        choice,
    )


def inspected(setup: Setup, size: int, batch: int) -> Inspection:
    """What the recipe's net costs for images of that size, seen on a plain copy: the own one may be compiled."""
    channels, recipe = setup.preprocessing.channels, setup.recipe
    net = build(recipe.model, channels, setup.preprocessing.size, len(setup.dataset.classes), recipe.seed)
    return inspect_model(net, channels, size, batch)


def fresh_state(model: nn.Module, recipe: Recipe) -> State:
    """The net before its first step, with its optimiser, and the average that follows each step."""
    optimizer = optimisers.build(recipe.optimizer, model)
    if not recipe.ema:
        return State(model, optimizer)
    average = Average(model, recipe.ema)
    optimizer.register_step_post_hook(average.update)
    return State(model, optimizer, average=average)


def probe_batch(loader: Loader, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """What passes the net at once, pixels float32 [n, C, S, S] and labels, to measure backends with; not augmented."""
    images, labels = loader.images.take(loader.positions(0, 0)[: recipe.micro_batch])
    return loader.preprocessing.normalize(loader.preprocessing.crop(images)), labels


def passes(loader: Loader, recipe: Recipe) -> int:
    """How often the run sends a batch, or a slice of one, through the net."""
    return recipe.epochs * -(-len(loader.images) // (recipe.micro_batch or recipe.batch))


def slow_norms(model: nn.Module, recipe: Recipe) -> None:
    """With slices, batch norms' running statistics take a smaller step for each, and as large a one for the batch."""
    if recipe.micro_batch is not None:
        slices = -(-recipe.batch // recipe.micro_batch)
        for module in model.modules():
            if isinstance(module, _BatchNorm) and module.momentum is not None:
                module.momentum = 1 - (1 - module.momentum) ** (1 / slices)


def show_images(model: nn.Module, loader: Loader) -> None:
    """Let a net that asks for it see training images of every class."""
    if isinstance(model, LooksAtImages):
        numbers = loader.preprocessing.channels * loader.preprocessing.size**2
        images, _ = loader.images.take(loader.images.spread(max(1, LOOKED_AT // numbers)))
        model.look_at(loader.preprocessing.normalize(loader.preprocessing.crop(images)))


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
