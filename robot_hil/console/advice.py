"""What the coach says."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["learner", "labels", "failure", "done", "plateau", "hands", "intervene", "demos"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """One thing to do, or not to do."""

    kind: Kind
    """Which rule says so; at most one advice of each kind."""
    title: str
    """A few words."""
    text: str
    """What to do and why, with the numbers behind it."""
    level: Literal["info", "warning"] = "info"
    """A warning tells of trouble."""
