"""Deciding everything that a recipe leaves open, once, and refusing what would have no effect."""

from typing import Any

from tenfold.augmentations import AUGMENTATIONS
from tenfold.datasets.dataset import Dataset
from tenfold.errors import RecipeError, lookup
from tenfold.models import find
from tenfold.recipe import Plan
from tenfold.registry import settle, unread
from tenfold.training.backend import choose_device
from tenfold.training.optimisers import OPTIMISERS
from tenfold.training.schedules import SCHEDULES, WATCHING


def check_options(plan: Plan, notes: list[str]) -> Plan:
    """Options of model, optimiser, schedule and augmentation: filled where read, refused where not. Needs no data."""
    plan = settle(plan, "model", find(plan.recipe.model), notes)
    plan = settle(plan, "optimizer", lookup(OPTIMISERS, plan.recipe.optimizer.name, "optimizer"), notes)
    plan = settle(plan, "schedule", lookup(SCHEDULES, plan.recipe.schedule.name, "schedule"), notes)
    plan = fit_nesterov(plan, notes)
    check_augmentation(plan)
    check_warmup(plan)
    plan = fit_stages(plan, notes)
    plan = fit_tolerance(plan, notes)
    check_views(plan)
    check_validation(plan)
    device = str(choose_device(plan.recipe.device))
    return plan if device == plan.recipe.device else plan.override({"device": device}, "measured")


def fit_nesterov(plan: Plan, notes: list[str]) -> Plan:
    """Nesterov's step without a momentum: refused if the user asked for it, left out otherwise."""
    if not plan.recipe.optimizer.nesterov or plan.recipe.optimizer.momentum != 0:
        return plan
    told = "optimizer.nesterov needs a momentum, and optimizer.momentum is 0."
    note = "The recipe's Nesterov step is left out: optimizer.momentum is 0."
    return give_way(plan, "optimizer.nesterov", False, told, "Leave one of both out.", note, notes)


def check_augmentation(plan: Plan) -> None:
    """A detail of an augmentation that is switched off (crop_padding without crop) would have no effect."""
    values = plan.recipe.augment.model_dump()
    for name in AUGMENTATIONS:
        for detail in values:
            option = f"augment.{detail}"
            if detail.startswith(f"{name}_") and not values[name] and plan.origin[option] == "user":
                raise unread(option, values[detail], f"augment.{name} = 0", "augment", {})


def check_warmup(plan: Plan) -> None:
    """A warm-up as long as the run would leave nothing for the schedule."""
    warmup, epochs = plan.recipe.schedule.warmup, plan.recipe.epochs
    if warmup >= epochs:
        raise RecipeError(
            f"schedule.warmup = {warmup:g} leaves no epoch of {epochs} for the schedule.",
            "Give a --schedule.warmup smaller than --epochs.",
        )


def fit_stages(plan: Plan, notes: list[str]) -> Plan:
    """A curriculum longer than the run: refused if the user gave it, left out otherwise."""
    stages, epochs = plan.recipe.curriculum, plan.recipe.epochs
    planned = sum(duration for _, duration in stages)
    if planned <= epochs:
        return plan
    told = f"curriculum: its stages take {planned} epochs, the run has {epochs}."
    remedy = f"Give stages of at most {epochs} epochs together, or more --epochs."
    return give_way(plan, "curriculum", (), told, remedy, f"The recipe's {told} It is left out.", notes)


def fit_tolerance(plan: Plan, notes: list[str]) -> Plan:
    """A recipe's tolerance of differences from fp32 is shown for its own net: another one gets the usual, 1."""
    changed = any(origin == "user" for option, origin in plan.origin.items() if option.startswith("model."))
    tolerance = plan.recipe.backend.tolerance
    if not changed or tolerance == 1 or plan.origin["backend.tolerance"] == "user":
        return plan
    notes.append(f"The recipe's backend.tolerance {tolerance:g} was shown for its own net: 1 for this one.")
    return plan.override({"backend.tolerance": 1.0}, "measured")


def fit_stage_sizes(plan: Plan, notes: list[str]) -> Plan:
    """Stages that are no smaller than the images: refused if the user gave them, left out otherwise."""
    size = plan.recipe.preprocess.center_crop or plan.recipe.image_size or 0
    large = [side for side, _ in plan.recipe.curriculum if side >= size]
    if not large:
        return plan
    told = f"curriculum: {large[0]} pixels are not fewer than the images' {size}."
    return give_way(plan, "curriculum", (), told, "Give smaller ones.", f"The recipe's {told} It is left out.", notes)


def give_way(plan: Plan, option: str, value: Any, told: str, remedy: str, note: str, notes: list[str]) -> Plan:
    """An option that does not fit the data or the run: refused if the user gave it, else `value` and a note."""
    if plan.origin[option] == "user":
        raise RecipeError(told, remedy)
    notes.append(note)
    return plan.override({option: value}, "measured")


def check_views(plan: Plan) -> None:
    """A share of images for other views, where there are none, would have no effect."""
    if plan.recipe.tta == "none" and plan.origin["tta_share"] == "user":
        told = f"tta_share = {plan.recipe.tta_share} would have no effect: tta = none."
        raise RecipeError(told, "Leave it out, or give --tta flip or --tta flip_translate.")


def check_validation(plan: Plan) -> None:
    """What watches the validation accuracy needs validation images."""
    recipe = plan.recipe
    watching = {
        f"schedule.name = {recipe.schedule.name}": recipe.schedule.name in WATCHING,
        f"early_stopping = {recipe.early_stopping}": recipe.early_stopping is not None,
    }
    for option, watches in watching.items():
        if watches and recipe.train_on == "train+val":
            told = f"{option} watches the validation accuracy, and train_on = train+val leaves nothing to validate."
            raise RecipeError(told, "Leave one of both out.")
    patience, epochs = recipe.early_stopping, recipe.epochs
    if patience is not None and patience >= epochs and plan.origin["early_stopping"] == "user":
        told = f"early_stopping = {patience} would have no effect: the run has {epochs} epochs."
        raise RecipeError(told, "Give fewer epochs to wait, or more --epochs.")


def check_data(plan: Plan, dataset: Dataset, training_images: int, notes: list[str]) -> Plan:
    """What depends on the data: its place, image size, shares held out, and the batch."""
    recipe = plan.recipe
    for part, share in (("val", "validation"), ("test", "test")):
        if part in dataset.parts and plan.origin[share] == "user":
            raise RecipeError(
                f"{share} = {getattr(recipe, share)} would have no effect: {dataset.name} brings its own {part} split.",
                f"Leave --{share} out.",
            )
    if recipe.image_size is None:
        plan = plan.override({"image_size": dataset.image_size}, "measured")
    return fit_stage_sizes(fit_slices(fit_batch(plan, training_images, notes), notes), notes)


def fit_batch(plan: Plan, training_images: int, notes: list[str]) -> Plan:
    """A batch larger than the training set: refused if the user gave it, made smaller otherwise."""
    batch = plan.recipe.batch
    if batch <= training_images:
        return plan
    told = f"batch = {batch} is larger than the training set of {training_images} images."
    remedy = f"Give --batch {training_images} or less, or leave it out."
    note = f"batch {batch} made {training_images}: the training set has no more images."
    return give_way(plan, "batch", training_images, told, remedy, note, notes)


def fit_slices(plan: Plan, notes: list[str]) -> Plan:
    """Slices larger than the batch: refused if the user gave them, left out otherwise."""
    batch, micro_batch = plan.recipe.batch, plan.recipe.micro_batch
    if micro_batch is None or micro_batch < batch:
        return plan
    told = f"micro_batch = {micro_batch} would have no effect: the batch has {batch} images."
    remedy = f"Give --micro-batch {max(1, batch // 2)} or less, or leave it out."
    note = f"micro_batch {micro_batch} of the recipe is left out: the batch has {batch} images."
    return give_way(plan, "micro_batch", None, told, remedy, note, notes)
