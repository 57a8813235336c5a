"""The best of several is chosen by its score on the test images: followed through the source, also into functions."""

import ast
import re
from collections.abc import Iterator
from functools import lru_cache

from tenfold.checks.rules import finding
from tenfold.checks.script.keeping import BEST, KEEPING
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import TEST
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, called, given, line, trees
from tenfold.errors import Finding

PICKS = ("max", "min", "argmax", "argmin", "sorted", "nanmax", "amax")
DEEP = 6
"""Steps that a value is followed back."""
Function = ast.FunctionDef


def selected_on_test(seen: Seen) -> Iterator[Finding]:
    """The best epoch, or the best of several settings, is chosen on the test images."""
    for file, tree in trees(seen):
        for score, how in scores(tree):
            source = origin(tree, score, DEEP)
            if source is not None:
                place = Place(file, source.lineno)
                yield finding(
                    "selected-on-test",
                    "The best is chosen on the test images",
                    f"What `{how}` (line {score.lineno}) compares comes from `{ast.unparse(source)[:120]}`"
                    f"{line(place)}.",
                    "Choose on validation images kept from the training images; open the test images once, at the end.",
                    **where(place),
                )
                return


def scores(tree: ast.Module) -> Iterator[tuple[ast.expr, str]]:
    """Values that something is chosen by, and the code that chooses."""
    keepers = dict(keeping(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Compare | ast.BoolOp):
            for compare in (n for n in ast.walk(node.test) if isinstance(n, ast.Compare)):
                sides = [compare.left, *compare.comparators]
                if any(BEST.search(ast.unparse(side)) for side in sides):
                    yield from ((s, ast.unparse(compare)) for s in sides if not BEST.search(ast.unparse(s)))
        elif isinstance(node, ast.Call):
            name = called(node)
            if name in ("max", "min") and any(BEST.search(ast.unparse(a)) for a in node.args) and len(node.args) > 1:
                yield from ((a, ast.unparse(node)) for a in node.args if not BEST.search(ast.unparse(a)))
            elif name in ("max", "min") and (key := by_call(node)) is not None:
                yield key, ast.unparse(node)
            elif name in PICKS and node.args and not isinstance(getattr(node, "parent", None), ast.Slice):
                yield from ((value, ast.unparse(node)) for value in gathered(tree, node.args[0]))
                yield from ((value, ast.unparse(node)) for value in by_field(tree, node))
            elif name == "sort" and isinstance(node.func, ast.Attribute) and first_taken(tree, node.func.value):
                yield from ((value, ast.unparse(node)) for value in by_field(tree, node))
            elif name in ("idxmax", "idxmin") and isinstance(node.func, ast.Attribute):
                yield node.func.value, ast.unparse(node)
            elif name in keepers and node.args:
                yield node.args[min(keepers[name], len(node.args) - 1)], ast.unparse(node)


def by_call(node: ast.Call) -> ast.expr | None:
    """What a max or min calls for each of several, as key=lambda snapshot: score(snapshot, images)."""
    key = next((k.value for k in node.keywords if k.arg == "key"), None)
    return key.body if isinstance(key, ast.Lambda) and isinstance(key.body, ast.Call) else None


def first_taken(tree: ast.Module, table: ast.expr) -> bool:
    """Whether the first or last of a sorted table is taken."""
    return re.search(rf"(?<!\w){re.escape(ast.unparse(table))}\[(0|-1)\]", ast.unparse(tree)) is not None


def by_field(tree: ast.Module, call: ast.Call) -> Iterator[ast.expr]:
    """The field by which a max or sort takes records, and what they are given for it: key=lambda trial: trial.score."""
    field = field_of(call)
    for name, fields in records(tree):
        if isinstance(field, int) and -len(fields) <= field < len(fields):
            yield ast.copy_location(ast.Constant(fields[field]), call)
        if field not in fields:
            continue
        at = fields.index(str(field))
        for made in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and called(n) == name):
            yield from (k.value for k in made.keywords if k.arg == field)
            yield from made.args[at : at + 1]
    if isinstance(field, str):
        yield ast.copy_location(ast.Constant(field), call)


def field_of(call: ast.Call) -> str | int | None:
    """The name or number of the field that a key takes: a lambda's, an itemgetter's or an attrgetter's."""
    key = next((k.value for k in call.keywords if k.arg == "key"), None)
    taken: ast.expr | None = None
    if isinstance(key, ast.Lambda) and isinstance(key.body, ast.Attribute):
        return key.body.attr
    if isinstance(key, ast.Lambda) and isinstance(key.body, ast.Subscript):
        taken = key.body.slice
    elif isinstance(key, ast.Call) and called(key) in ("itemgetter", "attrgetter") and len(key.args) == 1:
        taken = key.args[0]
    try:
        value = ast.literal_eval(taken) if taken is not None else None
    except ValueError:
        return None
    return value if isinstance(value, str | int) else None


def records(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Names of dataclasses and named tuples, and of their fields in order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield node.name, [ast.unparse(n.target) for n in node.body if isinstance(n, ast.AnnAssign)]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value) == "namedtuple":
            words = [n.value for n in ast.walk(node.value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
            yield ast.unparse(node.targets[0]), " ".join(words[1:]).replace(",", " ").split()


def keeping(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Methods that compare an argument with the best so far, and which argument; a stopper's __call__ by its names."""
    for owner in (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)):
        for method in (n for n in owner.body if isinstance(n, Function)):
            names = [a.arg for a in method.args.args][1:]
            for compare in (n for n in ast.walk(method) if isinstance(n, ast.Compare)):
                text = ast.unparse(compare)
                at = next((i for i, name in enumerate(names) if re.search(rf"\b{name}\b", text)), None)
                if at is not None and BEST.search(text):
                    yield from ((name, at) for name in spoken(tree, owner.name, method.name))


def spoken(tree: ast.Module, owner: str, method: str) -> list[str]:
    """The names by which a method is called."""
    if method != "__call__":
        return [method]
    return [
        ast.unparse(t).rpartition(".")[2]
        for n in ast.walk(tree)
        if isinstance(n, ast.Assign) and isinstance(n.value, ast.Call) and called(n.value) == owner
        for t in n.targets
    ]


def gathered(tree: ast.Module, node: ast.expr) -> Iterator[ast.expr]:
    """The values that were put into a list or table which is chosen from."""
    names = {ast.unparse(n) for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)}
    for other in ast.walk(tree):
        if isinstance(other, ast.Call) and called(other) == "append" and isinstance(other.func, ast.Attribute):
            if ast.unparse(other.func.value) in names and other.args:
                yield other.args[0]
        elif isinstance(other, ast.Assign) and isinstance(other.targets[0], ast.Subscript):
            if ast.unparse(other.targets[0].value) in names:
                yield other.value
        elif isinstance(other, ast.Assign) and ast.unparse(other.targets[0]) in names:
            if isinstance(other.value, ast.ListComp):
                yield other.value.elt
            elif isinstance(other.value, ast.DictComp):
                yield other.value.value


def origin(tree: ast.Module, value: ast.expr, depth: int) -> ast.expr | ast.stmt | None:
    """The expression on the test images that a value comes from; None where it comes from elsewhere."""
    text = re.sub(r"(?<=, )'[^']*'(?=[,)])", "", ast.unparse(value))  # a heading to print says little
    if depth == 0 or re.search(r"val(id|_|\b|x|y)|dev_", text, re.I):
        return None
    if uses_test(tree, value) or defaults_to_test(tree, value):
        return value
    if (setting := set_to_test(tree, value)) is not None:
        return setting
    function = next((n for n in around(value) if isinstance(n, Function)), None)
    scope: ast.AST = function or tree
    for name in [n for n in ast.walk(value) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]:
        for source in sources(tree, scope, name.id, value.lineno):
            found = origin(tree, source, depth - 1)
            if found is not None:
                return found
        for passed in given(tree, function, name.id):
            found = origin(tree, passed, depth - 1)
            if found is not None:
                return passed if uses_test(tree, passed) else found
    for kept in [n for n in ast.walk(value) if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "self"]:
        for source in kept_as(kept):
            found = origin(tree, source, depth - 1)
            if found is not None:
                return found
    return None


def kept_as(attribute: ast.Attribute) -> Iterator[ast.expr]:
    """What the class of the code keeps under this attribute of self."""
    owner = next((n for n in around(attribute) if isinstance(n, ast.ClassDef)), None)
    for node in ast.walk(owner) if owner is not None else ():
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts))
            yield from (given for to, given in pairs if ast.unparse(to) == f"self.{attribute.attr}")


def uses_test(tree: ast.Module, value: ast.expr) -> bool:
    """Whether an expression reads something named for the test images; held out are these where others develop."""
    names = [n.id for n in ast.walk(value) if isinstance(n, ast.Name)]
    names += [n.attr for n in ast.walk(value) if isinstance(n, ast.Attribute)]
    names += [n.value for n in ast.walk(value) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    called_so = {called(n) for n in ast.walk(value) if isinstance(n, ast.Call)}
    test = re.compile(rf"{TEST}|held_?out|hold_?out" if develops(tree) else TEST, re.I)
    return any(test.search(name) and name not in called_so and len(name) < 40 for name in names)


@lru_cache
def develops(tree: ast.Module) -> bool:
    """Whether a program names images that it develops on."""
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)}
    return any(re.fullmatch(r"(x_|y_)?(dev|val|valid|validation)(_\w+)?", name, re.I) for name in names)


def defaults_to_test(tree: ast.Module, value: ast.expr) -> bool:
    """Whether a function of the program's is called without the argument whose default names the test images."""
    functions = {n.name: n for n in ast.walk(tree) if isinstance(n, Function)}
    for call in (n for n in ast.walk(value) if isinstance(n, ast.Call)):
        made = functions.get(called(call))
        if made is None or any(k.arg is None for k in call.keywords):
            continue
        names = [a.arg for a in made.args.args]
        passed = len(call.args) + (names[:1] == ["self"])
        for name, default in zip(reversed(names), reversed(made.args.defaults)):
            left_out = names.index(name) >= passed and name not in {k.arg for k in call.keywords}
            said = default.value if isinstance(default, ast.Constant) and isinstance(default.value, str) else ""
            if left_out and re.search(TEST, said, re.I) and not re.search("val", said, re.I):
                return True
    return False


def set_to_test(tree: ast.Module, value: ast.expr) -> ast.expr | ast.stmt | None:
    """Where the setting got its value that takes the test images from a table: `loaders[config.monitor]`."""
    keys = [n.slice for n in ast.walk(value) if isinstance(n, ast.Subscript)]
    for key in (k for k in keys if isinstance(k, ast.Name | ast.Attribute | ast.Subscript)):
        name = ast.unparse(key.slice) if isinstance(key, ast.Subscript) else ast.unparse(key)
        found = list(settings(tree, name.strip("'").rpartition(".")[2]))
        if found and all(re.search(TEST, text, re.I) for text, _ in found):
            return found[0][1]
    return None


def settings(tree: ast.Module, name: str) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    """Every text that is written for a setting of this name, and where."""
    for node in ast.walk(tree):
        pairs: list[tuple[str, ast.expr | None, ast.expr | ast.stmt]] = []
        if isinstance(node, ast.AnnAssign):
            pairs = [(ast.unparse(node.target), node.value, node)]
        elif isinstance(node, ast.Assign):
            pairs = [(ast.unparse(target), node.value, node) for target in node.targets]
        elif isinstance(node, ast.Dict):
            pairs = [(ast.unparse(k).strip("'"), v, v) for k, v in zip(node.keys, node.values) if k is not None]
        elif isinstance(node, ast.Call):
            pairs = [(k.arg, k.value, k.value) for k in node.keywords if k.arg]
            if node.args and isinstance(flag := node.args[0], ast.Constant) and isinstance(flag.value, str):
                default = next((k.value for k in node.keywords if k.arg == "default"), None)
                pairs.append((flag.value.lstrip("-").replace("-", "_"), default, node))
        for written, value, place in pairs:
            if written.rpartition(".")[2] == name and isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value, place


def sources(tree: ast.Module, scope: ast.AST, name: str, before: int) -> Iterator[ast.expr]:
    """What a name was given, last of all above a line; or the loop that it is counted up in."""
    assigned = [
        n
        for n in ast.walk(scope)
        if isinstance(n, ast.Assign) and n.lineno <= before and name in [t for x in n.targets for t in flat(x)]
    ]
    if assigned:
        yield max(assigned, key=lambda n: n.lineno).value
    for node in ast.walk(scope):
        if isinstance(node, ast.AugAssign) and ast.unparse(node.target) == name and node.lineno <= before:
            yield node.value
            loop = next((n for n in around(node) if isinstance(n, ast.For)), None)
            if loop is not None:
                yield loop.iter


def flat(node: ast.expr) -> list[str]:
    """The names a value is given to."""
    return [ast.unparse(n) for n in (node.elts if isinstance(node, ast.Tuple) else [node])]


SELECTION = (selected_on_test, *KEEPING)
