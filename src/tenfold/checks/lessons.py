"""What `tenfold check --explain RULE` teaches: the evidence a rule looks at, a wrong and a right example."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """The evidence, and two snippets."""

    evidence: str
    wrong: str
    right: str


LESSONS: dict[str, Lesson] = {}
