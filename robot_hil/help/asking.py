"""By what a robot asks for a person, and how often it may."""

from dataclasses import dataclass
from typing import Literal

from robot_hil.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConfig:
    """When the robot asks for help while it learns."""

    by: Literal["committee", "thrifty"] = "committee"
    """What tells it that it needs help: a committee, where `--committee` names one; or its own doubt and the success
    that it foresees, as ThriftyDAgger, with `--method thrifty`."""
    budget: float = 0.1
    """With thrifty: share of its steps in which it may ask for each of the two reasons, in (0, 0.5]."""
    per_minute: int = 0
    """Most calls in 60 s; beyond that it only goes slowly. 0 is no limit."""
    at_once: bool = True
    """Held at once where hardly anything is as usual; else it is slowed first, and held a second later."""
    approve: bool = False
    """Between going slowly and being held it proposes, and goes on as long as a person approves."""

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 0.5 or self.per_minute < 0:
            raise ConfigError(
                f"ask.budget is {self.budget}, must lie in (0, 0.5]; ask.per_minute is {self.per_minute}, must be >= 0."
            )

    @property
    def changed(self) -> bool:
        """Whether anything was asked for that needs something to tell when."""
        return self != AskConfig()
