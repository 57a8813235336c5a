"""The facts about a program that ran: calls of nets, losses, steps, loaders, each with the user's line."""

import itertools
import linecache
import math
import os
import sys
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Subset

from tenfold.models.usercode import is_users


@dataclass(frozen=True)
class Place:
    """A line of the user's code."""

    file: str
    line: int
    function: str = ""

    @property
    def code(self) -> str:
        """The line itself."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def where(self) -> dict[str, Any]:
        """File and line, as a finding takes them."""
        return {"file": shown(self.file), "line": self.line}


def shown(file: str) -> str:
    """A file's path as short as it can be said from here."""
    return os.path.relpath(file) if Path(file).is_absolute() and Path(file).is_relative_to(Path.cwd()) else file


def own(file: str) -> bool:
    """Whether lines of this file are the user's own."""
    return not file.startswith("<") and "site-packages" not in file and is_users(file)


def here() -> Place | None:
    """The line of the user's code that is running now."""
    return next(map(place_of, running()), None)


def running() -> Iterator[FrameType]:
    """The frames of the user's code that are running now, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if own(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def place_of(frame: FrameType) -> Place:
    """The line at which a frame is."""
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


def in_layer() -> bool:
    """Whether a layer of torch's runs, called by the user's line."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not own(frame.f_code.co_filename):
        if frame.f_globals.get("__name__", "").startswith("torch.nn.modules"):
            return True
        frame = frame.f_back
    return False


def frames(of: object = None) -> tuple[Place, ...]:
    """The user's lines that are running now, the innermost first; those of `of`'s own __init__ are left out."""
    lines = (
        place_of(frame)
        for frame in running()
        if of is None or frame.f_code.co_name != "__init__" or frame.f_locals.get("self") is not of
    )
    return tuple(itertools.islice(lines, DEEP))


Span = tuple[int | None, int | None, int | None, int | None]
"""First and last line, first and last column."""


def spans(deep: int) -> tuple[Span, ...]:
    """Of the user's lines that are running now, the innermost first, where the call that runs begins and ends."""
    several = ((frame.f_code.co_positions(), frame.f_lasti // 2) for frame in itertools.islice(running(), deep))
    return tuple(next(itertools.islice(positions, at, None), (None,) * 4) for positions, at in several)


def length(loads: Any) -> int:
    """Batches of a loader, or items of a dataset; 0 where it does not know."""
    try:
        return len(loads)
    except (TypeError, NotImplementedError):
        return 0


def whole(dataset: Any) -> Any:
    """The dataset that a subset is of."""
    return whole(dataset.dataset) if isinstance(dataset, Subset) else dataset


DEEP = 12
"""Lines of a stack that are kept."""


@dataclass(frozen=True)
class Event:
    """Something that happened on the data's side, outside of nets."""

    kind: str
    """seed, flip, shape or draw."""
    name: str
    places: tuple[Place, ...]
    calls: int
    """How many calls of nets came before, and how many steps."""
    steps: int
    fetching: bool
    """Whether a loader was fetching items."""
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    axes: tuple[int, ...] = ()
    seed: str | None = None

    @property
    def place(self) -> Place:
        """The innermost line of the user's."""
        return self.places[0]


@dataclass(frozen=True)
class Fetch:
    """One batch that a loader fetched."""

    number: int
    """In which pass over the loader, from 1."""
    items: tuple[Any, ...]
    drawn: bool
    """Whether random numbers of a global generator were drawn."""
    seeds: tuple[Event, ...]


@dataclass(eq=False)
class Loader:
    """One DataLoader: where it was made, what it loads, and what its batches were used for."""

    loader: Any
    place: Place | None
    passes: int = 0
    batches: int = 0
    steps: int = 0
    judged: int = 0
    worker_init: Any = None
    workers: int = 0
    first_labels: list[list[int]] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    persistent: bool = False
    """Whether its workers, if there were any, would live through all epochs."""
    plain: dict[str, Any] = field(default_factory=dict)
    """The numbers and words that its dataset held when it last gave a batch."""
    unheard: set[str] = field(default_factory=set)
    """Those that the program changed between two passes."""
    stored_labels: dict[str, bytes] = field(default_factory=dict)
    """Digests of the labels that its dataset held at first, by name."""
    cut: bool = False
    """Whether a pass without training was cut short."""
    given: set[int] = field(default_factory=set)
    """How many images it gave in each pass without training that was cut short."""


@dataclass(eq=False)
class Batch:
    """One batch of a loader."""

    loader: Loader
    number: int
    randomness: Any = None
    parts: tuple[Tensor, ...] = ()
    """Of the first batches: its tensors, as they came."""


@dataclass(frozen=True)
class Made:
    """An activation or softmax that gave a tensor."""

    name: str
    place: Place | None
    layer: str


@dataclass(eq=False)
class Call:
    """One call of a net that is not inside another net's call."""

    number: int
    module: nn.Module
    place: Place | None
    step: int
    grad: bool
    noisy: tuple[str, ...]
    """Batch norms and dropouts that act as in training."""
    calm: tuple[str, ...]
    """Batch norms and dropouts that act as in evaluation."""
    shape: tuple[int, ...] = ()
    mean: float = 0.0
    std: float = 0.0
    low: float = 0.0
    high: float = 0.0
    same: bool = False
    """Whether all images of the batch are equal."""
    hashes: tuple[float, ...] = ()
    batch: Batch | None = None
    output: tuple[int, ...] = ()
    outputs: int = 0
    """How many tensors it gave."""
    lowest: float = 0.0
    """Of its output."""
    memory: int = 0
    """Its output's address."""
    highest: Tensor | None = None
    """Without gradients, where in each row [N, C] of its output the highest numbers are [N, up to 5]."""
    moved: bool = False
    drawn: bool = False
    """Whether random numbers were drawn between the loader's batch and this call."""
    sought: bool = False
    """Whether the gradient of its images themselves is wanted."""
    trained: bool = False
    judged: bool = False
    loss: float | None = None
    right: float | None = None
    """The share of right answers, where the program compares them."""
    losses: int = 0
    """How many losses were seen before it: those after may be its own, as of a criterion with weights."""
    whole: bool = False
    """Whether it was given whole numbers."""
    mode: bool = True
    """Whether the net as a whole is in training mode."""
    images: Tensor | None = None
    """What it was given, of the first calls."""
    labels: Tensor | None = None
    """Class numbers [N] that its output was compared with."""
    places: tuple[Place, ...] = ()
    """The user's lines, the innermost first."""
    spans: tuple[Span, ...] = ()
    """Where in the innermost of these lines the calls stand that lead to it."""
    told: bool = False
    """Whether it was given whole numbers [N] beside its input, as labels are for a margin."""
    taken: tuple[Tensor, ...] = ()
    """What was taken out of larger tensors by index since the call or backward before, of the first calls."""
    fed: tuple["Call", ...] = ()
    """Calls of other nets, an encoder's, whose outputs it was given."""
    roused: Place | None = None
    """Where its first noisy layer was set to training mode, if no training step came between."""

    def along(self, part: Tensor, dim: int) -> tuple[int, int] | None:
        """How many numbers an axis of a view of this call's whole output has, and how far apart; None of others."""
        if part.data_ptr() != self.memory or part.numel() != math.prod(self.output):
            return None
        return part.shape[dim], part.stride(dim)

    def chain(self) -> Iterator["Call"]:
        """This call, and those that fed it."""
        yield self
        for part in self.fed:
            yield from part.chain()


@dataclass(eq=False)
class LossCall:
    """One call of a loss function."""

    kind: str
    place: Place | None
    step: int
    grad: bool
    shape: tuple[int, ...]
    target_shape: tuple[int, ...]
    target_type: str
    target_low: float
    target_high: float
    whole: bool
    """Whether the targets are whole numbers."""
    value: float
    reduction: str
    made: Made | None
    low: float
    high: float
    row_sum: tuple[float, float]
    """The lowest and highest sum of a row of the input."""
    call: Call | None
    weighted: bool = False
    moved: bool = True
    backward: bool = False
    distinct: int = 0
    labels: tuple[int, ...] = ()
    target_rows: tuple[float, float] = (0.0, 0.0)
    """The lowest and highest sum of a row of targets [N, C]."""
    criterion: nn.Module | None = None
    """The loss's module, if it is one."""
    right: float | None = None
    """The share of outputs whose highest logit is the label's."""
    went: float = 0.0
    """The value that went backward; another than `value` where the loss was scaled or others were added."""
    target: Tensor | None = None
    """Of the first losses."""
    filled: bool = False
    """Whether the program made the targets of one number: all pairs fit, all images are real."""
    weights: tuple[float, ...] = ()
    """Of the classes."""
    own: bool = False
    """Whether the program writes it itself."""
    positive: float | None = None
    """Its pos_weight, if that is one number."""
    ignored: int = -100
    """The class number that it leaves out."""
    smoothing: float = 0.0
    """The share of each label that the loss spreads evenly over the classes."""
    along: tuple[int, int] | None = None
    """Of the net's output, how many numbers it takes for the classes, and how far apart they lie."""


def first(losses: list[LossCall], *kinds: str) -> LossCall | None:
    """The first loss of these kinds."""
    return next((loss for loss in losses if loss.kind in kinds), None)


@dataclass(eq=False)
class Drift:
    """A batch norm that acts as in training where no gradient is recorded: its first weights, and in which steps."""

    layer: nn.Module
    place: Place | None
    weights: Tensor
    steps: set[int] = field(default_factory=set)


@dataclass(eq=False)
class Pick:
    """One choice of a class, or one comparison with labels."""

    kind: str
    place: Place | None
    shape: tuple[int, ...]
    dim: int | None
    other: tuple[int, ...] = ()
    result: tuple[int, ...] = ()
    values: bool = False
    along: tuple[int, int] | None = None
    """Of the net's output, how many numbers one is chosen of, and how far apart they lie."""


@dataclass(frozen=True)
class Judging:
    """One comparison with labels of what a net says outside training: its batch, and the one fetched last."""

    place: Place | None
    batch: Batch
    latest: Batch


@dataclass(eq=False)
class Held:
    """One optimiser: where it was made, and its steps."""

    optimizer: Optimizer
    place: Place | None
    steps: int = 0
    uncleared: int = 0
    """Steps since whose last one the gradients were never cleared."""
    last: int = 0
    """The backward before its last step."""
    micro: int = 1
    """Backward passes to a step."""
    whole: int | None = None
    """Steps until enough was seen; from then on loops are cut short."""
    partly: int = 0
    """Steps before which some gradients, not all, were cleared since the last step."""
    stale: dict[int, Tensor] = field(default_factory=dict)
    """Parameters whose gradients of the last step are not cleared yet."""
    left: list[Tensor] = field(default_factory=list)
    """Parameters whose gradients were still there at the last such step."""
    empty: int = 0
    """Steps without any gradient."""
    cleared: bool = True
    cleared_at: Place | None = None
    emptied: int = 0
    """The backward before its last clearing."""
    closed: bool = False
    """Whether its steps compute the loss themselves, as often as they like."""
    wasted: int = 0
    """Backward passes whose gradients were cleared before any step."""
    clipped: int = 0
    """How often its gradients were clipped between a backward and its step, and how often elsewhere."""
    clipped_late: int = 0
    clipped_at: Place | None = None
    clip_shares: list[float] = field(default_factory=list)
    """The share of the gradients' norm that each clipping before a step left."""
    stepped_at: Place | None = None
    rates: list[float] = field(default_factory=list)
    loader: Loader | None = None
    """Whose batches its last step learned from."""
    stack: tuple[Place, ...] = ()
    """The user's lines that made it, the innermost first."""
    later: bool = False
    """Whether its first step came when enough was seen: a later phase of the training, of which little is seen."""
    parts: list[Optimizer] = field(default_factory=list)
    """Optimisers that step within its steps, as in Lookahead."""


@dataclass(eq=False)
class Step:
    """One step of an optimiser."""

    number: int
    held: Held
    loss: float | None
    ratios: dict[str, float]
    """Change over size of each weight that has a gradient."""
    gradients: dict[str, float]


@dataclass(eq=False)
class Scheduled:
    """One learning-rate scheduler: where it was made and stepped, and the optimiser's steps at each of its own."""

    scheduler: Any
    place: Place | None
    stepped_at: Place | None = None
    at: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """After each of its steps."""
    first_rate: float = 0.0
    stack: tuple[Place, ...] = ()
    metrics: list[float] = field(default_factory=list)
    """What it was told at its steps, if it looks at a figure."""


@dataclass(eq=False)
class Lesson:
    """One training batch: what the net got, the labels, and the loss function with its options."""

    inputs: Tensor
    target: Tensor
    kind: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Said:
    """A line that the program wrote, after so many calls of nets."""

    text: str
    calls: int
    place: Place | None


@dataclass
class Rows:
    """What lay side by side in rows at one moment."""

    after: Place | None = None
    """The line that ran before."""
    columns: dict[str, tuple[Hashable, ...]] = field(default_factory=dict)
    """Whole numbers, words and files, by name."""
    images: Tensor | None = None
    """[N, 3, side, side], small."""
    of: str = ""
    """What they are called."""


@dataclass(eq=False)
class Failure:
    """The operation in which the program failed: its name, the shapes and types it got, and the layer around it."""

    error: BaseException
    function: str
    given: list[str]
    layer: str = ""
    module: nn.Module | None = None
    last_map: tuple[int, ...] = ()
    place: Place | None = None


@dataclass(eq=False)
class Seen:
    """All facts of one run."""

    script: str
    sources: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    losses: list[LossCall] = field(default_factory=list)
    picks: dict[Any, Pick] = field(default_factory=dict)
    helds: list[Held] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    backwards: int = 0
    backward_at: Place | None = None
    grad_read: int = 0
    """The backward before the program last read a gradient itself."""
    schedulers: list[Scheduled] = field(default_factory=list)
    loaders: list[Loader] = field(default_factory=list)
    first: nn.Module | None = None
    """A copy of the net as it was before its first training call."""
    model: nn.Module | None = None
    """The net itself."""
    plain: list[tuple[type[nn.Module], str, tuple[int, ...]]] = field(default_factory=list)
    """The tensors that its layers held then as plain attributes: the layer's class, their name and shape."""
    inputs: tuple[Any, ...] = ()
    target: Tensor | None = None
    loaded: list[Any] = field(default_factory=list)
    """Modules into which saved weights were loaded."""
    kept: tuple[Place | None, int] | None = None
    """Where losses are kept with their graphs, and of how many steps."""
    cut: list[tuple[str, Place | None, str]] = field(default_factory=list)
    """What cut the graph inside a net's call: detach, data, item …"""
    cut_after: Place | None = None
    """Where logits were first taken out of the graph after a net's call, in training."""
    changed: dict[int, tuple[Place | None, int, str]] = field(default_factory=dict)
    """In-place changes, while training, of whole numbers that are part of more: by storage, where, how often, how."""
    scaled: dict[int, tuple[Place | None, int, str]] = field(default_factory=dict)
    """The same of images, by the first byte changed."""
    targets: dict[int, Any] = field(default_factory=dict)
    """Storages that losses took class numbers from, by address; held, so that no other tensor gets it."""
    judged_labels: set[int] = field(default_factory=set)
    judgings: list[Judging] = field(default_factory=list)
    latest: Batch | None = None
    """What a loader gave last."""
    reached: dict[int, tuple[str, Any, bool]] = field(default_factory=dict)
    """Parameters that got a gradient: name, the parameter, and whether its layer is among the net's modules."""
    used: dict[int, str] = field(default_factory=dict)
    """Parameters of layers that ran in training calls, by name."""
    bad_op: tuple[str, Place | None, int] | None = None
    """The first function of the training loop that made what is not finite of what was."""
    lone: tuple[Made, tuple[int, ...]] | None = None
    """A softmax over a single number an image, and the shape that it got."""
    spread: tuple[tuple[int, ...], tuple[int, ...], Place | None] | None = None
    """Outputs [N, 1] and numbers [N] that an operation of the program's own loss made [N, N] of."""
    sharp: tuple[str, Place | None] | None = None
    """A root or logarithm of 0 whose slope is infinite."""
    most_kept: int = 0
    """How many losses of earlier steps lay in memory with their graphs at once."""
    got: set[int] = field(default_factory=set)
    """Optimisers whose parameters had a gradient after a backward."""
    bad: tuple[str, int] | None = None
    """The first layer whose output was not finite, and the step."""
    bad_input: Call | None = None
    switched: dict[int, tuple[Place | None, int]] = field(default_factory=dict)
    """Where each module was last set to training mode, and after how many backward passes."""
    idle: dict[str, Tensor] = field(default_factory=dict)
    """For each ReLU: in how many calls in a row each of its units was 0 for every image."""
    saturated: dict[str, list[float]] = field(default_factory=dict)
    cuda: bool = False
    """Whether the program spoke of a GPU."""
    model_moved: Place | None = None
    moves: int = 0
    """How often a net was moved to a device, or back."""
    always_dropout: tuple[Place | None, str] | None = None
    dropped: tuple[float, Place | None] = (0.0, None)
    """The largest share that the program drops by a function, while training, and where."""
    numbered: list[tuple[Place | None, tuple[str, ...]]] = field(default_factory=list)
    """Names that np.unique put in order, and numbered by it: where, and the names."""
    graph_leaf: Place | None = None
    """Where backward was called on a loss that has no graph."""
    reads_norm: bool = False
    """Whether the net scales its images itself."""
    thawed: dict[int, tuple[str, int]] = field(default_factory=dict)
    """Parameters that were frozen once: name, and the last backward looked at that gave them a gradient."""
    log_softmax: tuple[tuple[int, ...], Place | None] | None = None
    """Shape and place of the last one outside of nets: of a loss that the program writes itself."""
    squashed: tuple[Made, Place | None, tuple[float, float]] | None = None
    """The activation whose values a log_softmax takes for logits, its line, and the lowest and highest of them."""
    own_first: float | None = None
    """The first value of such a loss."""
    own_reduced: tuple[str, float, Place | None] | None = None
    """The last sum or mean over all numbers [N, C] of a loss that the program writes itself: which, value, line."""
    own_scale: tuple[str, int, Place | None] | None = None
    """'sum' or 'mean', of so many images, where the first loss that went backward was one of these as it is."""
    own_targets: tuple[tuple[float, float], bool, Place | None] | None = None
    """What such a loss multiplies by: its lowest and highest sum of a row, whether none is 0, and the line."""
    refilled: list[Any] = field(default_factory=list)
    """Nets and optimisers into which a state was loaded, whenever."""
    brought: dict[int, float] = field(default_factory=dict)
    """The learning rate that the last state brought which was loaded into an optimiser, by its id."""
    unfit: tuple[Place | None, str, str] | None = None
    """Where weights were loaded of which none fits, a name that the net has, and one that was given."""
    unkept: Place | None = None
    """Where a net loads, as weights that were kept, its own as they are."""
    normed: dict[int, int] = field(default_factory=dict)
    """How often a batch norm in training mode got so many images."""
    affine: bool = False
    """Whether the net's output is what a linear layer or convolution gives."""
    last_line: Place | None = None
    """The user's line that gives the net's output."""
    entering: tuple[float, float] | None = None
    """Mean and deviation of what the net's first layer with weights reads."""
    asleep: tuple[str, float] | None = None
    """The first layer after which ReLU leaves almost nothing in the untrained net, and the share that it leaves."""
    blind: bool = False
    """Whether the net's output is the same for blank images."""
    blinded: Place | None = None
    """The user's line inside the net behind which nothing is left of the images."""
    wrapped: tuple[Place | None, float] | None = None
    """Where bytes of images first left their range, and the share of them that did."""
    stored: Place | None = None
    """Where fetching an item changes, in place, a part of what its dataset keeps."""
    opened: list[str] = field(default_factory=list)
    """Files that Pillow opened outside of loaders, in their order."""
    said: list[Said] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    looks: int = 0
    """How often rows were looked for."""
    looked: dict[tuple[int, int], tuple[dict[str, tuple[Hashable, ...]], Tensor | None]] = field(default_factory=dict)
    """The columns and images of what was looked at, by its address and content."""
    failure: Failure | None = None
    error: BaseException | None = None
    ended: str = ""
    """Why the observation ended: 'script', 'steps', 'timeout', 'error'."""
    births: dict[int, tuple[Any, tuple[Place, ...]]] = field(default_factory=dict)
    """For each module: a weak reference, and the user's lines that made it."""
    written: dict[int, Place] = field(default_factory=dict)
    """For each parameter's storage: the user's line that last wrote into it before the first call."""
    lessons: list[Lesson] = field(default_factory=list)
    """What the net was trained with in its first steps, as long as it is one batch a step and fits the memory."""
    drifting: dict[int, Drift] = field(default_factory=dict)
    """Batch norms that had learned before."""
    hidden: list[nn.Module] = field(default_factory=list)
    """Layers that ran but are not among the net's modules."""
    recurrent: bool = False
    """Whether some layer with weights ran more than once in one call of the net, or is a recurrent one of torch's."""
    bent: Place | None = None
    """Where a sigmoid or tanh first ran inside the net."""
    events: list[Event] = field(default_factory=list)
    event_counts: dict[Any, int] = field(default_factory=dict)
    tallies: dict[Any, Any] = field(default_factory=dict)
    """Numbers in which right answers may be counted."""
    carried: tuple[str, float, Place | None] | None = None
    """A count of right answers that training left: its name, what it was when the evaluation began, and the line."""
    made: dict[str, Any] = field(default_factory=dict)
    """What rules made of the facts, for others to use."""
    room: int = 24_000_000
    """How many more pixels may be kept."""
    faults: list[str] = field(default_factory=list)
    """Observers' own errors; none may be there."""

    def held_of(self, optimizer: Optimizer) -> Held | None:
        """What is known of an optimiser."""
        own = (held for held in self.helds if any(one is optimizer for one in (held.optimizer, *held.parts)))
        return next(own, None)

    def moved(self) -> set[int]:
        """The net's parameters that are not as they were before its first training call, whatever changed them."""
        begun = dict(self.first.named_parameters()) if self.first is not None else {}
        now = self.model.named_parameters() if self.model is not None else ()
        same = {id(p) for name, p in now if name in begun and p.shape == begun[name].shape and p.equal(begun[name])}
        return {id(p) for p in self.model.parameters()} - same if self.model is not None and begun else set()

    def training_calls(self) -> Iterator[Call]:
        """Calls that a step learned from."""
        return (call for call in self.calls if call.trained)

    def judging_calls(self) -> Iterator[Call]:
        """Calls whose output was only compared with labels."""
        return (call for call in self.calls if call.judged and not call.trained)

    def training_losses(self) -> list[LossCall]:
        """Losses that went backward, and whose calls a step learned from."""
        return [loss for loss in self.losses if loss.backward and (loss.call is None or loss.call.trained)]
