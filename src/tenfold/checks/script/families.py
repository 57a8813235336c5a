"""Files that their names say belong together, plant07_shot1 and plant07_shot2, on both sides of a split."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath

from tenfold.checks.rules import finding
from tenfold.checks.script.copies import named
from tenfold.checks.script.modes import where
from tenfold.checks.script.parting import split_place
from tenfold.checks.script.seen import Place, Seen
from tenfold.checks.script.source import around, line, shown_code, trees
from tenfold.checks.script.splits import items, trained_and_judged
from tenfold.errors import Finding

MEMBER = re.compile(r"(.*\d.*)[-_. ][a-z]{0,8}\d{0,3}", re.I)
"""The name of a family, with its number, and a short word or number for one of its members."""
CHECKSUM = re.compile(r"crc32|adler32|md5|sha\d|\bhash\(|blake2|hexdigest|sum\(")
NAME = re.compile(r"\.stem|\.name\b|str\(|basename|as_posix")
PARTS = re.compile(r"split\(|partition\(|removesuffix|\.parent|re\.\w+\(|match|group|\[:")
"""A checksum, a file's name, and what takes a part of that name."""
FEWEST, LARGEST, WHOLE = 10, 20, 0.8
"""So many families make a habit, of so many files on average at most; this share of the files must have kin."""


def families_split(seen: Seen) -> Iterator[Finding]:
    """Most files of the evaluation have one of the same family among the training files."""
    training, judged = trained_and_judged(seen)
    for one in training:
        mine = Counter(family(item[0]) for item in items(one.loader.dataset))
        for other in judged:
            theirs = [family(item[0]) for item in items(other.loader.dataset)]
            sizes = mine + Counter(theirs)
            shared = sum(name in mine for name in theirs)
            if not in_families(sizes, max(FEWEST, 3 * classes_of(seen))) or shared < 0.5 * len(theirs):
                continue
            place, example = split_place(seen), next(name for name in theirs if name in mine)
            yield finding(
                "validation-in-training",
                f"{named(other)} holds files of the same families as {named(one)}",
                f"{shared} of its {len(theirs)} files have kin among the training files, such as those of "
                f"`{example}`; by their names there are {len(sizes)} families of about "
                f"{sizes.total() / len(sizes):.0f}." + (f" {shown_code(place)} parts them." if place else ""),
                f"Split the families, so that all files of one are in the same part{line(place)}.",
                severity="warning",
                **where(place),
            )
            return


def checksums_split(seen: Seen) -> Iterator[Finding]:
    """Files are parted by a checksum of their whole names, which parts every family."""
    sizes = Counter(family(file) for file in dict.fromkeys(seen.opened))
    if not in_families(sizes, FEWEST):
        return
    for file, module in trees(seen):
        for node in ast.walk(module):
            if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Mod):
                continue
            code = ast.unparse(surroundings(node))
            if not CHECKSUM.search(ast.unparse(node.left)) or not NAME.search(code) or PARTS.search(code):
                continue
            yield finding(
                "validation-in-training",
                "A checksum of each file's name parts files of the same family",
                f"`{ast.unparse(node)}` is another number for every file; by their names the {sizes.total()} files "
                f"opened are {len(sizes)} families of about {sizes.total() / len(sizes):.0f}.",
                "Take the checksum of what the files of a family share, as `path.stem.rsplit('_', 1)[0]` "
                f"(line {node.lineno}).",
                severity="warning",
                **Place(file, node.lineno).where,
            )
            return


def classes_of(seen: Seen) -> int:
    """How many classes the net tells apart; 0 where that is not known."""
    return max((loss.shape[-1] for loss in seen.training_losses() if len(loss.shape) == 2), default=0)


def in_families(sizes: Counter[str | None], fewest: int, largest: int = LARGEST) -> bool:
    """Whether files come in so many families or more, by their names: none too large, hardly a file without kin."""
    if None in sizes or len(sizes) < fewest or sizes.total() > largest * len(sizes):
        return False
    return sum(size for size in sizes.values() if size > 1) >= WHOLE * sizes.total()


def surroundings(node: ast.AST) -> ast.AST:
    """The function around a node; the statement around it where there is none."""
    outer = list(around(node))
    functions = [one for one in outer if isinstance(one, ast.FunctionDef | ast.Lambda)]
    return functions[0] if functions else next((one for one in outer if isinstance(one, ast.stmt)), node)


def family(file: object) -> str | None:
    """A file's folder and the part of its name that its kin share; None where the name tells no family."""
    if not isinstance(file, str):
        return None
    path = PurePath(file)
    found = MEMBER.fullmatch(path.stem)
    return f"{path.parent.name}/{found[1]}" if found else None


FAMILIES = (families_split, checksums_split)
