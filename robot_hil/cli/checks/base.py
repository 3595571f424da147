"""A finding: what was looked at, whether it is good, and what to do when it is not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105  no password
    WARN = "warn"
    """Works, with a drawback."""
    FAIL = "fail"
    """Something that is needed, or that is there and meant to be used, does not work."""
    ABSENT = "not there"
    """Optional, and not installed or not plugged in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the doctor's table."""

    group: str
    name: str
    verdict: Verdict
    text: str
    """What was found, in words."""
    fix: str = ""
    """What to do, with commands to paste; empty when there is nothing to do."""


Check = Callable[[], Iterable[Finding]]


def run_check(group: str, check: Check) -> list[Finding]:
    """Return what `check` found; one that breaks is a finding of its own and keeps no other from running."""
    try:
        return list(check())
    except Exception as error:
        name = getattr(check, "__name__", "check").replace("_", " ")
        text = f"could not be looked at: {type(error).__name__}: {error}"
        return [Finding(group=group, name=name, verdict=Verdict.FAIL, text=text, fix="report this with the text above")]
