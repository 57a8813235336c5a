"""A against B, judged: paired by seed, same data and split, equal budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from tenfold.errors import RecipeError
from tenfold.evidence.comparison import Comparison, adjust, compare
from tenfold.evidence.power import FEWEST_PAIRS, forecast
from tenfold.experiments.arms import Arm
from tenfold.experiments.groups import Group


@dataclass(frozen=True)
class Judgement:
    """The comparison of two groups, and what its reader must know beside the verdict."""

    a: Group
    b: Group
    comparison: Comparison
    caveats: tuple[str, ...] = ()

    def text(self) -> str:
        """Verdict, figures, caveats, troubles."""
        lines = [self.comparison.text(), *self.caveats]
        lines += [f"{group.name}, {trouble}" for group in (self.a, self.b) for trouble in group.troubles]
        return "\n".join(lines)


def judge(a: Group, b: Group, delta_points: float = 0.5, unequal: bool = False) -> Judgement:
    """Compare two groups; what makes the comparison unfair is refused, unless asked for, and then said."""
    found = refuse_unfair(a, b, unequal)
    seeds = sorted(set(a.accuracies) & set(b.accuracies))
    first, second = ({seed: group.accuracies[seed] for seed in seeds} for group in (a, b))
    if not seeds:
        raise RecipeError(
            f"{a.name} and {b.name} have no seed in common.", "Arms are compared by pairs: run the same seeds."
        )
    caveats = [f"Not a fair comparison: {what}." for what in found]
    left = sorted(set(a.accuracies) ^ set(b.accuracies))
    if left:
        caveats.append(f"Seeds that only one arm ran are left out: {', '.join(map(str, left))}.")
    return Judgement(a, b, compare(first, second, delta_points, (a.name, b.name)), tuple(caveats))


def judge_all(
    variants: Sequence[Group], baseline: Group, delta_points: float = 0.5, unequal: bool = False
) -> list[Judgement]:
    """Every variant against the baseline, as one family."""
    return judge_family([(variant, baseline) for variant in variants], delta_points, unequal)


def judge_family(
    pairs: Sequence[tuple[Group, Group]], delta_points: float = 0.5, unequal: bool = False
) -> list[Judgement]:
    """The first of each pair against the second, the p values adjusted for their number (Holm)."""
    single = [judge(a, b, delta_points, unequal) for a, b in pairs]
    adjusted = adjust([one.comparison for one in single])
    return [Judgement(one.a, one.b, new, one.caveats) for one, new in zip(single, adjusted, strict=True)]


def refuse_unfair(a: Group | Arm, b: Group | Arm, unequal: bool) -> list[str]:
    """What makes the comparison unfair, if that is wanted; else RecipeError."""
    found = unfair(a, b)
    if found and not unequal:
        raise RecipeError(
            f"{a.name} and {b.name} cannot be compared fairly: {'; '.join(found)}.",
            "Give runs of equal budget on the same data, or --unequal to compare them all the same.",
        )
    return found


def unfair(a: Group | Arm, b: Group | Arm) -> list[str]:
    """How the groups differ in what should be equal."""
    checks = {
        "different data": a.fingerprint != b.fingerprint,
        "different validation images (split_seed)": a.split_seed != b.split_seed,
        f"different budgets ({a.budget:,} and {b.budget:,} images seen)": a.budget != b.budget,
        f"different validation sets ({a.judging_images:,} and {b.judging_images:,} images)": a.judging_images
        != b.judging_images,
    }
    return [what for what, differs in checks.items() if differs]


def announce(error: float, images: int, seeds: int, delta_points: float = 0.5, comparisons: int = 1) -> str:
    """What so many seeds can show, before anything runs."""
    told = forecast(error, images, seeds, delta_points, comparisons)
    return told if seeds >= FEWEST_PAIRS else f"{told} Under {FEWEST_PAIRS} pairs there is no verdict."
