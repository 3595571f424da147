"""How much a robot may do by itself, by how reliable it is now: adaptive autonomy with a person on the loop.

After the proposal of Abraham et al. 2021 (Adaptive Autonomy in Human-on-the-Loop Vision-Based Robotics Systems), with
conformal p-values as reliability. How often a person may be called is limited, as in robot-gated imitation (Hoque et
al. 2021, arXiv 2109.08273). Pure state machine: reliabilities, people's words and time in, levels out.
"""

from collections import deque
from dataclasses import dataclass
from enum import IntEnum

from robot_hil.errors import ConfigError

_LEAST = 1e-6
_MINUTE_S = 60.0
_SLACK_S = 1e-9


class Level(IntEnum):
    """What the robot may do by itself; at the lower two a person is called."""

    HELD = 0
    """It stands until a person drives, or says that it may go on."""
    APPROVED = 1
    """It proposes, and moves slowly only as long as a person approves."""
    SLOWED = 2
    """It moves slowly, and a person is told."""
    FULL = 3


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
    """After a person drove well, or said to go on, the robot is not held again for so long, only slowed; after an
    approval it asks for the next one, once that has run out."""
    slow: float = 0.5
    """Share of its speed while slowed, in (0, 1]."""
    approve_s: float = 0.0
    """How long a person's approval counts; 0 leaves the level at which one is needed out."""
    per_minute: int = 0
    """Most calls in 60 s, over all episodes; a robot that may not call is slowed at most. 0 is no limit."""

    def __post_init__(self) -> None:
        if not 0 <= self.alarm <= self.low <= self.high <= 1:
            raise ConfigError(
                f"alarm {self.alarm}, low {self.low} and high {self.high} must not fall, and lie in [0, 1]."
            )
        if self.patience < 1 or not 0 < self.slow <= 1:
            raise ConfigError(f"patience is {self.patience}, must be >= 1; slow is {self.slow}, must lie in (0, 1].")
        for name in ("smooth_s", "recover_s", "dwell_s", "pardon_s", "approve_s", "per_minute"):
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
        self._calls: deque[float] = deque()
        self.begin_episode()

    def begin_episode(self) -> None:
        """Start anew with full autonomy; the calls made count on."""
        self.level, self.reliability = Level.FULL, 1.0
        self.changes = []
        self._changed = self._pardoned = self._approved = -float("inf")
        self._low = self._well = 0
        self._good_since: float | None = None

    @property
    def calling(self) -> bool:
        """Whether a person is called."""
        return self.level <= Level.APPROVED

    def stands(self, t: float) -> bool:
        """Return whether nothing may move by itself at `t`."""
        approved = self.level is Level.APPROVED and t - self._approved < self.config.approve_s - _SLACK_S
        return self.calling and not approved

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
        rested = t - self._changed >= c.dwell_s - _SLACK_S
        floor = self._floor(t)
        if self.reliability < c.alarm and self.level > floor:
            return self._change(t, floor, cause)
        if self._low >= c.patience and rested and self.level > floor:
            return self._change(t, max(floor, self._next(-1)), cause)
        good = self._good_since is not None and t - self._good_since >= c.recover_s - _SLACK_S
        # What stands looks reliable, which proves nothing: it goes on by a person's word alone.
        if good and rested and self.level < Level.FULL and not self.stands(t):
            return self._change(t, self._next(+1), "reliable again")
        return None

    def driven(self, t: float) -> Change | None:
        """A person drove in the step that was taken in last; `patience` such steps that are reliable are a pardon.

        What is as strange as before shows no less in a person's hands: let go of now, the robot would fail again.
        """
        self._well = self._well + 1 if self.reliability >= self.config.low else 0
        return self.pardon(t, "a person drove") if self._well >= self.config.patience else None

    def pardon(self, t: float, cause: str) -> Change | None:
        """A person made things well, or said to go on: a robot that was held is slowed, and not held again soon."""
        self._pardoned = t
        self._low = 0
        return self._change(t, Level.SLOWED, cause) if self.calling else None

    def approve(self, t: float, cause: str) -> Change | None:
        """A person approves of what is proposed, for `approve_s` from `t` on; a robot that was held now proposes."""
        self._approved = t
        return self._change(t, Level.APPROVED, cause) if self.level is Level.HELD else None

    def _floor(self, t: float) -> Level:
        """Return the level below which the robot does not fall by itself now."""
        while self._calls and t - self._calls[0] >= _MINUTE_S - _SLACK_S:
            self._calls.popleft()
        pardon, c = self.config.pardon_s - _SLACK_S, self.config
        if t - self._pardoned < pardon or (0 < c.per_minute <= len(self._calls) and not self.calling):
            return Level.SLOWED
        return Level.APPROVED if t - self._approved < pardon + c.approve_s else Level.HELD

    def _next(self, way: int) -> Level:
        """Return the level above, +1, or below, -1, of those there are."""
        level = Level(self.level + way)
        return level if level is not Level.APPROVED or self.config.approve_s > 0 else Level(level + way)

    def _change(self, t: float, level: Level, cause: str) -> Change:
        called = not self.calling
        self.level, self._changed, self._low, self._well = level, t, 0, 0
        self._good_since = None
        if called and self.calling:
            self._calls.append(t)
        change = Change(t=t, level=level, reliability=self.reliability, cause=cause)
        self.changes.append(change)
        return change
