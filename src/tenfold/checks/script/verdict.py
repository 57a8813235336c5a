"""All rules over the facts, and which findings stay: a cause hides the symptoms that it explains."""

import traceback

from tenfold.checks.rules import ranked
from tenfold.checks.script import optimisation, output
from tenfold.checks.script.seen import Seen
from tenfold.errors import Finding

RULES = (*output.RULES, *optimisation.RULES)


def findings(seen: Seen) -> list[Finding]:
    """What the rules find, the likeliest root cause first, without what others explain."""
    found: list[Finding] = []
    for rule in RULES:
        try:
            found += list(rule(seen))
        except Exception:
            seen.faults.append(traceback.format_exc())
    return ranked(found)
