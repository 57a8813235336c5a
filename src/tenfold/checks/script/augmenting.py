"""What a program's source says of its augmentation: which functions change images at random, and where they run."""

import ast
import re
from collections.abc import Iterator

from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, called, statement, tree, trees

AUGMENTS = re.compile(r"aug|jitter|distort|perturb|random_?(flip|crop|shift|rot|eras)|warp|corrupt", re.I)
CHANGES = re.compile(r"flip|roll\(|rot90|rotate|np\.pad|F\.pad|crop|affine|::-1|mirror|transpose\(Image")
RENDERS = re.compile(r"Image\.new\(|ImageDraw|\.ellipse\(|\.polygon\(")
"""A picture made from nothing, whose place and size are drawn too."""
DRAWS = re.compile(r"rand|choice|uniform|normal\(|integers|bernoulli|\brng\b")


def augments_around(place: Place) -> bool:
    """Whether the generator made at a line changes images: it is not for an order or a loader alone."""
    found = statement(place)
    scope = next((n for n in around(found) if isinstance(n, ast.FunctionDef | ast.Module)), None) if found else None
    if found is None or scope is None or "DataLoader" in ast.unparse(found):
        return False
    local = {node.name: node for node in functions(tree(place.file))}
    names = {called(n) for n in ast.walk(scope) if isinstance(n, ast.Call)}
    return any(name in local and augmenting(local[name]) for name in names) or (
        isinstance(scope, ast.FunctionDef) and augmenting(scope)
    )


def functions(parsed: ast.AST) -> Iterator[ast.FunctionDef]:
    """All functions of a file."""
    return (node for node in ast.walk(parsed) if isinstance(node, ast.FunctionDef))


def augmenting(function: ast.FunctionDef) -> bool:
    """Whether a function changes images it is given at random."""
    if not function.args.args:
        return False
    body = "\n".join(map(ast.unparse, function.body))
    if RENDERS.search(body):
        return False
    return bool(DRAWS.search(body)) and bool(CHANGES.search(body) or AUGMENTS.search(function.name))


def augmented_places(seen: Seen) -> Iterator[Place]:
    """Statements before training that put augmented images in the place of the plain ones."""
    for file, parsed in trees(seen):
        local = {node.name for node in functions(parsed) if augmenting(node)}
        for node in ast.walk(parsed):
            put = isinstance(node, ast.Assign) and replaced(node, local)
            if (put or appended(node, local)) and isinstance(node, ast.stmt) and before_training(node):
                yield Place(file, node.lineno)


def makes(node: ast.AST, local: set[str]) -> list[ast.Call]:
    """Calls of functions that augment."""
    calls = [n for n in ast.walk(node) if isinstance(n, ast.Call) and n.args]
    return [n for n in calls if called(n) in local or AUGMENTS.search(called(n))]


def replaced(node: ast.Assign, local: set[str]) -> bool:
    """Whether training images are put in the place of what they were, augmented: no copy is added to them."""
    found = makes(node.value, local)
    target = ast.unparse(node.targets[0])
    joined = any(called(n).startswith("cat") for n in ast.walk(node.value) if isinstance(n, ast.Call))
    if not found or OTHERS.search(target) or joined:
        return False
    given = {ast.unparse(a) for n in found for a in n.args}
    loops = [g for n in ast.walk(node.value) if isinstance(n, ast.ListComp | ast.GeneratorExp) for g in n.generators]
    if not loops:
        return target in given
    return any(ast.unparse(g.target) in given and not LABELS.search(ast.unparse(g.iter)) for g in loops)


OTHERS = re.compile("val|test|exam|held|dev")
LABELS = re.compile(r"range\(|label|target|class|\by\b|_y\b|\bys\b")


def appended(node: ast.AST, local: set[str]) -> bool:
    """Whether a constructor appends one augmented copy of each image to what it keeps."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call) or called(node.value) != "append":
        return False
    inside = list(around(node))
    loops = [n for n in inside if isinstance(n, ast.For)]
    built = any(isinstance(n, ast.FunctionDef) and n.name == "__init__" for n in inside)
    once = len(loops) == 1 and ast.unparse(loops[0]).count(".append(") <= 2
    given = {ast.unparse(a) for n in makes(node.value, local) for a in n.args}
    return built and once and any(ast.unparse(n) in given for n in ast.walk(loops[0].target) if isinstance(n, ast.Name))


def before_training(node: ast.AST) -> bool:
    """Whether a statement is in no loop that trains, and in no function that is called per image."""
    inside = list(around(node))
    function = next((n for n in inside if isinstance(n, ast.FunctionDef)), None)
    loops = [ast.unparse(n) for n in inside if isinstance(n, ast.For | ast.While)]
    trains = any(re.search(r"backward\(|epoch|step\(", loop) for loop in loops)
    return not trains and (function is None or function.name in ("__init__", "main", "setup", "prepare"))
