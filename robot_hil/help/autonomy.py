"""How much a robot may do by itself, by how reliable it is now: adaptive autonomy with a person on the loop.

After the proposal of Abraham et al. 2021 (Adaptive Autonomy in Human-on-the-Loop Vision-Based Robotics Systems), with
conformal p-values as reliability. Pure state machine: reliabilities and time in, levels and calls out.
"""

from dataclasses import dataclass
from enum import IntEnum

from robot_hil.errors import ConfigError

_LEAST = 1e-6


class Level(IntEnum):
    """What the robot may do by itself."""

    HELD = 0
    """It stands until a person drives, or says that it may go on."""
    SLOWED = 1
    """It moves slowly, and a person is told."""
    FULL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AutonomyConfig:
    """When the level falls and rises. Times in seconds of the robot's clock."""

    low: float = 0.05
    """Smoothed reliability below which the level falls, once it has lasted `patience` steps."""
    alarm: float = 0.005
    """Smoothed reliability below which the robot is held at once; 0 never."""
    high: float = 0.2
    """Above this for `recover_s` the level rises by one."""
    patience: int = 3
    smooth_s: float = 0.2
    """Time constant of the smoothing."""
    recover_s: float = 2.0
    dwell_s: float = 1.0
    """Least time between two changes, except for an alarm."""
    pardon_s: float = 5.0
    """After a person said to go on the robot is not held again for so long, only slowed."""
    slow: float = 0.5
    """Share of its speed while slowed, in (0, 1]."""

    def __post_init__(self) -> None:
        if not 0 <= self.alarm <= self.low <= self.high <= 1:
            raise ConfigError(
                f"alarm {self.alarm}, low {self.low} and high {self.high} must not fall, and lie in [0, 1]."
            )
        if self.patience < 1 or not 0 < self.slow <= 1:
            raise ConfigError(f"patience is {self.patience}, must be >= 1; slow is {self.slow}, must lie in (0, 1].")
        for name in ("smooth_s", "recover_s", "dwell_s", "pardon_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The level changed."""

    t: float
    level: Level
    reliability: float
    cause: str


class Autonomy:
    """Follows the reliability of one robot; one thread uses it."""

    def __init__(self, config: AutonomyConfig, period_s: float) -> None:
        self.config, self._period = config, period_s
        self.level = Level.FULL
        self.reliability = 1.0
        """Smoothed."""
        self.changes: list[Change] = []
        """Of the episode under way."""
        self._keep = 0.0 if config.smooth_s <= 0 else 1.0 - min(1.0, period_s / config.smooth_s)
        self.begin_episode()

    def begin_episode(self) -> None:
        """Start anew with full autonomy."""
        self.level, self.reliability = Level.FULL, 1.0
        self.changes = []
        self._changed = self._pardoned = -float("inf")
        self._low = 0
        self._good_since: float | None = None

    def update(self, t: float, reliability: float, cause: str = "") -> Change | None:
        """Take in this step's reliability in [0, 1]; return the change of level, if it changed."""
        c = self.config
        # Of probabilities the geometric mean: one that is very small is not outweighed by those before it.
        self.reliability = self.reliability**self._keep * max(reliability, _LEAST) ** (1.0 - self._keep)
        self._low = self._low + 1 if self.reliability < c.low else 0
        if self.reliability <= c.high:
            self._good_since = None
        elif self._good_since is None:
            self._good_since = t
        rested = t - self._changed >= c.dwell_s - 1e-9
        floor = Level.SLOWED if t - self._pardoned < c.pardon_s - 1e-9 else Level.HELD
        if self.reliability < c.alarm and self.level > floor:
            return self._change(t, floor, cause)
        if self._low >= c.patience and rested and self.level > floor:
            return self._change(t, Level(self.level - 1), cause)
        good = self._good_since is not None and t - self._good_since >= c.recover_s - 1e-9
        if good and rested and Level.HELD < self.level < Level.FULL:
            return self._change(t, Level(self.level + 1), "reliable again")
        return None

    def pardon(self, t: float, cause: str) -> Change | None:
        """A person drove, or said to go on: a robot that was held is slowed, and not held again for a while."""
        self._pardoned = t
        self._low = 0
        return self._change(t, Level.SLOWED, cause) if self.level is Level.HELD else None

    def _change(self, t: float, level: Level, cause: str) -> Change:
        self.level, self._changed, self._low = level, t, 0
        self._good_since = None
        change = Change(t=t, level=level, reliability=self.reliability, cause=cause)
        self.changes.append(change)
        return change
