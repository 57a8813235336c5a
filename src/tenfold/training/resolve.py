"""Deciding everything that a recipe leaves open, once, and refusing what would have no effect."""

from tenfold.augmentations import AUGMENTATIONS
from tenfold.datasets.dataset import Dataset
from tenfold.errors import RecipeError, lookup
from tenfold.models import MODELS
from tenfold.recipe import Plan
from tenfold.registry import settle, unread
from tenfold.training.backend import settle_backend
from tenfold.training.optimisers import OPTIMISERS
from tenfold.training.schedules import SCHEDULES


def check_options(plan: Plan, notes: list[str]) -> Plan:
    """Options of model, optimiser, schedule and augmentation: filled where read, refused where not. Needs no data."""
    plan = settle(plan, "model", lookup(MODELS, plan.recipe.model.name, "model"), notes)
    plan = settle(plan, "optimizer", lookup(OPTIMISERS, plan.recipe.optimizer.name, "optimizer"), notes)
    plan = settle(plan, "schedule", lookup(SCHEDULES, plan.recipe.schedule.name, "schedule"), notes)
    check_augmentation(plan)
    return settle_backend(plan)


def check_augmentation(plan: Plan) -> None:
    """A detail of an augmentation that is switched off (crop_padding without crop) would have no effect."""
    values = plan.recipe.augment.model_dump()
    for name in AUGMENTATIONS:
        for detail in values:
            option = f"augment.{detail}"
            if detail.startswith(f"{name}_") and not values[name] and plan.origin[option] == "user":
                raise unread(option, values[detail], f"augment.{name} = 0", "augment", {})


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
    return fit_batch(plan, training_images, notes)


def fit_batch(plan: Plan, training_images: int, notes: list[str]) -> Plan:
    """A batch larger than the training set: refused if the user gave it, made smaller otherwise."""
    batch = plan.recipe.batch
    if batch <= training_images:
        return plan
    if plan.origin["batch"] == "user":
        raise RecipeError(
            f"batch = {batch} is larger than the training set of {training_images} images.",
            f"Give --batch {training_images} or less, or leave it out.",
        )
    notes.append(f"batch {batch} made {training_images}: the training set has no more images.")
    return plan.override({"batch": training_images}, "measured")
