"""Flips, turns and shifts: what they do to images, and where a program does them."""

import ast
import re
from collections.abc import Callable

import torch
from torch import Tensor

from tenfold.checks.script.augmenting import augmenting, functions
from tenfold.checks.script.seen import Event, Place, Seen
from tenfold.checks.script.source import around, called, text, trees

TURNS: dict[str, Callable[[Tensor], Tensor]] = {
    "horizontal flip": lambda x: x.flip(-1),
    "vertical flip": lambda x: x.flip(-2),
    "half turn": lambda x: x.flip(-1, -2),
    "quarter turn": lambda x: torch.rot90(x, 1, (-2, -1)),
    "three-quarter turn": lambda x: torch.rot90(x, 3, (-2, -1)),
    "transposition": lambda x: x.transpose(-1, -2),
    "inversion": lambda x: -x,
    "shift": lambda x: shifted(x),
    "another order of channels": lambda x: x.flip(1),
    "grey": lambda x: x.mean(1, keepdim=True).expand_as(x),
}
WRITTEN = {
    "horizontal flip": r"HorizontalFlip|hflip|fliplr|mirror|FLIP_LEFT_RIGHT|FlipLR",
    "vertical flip": r"VerticalFlip|vflip|flipud|FLIP_TOP_BOTTOM|FlipUD|ImageOps\.flip",
    "half turn": r"ROTATE_180|rot90|rotate\(|RandomRotation",
    "quarter turn": r"ROTATE_90|rot90|rotate\(|RandomRotation|TRANSPOSE",
    "three-quarter turn": r"ROTATE_270|rot90|rotate\(|RandomRotation",
    "transposition": r"(transpose|swapaxes)\(-[12], -[12]\)|(transpose|swapaxes)\(1, 2\)|TRANSPOSE\b|\.mT\b",
    "shift": r"roll\(|RandomAffine|translate|ImageChops\.offset",
    "another order of channels": r"randperm\(3\)|permutation\(3\)|\[2, 1, 0\]|ColorJitter|[Hh]ue|channel_sh",
    "grey": r"[Gg]r[ae]y|mean\((?:dim=|axis=)?(?:0|-3), keepdim",
    "inversion": r"[Ii]nvert|\b255 - |(?<![\w.])1(?:\.0)? - |(?:=|return) -|\* -1",
}
"""How each may be written."""


PILLOW = {
    0: "horizontal flip", 1: "vertical flip", 2: "quarter turn", 3: "half turn", 4: "three-quarter turn",
    5: "transposition",
}  # fmt: skip
"""Its numbers of what Image.transpose does."""


def shifted(images: Tensor) -> Tensor:
    """Each image rolled by up to a third of its size."""
    chance = torch.Generator().manual_seed(5)
    most = max(1, min(images.shape[-2:]) // 3)
    by = torch.randint(-most, most + 1, (len(images), 2), generator=chance).tolist()
    return torch.stack([torch.roll(image, shift, (-2, -1)) for image, shift in zip(images, by)])


def turning_places(seen: Seen) -> list[tuple[str, Place]]:
    """Flips and turns of the program's, by name, those that were seen before those that are written."""
    flips = [event for event in seen.events if event.kind == "flip"]
    live = [event for event in flips if event.fetching or (event.steps and event.calls < len(seen.calls))]
    found = [(name, event.place) for event in live for name in kinds(event)]
    for file, parsed in trees(seen):
        helping = helpers(parsed)
        nodes = [n for n in ast.walk(parsed) if isinstance(n, ast.stmt) and not hasattr(n, "body")]
        for node in (n for n in nodes if guarded(n) or inside(n, helping)):
            code = ast.unparse(node)
            named = [name for name, pattern in WRITTEN.items() if re.search(pattern, code)]
            named += ["horizontal flip", "vertical flip"] if "::-1" in code else []
            found += [(name, Place(file, node.lineno)) for name in named]
    found += [(name, event.place) for event in flips for name in kinds(event)]
    return list(dict.fromkeys(found))


def helpers(parsed: ast.AST) -> set[str]:
    """The names of functions that augmenting functions call, and those call in turn."""
    local = {function.name: function for function in functions(parsed)}
    waiting, found = [function for function in local.values() if augmenting(function)], set[str]()
    while waiting:
        names = {called(n) for n in ast.walk(waiting.pop()) if isinstance(n, ast.Call)} & set(local) - found
        waiting += [local[name] for name in names]
        found |= names
    return found


def inside(node: ast.stmt, names: set[str]) -> bool:
    """Whether a statement stands in one of these functions."""
    return any(isinstance(n, ast.FunctionDef) and n.name in names for n in around(node))


def guarded(node: ast.stmt) -> bool:
    """Whether a statement runs only sometimes, by chance, or makes what does."""
    tests = [ast.unparse(n.test) for n in around(node) if isinstance(n, ast.If)]
    drawn = any(re.search("rand|flip|aug|train|coin|choice|uniform", test) for test in tests)
    changing = any(isinstance(n, ast.FunctionDef) and augmenting(n) for n in around(node))
    return drawn or changing or bool(re.search(r"Random|torch\.where|rand.*(flip|::-1)", ast.unparse(node)))


def kinds(event: Event) -> list[str]:
    """What a flip that was seen may be, by its axes."""
    if event.name == "transpose" and len(event.axes) == 1 and event.axes[0] in PILLOW:
        return [PILLOW[event.axes[0]]]
    if event.name == "transpose":
        code = text(event.place)
        return [name for name, pattern in WRITTEN.items() if re.search(pattern, code)]
    if event.name == "roll":
        return ["shift"]
    if event.name in ("rotate", "rot90"):
        return ["quarter turn", "three-quarter turn", "half turn"]
    dims = len(event.before)
    last = event.before[-1] in (1, 3, 4) and dims >= 3 and event.before[0] not in (1, 3, 4)
    across, down = (dims - 2, dims - 3) if last else (dims - 1, dims - 2)
    axes = {axis % dims for axis in event.axes} if dims else set()
    if {across, down} <= axes or not axes:
        return ["half turn"]
    if across in axes or down in axes:
        return ["horizontal flip"] if across in axes else ["vertical flip"]
    return ["another order of channels"] if event.before[min(axes)] in (3, 4) else []
