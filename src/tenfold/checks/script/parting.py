"""Where a program parts its data, and where it makes several images of one."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import assignment, called, flat, name_at, statement, tree, trees

TEST = r"test|prueba|prova(?!t)|essai"
"""What test images are called, in several languages."""
JUDGED = re.compile(rf"val|{TEST}|eval|held|dev|exam|check|pr(ü|ue)f", re.I)
TRAINED = re.compile(r"train|fit|entren|entra[iî]n|addestr|lern(?!rate)|appren", re.I)
"""Words for images that are judged on, and for those trained on, in several languages."""
PARTING = re.compile(r"split|repart|dividi|partag|teilen|separa", re.I)
"""What parts images, in several languages."""
COPYING = re.compile(
    r"replace=True|\.repeat\(|repeat_interleave|np\.repeat|np\.tile|\.tile\(|resample|oversampl|upsampl|balanc|choices\("
    r"|random_choice|\.extend\(|ConcatDataset|concat|\bcat\(|[vh]stack|(?<![a-z])aug|multinomial|duplicat|copies|randint\("
    r"|np\.resize\("
    r"|unfold|window|patch|tile|frame|slice|expand",
    re.I,
)
"""What may make several images of one."""
REPEATING = re.compile(
    r"replace=True|\.repeat\(|repeat_interleave|np\.repeat|tile\(|resample|oversampl|upsampl|balanc|choices\(|random_choice"
    r"|ConcatDataset|(?<![a-z])aug|multinomial|duplicat|copies|copias|kopien|np\.resize\(|expand|unfold|window|patch|crop",
    re.I,
)
"""What surely does."""
GROUPS = re.compile(r"repeat(_interleave)?\((np|torch)\.arange|arange\(.*\)\.repeat")
"""What numbers several images of one thing alike."""


def split_place(seen: Seen) -> Place | None:
    """The first statement that parts training from evaluation, rather than one that takes both from elsewhere."""
    found: list[tuple[bool, Place]] = []
    for file, parsed in trees(seen):
        for node in ast.walk(parsed):
            if isinstance(node, ast.Assign):
                targets, code = " ".join(map(ast.unparse, node.targets)), ast.unparse(node.value)
                splits = isinstance(node.targets[0], ast.Tuple) and PARTING.search(code) is not None
                if (TRAINED.search(targets) and JUDGED.search(targets)) or splits:
                    parts = bool(re.search(r"split|\[:|:\]|randperm|permutation|Subset", code))
                    found.append((not parts, Place(file, node.lineno)))
            elif isinstance(node, ast.For) and folds(node):
                found.append((False, Place(file, node.lineno)))
    if all(elsewhere for elsewhere, _ in found):
        for file, parsed in trees(seen):
            found += [(False, place) for place in (*cut_in_two(file, parsed), *masked_in_two(file, parsed))]
    return min(found, key=lambda one: (one[0], one[1].line), default=(False, None))[1]


def folds(node: ast.For) -> bool:
    """Whether a loop goes through the parts of a cross-validation: `for train, test in KFold(5).split(x)`."""
    target, parts = node.target, node.iter
    if isinstance(parts, ast.Call) and called(parts) == "enumerate" and isinstance(target, ast.Tuple) and parts.args:
        target, parts = target.elts[-1], parts.args[0]
    name = called(parts) if isinstance(parts, ast.Call) else ast.unparse(parts)  # not zip(x.split(32), y.split(32))
    return isinstance(target, ast.Tuple) and bool(re.search("fold|split", name, re.I))


def cut_in_two(file: str, parsed: ast.Module) -> Iterator[Place]:
    """Where `values[:n]` is taken, and `values[n:]` elsewhere."""
    slices = [(n, n.slice) for n in ast.walk(parsed) if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Slice)]
    ends = {(ast.unparse(n.value), ast.unparse(part.upper)): n.lineno for n, part in slices if part.upper is not None}
    for node, part in slices:
        few = isinstance(part.lower, ast.UnaryOp) or ast.unparse(part.lower or part) in "0123456789"
        if part.lower is not None and not few and (key := (ast.unparse(node.value), ast.unparse(part.lower))) in ends:
            yield Place(file, min(ends[key], node.lineno))


def masked_in_two(file: str, parsed: ast.Module) -> Iterator[Place]:
    """Where a mask got its value of which `values[mask]` and `values[~mask]` are taken."""
    taken = {ast.unparse(n.slice) for n in ast.walk(parsed) if isinstance(n, ast.Subscript)}
    for mask in sorted(name[1:] for name in taken if name.startswith("~") and name[1:] in taken):
        if (made := assignment(file, mask)) is not None:
            yield made


def copying(seen: Seen) -> Place | None:
    """The last statement before the split, and beside it, that makes several images of one, surely before perhaps."""
    split = split_place(seen)
    at = statement(split)
    block = getattr(getattr(at, "parent", None), "body", None) if at is not None else None
    if split is None or block is None or at not in block:
        return None
    perhaps: list[Place] = []
    for node in reversed(block[: block.index(at) + (not isinstance(at, ast.For))]):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        code, place = acting(node), Place(split.file, node.lineno)
        copies = COPYING.search(code) and not re.search(r"default_rng|seed|randperm|Normalize|DataLoader", code)
        if several_each(node) or REPEATING.search(body_of(node, split.file)) or (copies and REPEATING.search(code)):
            return place
        if copies:
            perhaps.append(place)
    return perhaps[0] if perhaps else None


def several_each(node: ast.stmt) -> bool:
    """Whether a loop makes one thing and appends several images of it: for each one, for each shot of it."""
    if not isinstance(node, ast.For):
        return False
    inner = [n for n in node.body if isinstance(n, ast.For)]
    made = {ast.unparse(t) for n in node.body if isinstance(n, ast.Assign) for t in n.targets}
    calls = [n for loop in inner for n in ast.walk(loop) if isinstance(n, ast.Call) and called(n) == "append"]
    return any(made & {ast.unparse(n) for n in ast.walk(call) if isinstance(n, ast.Name)} for call in calls)


def body_of(node: ast.stmt, file: str) -> str:
    """What the script's own function does that changes images into images: `x, y = more(x, y)`; else empty."""
    if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call):
        return ""
    given = {ast.unparse(argument) for argument in node.value.args}
    if not given & {ast.unparse(target) for target in flat(node)}:
        return ""
    name = called(node.value)
    return next((ast.unparse(f) for f in ast.walk(tree(file)) if isinstance(f, ast.FunctionDef) and f.name == name), "")


def repeats(source: Place | None) -> bool:
    """Whether a statement surely makes several images of one."""
    found = statement(source)
    if source is None or found is None:
        return False
    return several_each(found) or bool(REPEATING.search(acting(found) + body_of(found, source.file)))


def acting(node: ast.stmt) -> str:
    """Its code without names of what it makes or hands on: `augment = Compose(Shift(2))` and `Photos(paths, augment)`
    copy nothing yet.
    """
    makes = isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value)[:1].isupper()
    code = ast.unparse(node.value if makes and isinstance(node, ast.Assign) else node)
    return "" if code.startswith("Compose") else re.sub(r"(?<=[(,=])( ?)[A-Za-z_]\w*(?=[,)])", r"\1_", code)


def group_name(place: Place | None) -> str:
    """What numbers are called that say which images belong together: `specimen = np.repeat(np.arange(90), 12)`."""
    found = statement(place)
    code = ast.unparse(found.value) if isinstance(found, ast.Assign) else ""
    return name_at(place, "") if GROUPS.search(code) else ""
