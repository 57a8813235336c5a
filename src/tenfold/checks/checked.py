"""What a check gives back: findings, what was silenced, and what was seen; as text and as JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from tenfold.checks.rules import RULES, ranked
from tenfold.errors import Finding, lookup


@dataclass(frozen=True)
class Checked:
    """Findings, the likeliest root cause first; `silenced`: rules found but ignored; `seen`: what was watched."""

    target: str
    findings: tuple[Finding, ...]
    silenced: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether nothing of severity error was found."""
        return all(finding.severity != "error" for finding in self.findings)

    @property
    def exit_code(self) -> int:
        """0 healthy, 1 with findings of severity error."""
        return 0 if self.healthy else 1

    def to_dict(self) -> dict[str, object]:
        """The object of --format json."""
        return {
            "target": self.target,
            "findings": [asdict(finding) for finding in self.findings],
            "silenced": list(self.silenced),
            "seen": list(self.seen),
        }

    def text(self) -> str:
        """All findings, each with evidence, why and remedy, and a closing line."""
        parts = [told(number, finding) for number, finding in enumerate(self.findings, 1)]
        return "\n\n".join([*parts, "\n".join(self.closing())])

    def closing(self) -> list[str]:
        """What was watched, what was silenced, and the verdict."""
        lines = [f"seen: {', '.join(self.seen)}"] if self.seen else []
        if self.silenced:
            lines.append(f"silenced: {', '.join(self.silenced)}")
        counts = [
            f"{count} {severity}{'s' if count > 1 else ''}"
            for severity in ("error", "warning", "note")
            if (count := sum(finding.severity == severity for finding in self.findings))
        ]
        return [*lines, f"{self.target}: {', '.join(counts) if counts else 'nothing found'}"]


def told(number: int, finding: Finding) -> str:
    """One finding as a paragraph."""
    where = f" ({finding.where})" if finding.where else ""
    lines = [f"{number}. {finding.severity}: {finding.what}{where}  [{finding.rule}]"]
    for label, text in (("seen", finding.evidence), ("why", finding.why), ("do", finding.remedy)):
        if text:
            lines.append(f"   {label:<5}{text}")
    return "\n".join(lines)


def checked(target: str, findings: Iterable[Finding], ignore: Sequence[str] = (), seen: Sequence[str] = ()) -> Checked:
    """Rank the findings and take the silenced ones out; an unknown rule to ignore is a RecipeError."""
    for rule in ignore:
        lookup(RULES, rule, "rule")
    found = ranked(findings)
    silenced = dict.fromkeys(finding.rule for finding in found if finding.rule in ignore)
    return Checked(target, tuple(f for f in found if f.rule not in ignore), tuple(silenced), tuple(seen))
