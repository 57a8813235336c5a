"""Recipe: one complete, frozen, typed description of a run, as strict JSON, with the origin of every value.

An option that is None (or "auto") is decided once, when the run starts, and recorded with where it came from:
default, recipe, user or measured. Options that the chosen optimiser, schedule or model does not read must stay
None; giving one is an error (`training/resolve.py`), never silence.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tenfold.errors import RecipeError, near

Origin = Literal["default", "recipe", "user", "measured"]
Stage = tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
"""(pixels, epochs): the side of the training images in so many epochs."""


class Options(BaseModel):
    """A frozen group of options; unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)


class PreprocessOptions(Options):
    """What happens to every image, in training, validation, prediction and export alike."""

    center_crop: int | None = Field(None, ge=1)
    """Cut the middle C×C pixels out of every image; the net is built for that size."""
    normalize: Literal["train", "imagenet", "signed", "none"] = "train"
    """'train': by the training images' channel mean and deviation; 'imagenet': by ImageNet's, for weights trained so;
    'signed': to −1..1; 'none': only to 0..1."""


class AugmentOptions(Options):
    """What happens to training images only; 0 switches one off. Applied in this order."""

    center_crop: int = Field(0, ge=0)
    """Cut the middle C×C pixels out of training images only (the net must accept that size)."""
    pad: int = Field(0, ge=0)
    """Add P black pixels on every side."""
    crop: int = Field(0, ge=0)
    """Random crop: pad by P pixels, then cut the original size at a random place."""
    crop_padding: Literal["zero", "reflect"] = "zero"
    """What the random crop pads with."""
    horizontal_flip: float = Field(0.0, ge=0.0, le=1.0)
    """Mirror left and right with this probability."""
    horizontal_flip_mode: Literal["random", "alternating"] = "random"
    """alternating: chance decides the first epoch only; afterwards an image is mirrored every other epoch."""
    vertical_flip: float = Field(0.0, ge=0.0, le=1.0)
    """Mirror top and bottom with this probability."""
    randaugment: int = Field(0, ge=0, le=10)
    """RandAugment: so many operations on each image, drawn from fourteen (turns, shears, shifts, colours)."""
    randaugment_magnitude: int = Field(9, ge=0, le=30)
    """How strong they are, from 0 to 30."""
    trivialaugment: float = Field(0.0, ge=0.0, le=1.0)
    """TrivialAugment: with this probability one such operation, of random strength. Nothing to tune; use 1."""
    brightness: float = Field(0.0, ge=0.0, le=1.0)
    """Colour jitter: brightness times a random factor, at most so far from 1."""
    contrast: float = Field(0.0, ge=0.0, le=1.0)
    """Colour jitter: contrast times a random factor, at most so far from 1."""
    saturation: float = Field(0.0, ge=0.0, le=1.0)
    """Colour jitter: saturation times a random factor, at most so far from 1."""
    hue: float = Field(0.0, ge=0.0, le=0.5)
    """Colour jitter: the colour wheel turned by up to this part of a turn."""
    cutout: int = Field(0, ge=0)
    """Cover a square of P×P pixels at a random place with the image's mean colour."""
    erase: float = Field(0.0, ge=0.0, le=1.0)
    """Random erasing: with this probability a rectangle of 2 to 33 % of the image becomes noise."""
    mixup: float = Field(0.0, ge=0.0)
    """Lay pairs of images over each other, their labels too; the share is from Beta(A, A): 0.2 mixes little, 1 evenly.
    train_accuracy then counts answers that name the larger share. With cutmix too, each batch gets one of both."""
    cutmix: float = Field(0.0, ge=0.0)
    """Paste a box of another image into each, the labels shared by area; its size is from Beta(A, A), 1 is usual."""


class ModelOptions(Options):
    """The net; `tenfold list models` shows the names and which options each reads."""

    name: str = "simplenn"
    """Which net; one of your own is FILE.py:CLASS and is named by --model."""
    sha256: str | None = None
    """The SHA-256 of a file of your own, as it was when the run began; recorded by tenfold."""
    norm: str | None = None
    """Normalisation after each convolution: none or batch."""
    activation: str | None = None
    """relu, leaky_relu, swish (silu), gelu or mish."""
    width: float | None = Field(None, gt=0, le=64)
    """Multiplies the number of channels and hidden units."""
    dropout: float | None = Field(None, ge=0.0, lt=1.0)
    """Probability that a hidden unit is left out of a training step."""
    adaptive_pool: bool | None = None
    """Pool any image size to the map that the first linear layer was built for."""
    head_activation: Literal["none", "relu", "silu", "softmax"] | None = None
    """Applied to the logits: a mistake to study, for cross-entropy takes logits as they are; none is right (simplenn).
    """
    shortcut: Literal["A", "B", "none"] | None = None
    """A: pixels left out, zeros for new channels; B: 1×1 convolutions; none (resnet)."""
    norm_placement: Literal["all", "first"] | None = None
    """Batch norm after every convolution, or after the first of each block only (resnet)."""
    depth: int | None = Field(None, ge=1)
    """Convolutions of each group: 2, or 3 with a shortcut over the last two (sprint)."""
    whiten_bias_epochs: int | None = Field(None, ge=0)
    """Epochs in which the whitening layer's bias is trained, its rate falling to 0 (sprint)."""
    whiten: bool | None = None
    """Whether the first layer's filters whiten patches of the images, and stay; else they are trained (sprint)."""
    identity_start: bool | None = None
    """Whether 3×3 convolutions begin by passing their input on; else at random (sprint)."""


class OptimizerOptions(Options):
    """How weights move."""

    name: str = "sgd"
    """sgd, adam, adamw, radam, rmsprop, adagrad, lion or muon."""
    lr: float = Field(0.01, gt=0)
    """Learning rate; muon: of the convolutions' filters."""
    weight_decay: float = Field(1e-4, ge=0)
    """L2 strength: added to the gradient as weight_decay · w, which keeps weights small. adamw and lion: share of each
    weight taken away in a step, times the rate. muon: share of biases and linear weights taken away at full rate."""
    l1: float | None = Field(None, ge=0)
    """L1 strength: l1 · sign(w) is added to the gradient of filters and linear weights (never of biases and norms),
    which drives those that the loss does not need to 0 (all but muon, which rescales filters anyhow)."""
    momentum: float | None = Field(None, ge=0.0, lt=1.0)
    """Momentum: the share of the last step that the next one keeps (sgd, rmsprop, muon)."""
    nesterov: bool | None = None
    """Nesterov's momentum (sgd, muon)."""
    decay_norms: bool | None = None
    """Whether weight decay acts on biases and normalisations too; they are few, and a net may fare better without
    (all but muon)."""
    clip_norm: float = Field(0.0, ge=0)
    """Where the gradient of all weights together is longer than this, it is shortened to it, which tames the odd
    batch that would throw the weights far off; 0: never. It acts before weight_decay and l1."""
    ns_steps: int | None = Field(None, ge=0, le=20)
    """Newton–Schulz steps that make a filter's momentum orthogonal; 0: it is only brought to length 1 (muon)."""
    bias_lr: float | None = Field(None, gt=0)
    """Learning rate of biases and normalisations (muon)."""
    head_lr: float | None = Field(None, gt=0)
    """Learning rate of linear weights (muon)."""
    beta1: float | None = Field(None, ge=0.0, lt=1.0)
    """Decay of the gradient's running mean (adam, adamw, radam); weight of the momentum in a step (lion)."""
    beta2: float | None = Field(None, ge=0.0, lt=1.0)
    """Decay of the squared gradient's running mean (adam, adamw, radam, rmsprop), of the momentum (lion)."""


class ScheduleOptions(Options):
    """How the learning rate changes over the run."""

    name: str = "constant"
    """constant, step, halving, multi_step, exponential, polynomial, linear, cosine, cosine_restarts, cyclic, one_cycle
    or plateau; `tenfold show schedule` draws it."""
    warmup: float = Field(0.0, ge=0)
    """Epochs in which the rate rises from 0 in a straight line, before the schedule begins."""
    every: int | None = Field(None, ge=1)
    """Epochs between two drops (step, halving)."""
    factor: float | None = Field(None, gt=0, le=1)
    """The learning rate is multiplied by this at each drop (step, multi_step, plateau), or each epoch (exponential)."""
    drops: tuple[Annotated[float, Field(gt=0, lt=1)], ...] | None = None
    """Shares of the run after which the rate drops (multi_step)."""
    floor: float | None = Field(None, ge=0, le=1)
    """The lowest factor: at the end of the run (polynomial, linear, cosine, one_cycle) or of a cycle
    (cosine_restarts, cyclic)."""
    power: float | None = Field(None, gt=0)
    """1: a straight line; smaller: a steep end; larger: a steep beginning (polynomial)."""
    period: float | None = Field(None, gt=0)
    """Epochs of the first cycle (cosine_restarts), or of every one (cyclic)."""
    stretch: int | None = Field(None, ge=1)
    """Each cycle is so many times as long as the one before (cosine_restarts)."""
    patience: int | None = Field(None, ge=0)
    """The rate drops after more than so many epochs in a row without a better validation accuracy (plateau)."""
    start: float | None = Field(None, ge=0, le=1)
    """The factor at the beginning (one_cycle)."""
    peak: float | None = Field(None, gt=0, lt=1)
    """The share of the run after which the rate is highest (one_cycle)."""
    anneal: Literal["linear", "cosine"] | None = None
    """Straight lines, or half cosines (one_cycle)."""


class BackendOptions(Options):
    """How the arithmetic is done. What is left open is measured on this machine, for this net, at the start."""

    choice: Literal["measure", "search", "reference"] = "measure"
    """measure: try what is open, for at most 2 % of the run; search: all of it, torch.compile too; reference: fp32."""
    precision: Literal["auto", "fp32", "bf16_grad", "bf16_onednn", "bf16", "bf16_all"] = "auto"
    """fp32; bf16_grad: the gradients of convolutions from bf16 products (native kernels); bf16_onednn: oneDNN may round
    the factors of all products (CPU); bf16: autocast; bf16_all: bf16 throughout with fp32 master weights."""
    layout: Literal["auto", "channels_last", "contiguous"] = "auto"
    """How images lie in memory."""
    kernels: Literal["auto", "torch", "native"] = "auto"
    """torch's, or tenfold's own for the CPU: norms, pooling, 3×3 convolutions in fp32 (compiled once, with g++)."""
    compile: bool | None = None
    """torch.compile the net; unset: only if a search found it faster."""
    threads: int | None = Field(None, ge=1, le=1024)
    """CPU threads; unset: measured, at most one for each core this process may use."""
    tolerance: float = Field(1.0, gt=0, le=10)
    """Times the usual limits that outputs and gradients of what is measured may differ from plain fp32's. Above 1 only
    where trainings over seeds have shown that accuracy stays the same."""

    @property
    def open(self) -> list[str]:
        """The names of what is left to be measured."""
        return [name for name, value in self.model_dump().items() if value in (None, "auto")]


class Recipe(Options):
    """One complete description of a training run."""

    name: str = "custom"
    """What the recipe is called; run folders begin with it."""
    data: str = "shapes"
    """cifar10, shapes, arrows, or the path of an image folder, zip, label CSV or CIFAR-10 download."""
    image_size: int | None = Field(None, ge=1, le=4096)
    """Side in pixels that images are resized to; unset: the data's own (a folder: median side, at most 64)."""
    split_seed: int = Field(0, ge=0)
    """Which images are validation; independent of --seed, so that all seeds see the same split."""
    validation: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the training images kept for validation, where the data brings no validation split."""
    test: float = Field(0.1, gt=0.0, lt=1.0)
    """Share of the images held out as test set, where the data brings no test split."""
    fraction: float = Field(1.0, gt=0.0, le=1.0)
    """Train on this share of the training images, drawn class by class from split_seed: for quick trials. The images
    that select and judge stay all."""
    train_on: Literal["train", "train+val"] = "train"
    """train+val: a final recipe, trained on both; its last weights are its result."""
    weights: str | None = None
    """A run whose weights are the start (fine-tuning)."""
    preprocess: PreprocessOptions = PreprocessOptions()
    augment: AugmentOptions = AugmentOptions()
    model: ModelOptions = ModelOptions()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: ScheduleOptions = ScheduleOptions()
    epochs: int = Field(30, ge=1)
    """Passes over the training images."""
    batch: int = Field(128, ge=1)
    """Images in one step."""
    micro_batch: int | None = Field(None, ge=1)
    """A step's images pass the net in slices of at most so many, the gradients added up: less memory, and faster where
    a slice fits the cache. Batch norm sees each slice alone (ghost batch norm, Hoffer et al. 2017), and its running
    statistics move as far in a step as they would without slices."""
    label_smoothing: float = Field(0.0, ge=0.0, lt=1.0)
    """This share of each label is spread over all classes in training; train_loss is then of the smoothed labels."""
    ema: float = Field(0.0, ge=0.0, lt=1.0)
    """Judge and save a moving average of the weights, which keeps this share of itself at each step (0.99: of about the
    last 100 steps; fewer at the beginning); 0: the weights themselves. Batch norms' statistics are averaged alike."""
    early_stopping: int | None = Field(None, ge=1)
    """End the run once so many epochs in a row brought no better validation accuracy; unset: train all epochs."""
    curriculum: tuple[Stage, ...] = ()
    """Smaller training images first, as pairs: 24 2 28 3 is two epochs of 24 pixels, then three of 28."""
    tta: Literal["none", "flip", "flip_translate"] = "none"
    """Also judge by several views of an image: its mirror image, and both moved by one pixel. Reported beside."""
    tta_share: float = Field(1.0, gt=0.0, le=1.0)
    """Only this share of the images, the least sure ones, get the other views."""
    seed: int = Field(0, ge=0)
    """Initial weights, order of the images and augmentation follow from it."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    backend: BackendOptions = BackendOptions()
    ignore: tuple[str, ...] = ()
    """Rules of `tenfold check` that are to keep silent, by name; errors of such a rule do not stop the run."""
    checkpoint_every: int | None = Field(None, ge=1)
    """Save the state every N steps as well as after every epoch."""


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each option of a nested dictionary as ('optimizer.lr', value)."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `leaves`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        *groups, last = path.split(".")
        node = tree
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
    return tree


OPTION_NAMES = tuple(name for name, _ in leaves(Recipe().model_dump()))


def parse(values: Mapping[str, Any], where: str = "the recipe") -> Recipe:
    """A Recipe from a nested dictionary; RecipeError names each wrong option and what is allowed."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{where[0].upper()}{where[1:]} cannot be used.", explain(error)) from None


def explain(error: ValidationError) -> str:
    """A pydantic error as one line an option, with near names for unknown ones."""
    lines = []
    for problem in error.errors():
        option = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"There is no option '{option}'. {near(option, OPTION_NAMES)}")
        else:
            said = problem["msg"][0].lower() + problem["msg"][1:]
            lines.append(f"{option}: {said}; it is {problem['input']!r}.")
    return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """A recipe and where each of its values came from."""

    recipe: Recipe
    origin: dict[str, Origin] = field(default_factory=dict)

    @classmethod
    def of(cls, recipe: Recipe) -> "Plan":
        """A plan in which every explicitly written value counts as the recipe's own."""
        written = dict(leaves(recipe.model_dump(exclude_unset=True)))
        return cls(recipe, {name: "recipe" if name in written else "default" for name in OPTION_NAMES})

    def override(self, values: Mapping[str, Any], origin: Origin = "user") -> "Plan":
        """This plan with some options (dotted names) set anew."""
        for name in values:
            if name not in OPTION_NAMES:
                raise RecipeError(f"There is no option '{name}'.", near(name, OPTION_NAMES))
        flat = {**dict(leaves(self.recipe.model_dump())), **values}
        recipe = parse(nested(flat), "these options")
        return Plan(recipe, {**self.origin, **dict.fromkeys(values, origin)})

    def to_json(self) -> str:
        """Strict JSON: {"recipe": …, "origin": …}."""
        return json.dumps({"recipe": self.recipe.model_dump(), "origin": self.origin}, indent=2)

    @classmethod
    def from_dict(cls, values: dict[str, Any], where: str) -> "Plan":
        """From what `to_json` wrote, read as JSON."""
        # An option younger than the run has its default.
        return cls(parse(values["recipe"], where), {**dict.fromkeys(OPTION_NAMES, "default"), **values["origin"]})


def load(path: Path) -> Plan:
    """A recipe file: JSON or TOML, its options alone or a run's recipe.json."""
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise RecipeError(f"The recipe file {path} cannot be read: {error.strerror}.") from None
    except (json.JSONDecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        kind = "TOML" if path.suffix == ".toml" else "JSON"
        raise RecipeError(f"The recipe file {path} is not valid {kind}: {error}.") from None
    if not isinstance(values, dict):
        raise RecipeError(
            f"The recipe file {path} must hold one object of options.", '{"epochs": 5, "optimizer": {"lr": 0.1}}'
        )
    if isinstance(values.get("recipe"), dict):
        values = values["recipe"]
    return Plan.of(parse(values, f"the recipe file {path}"))
