"""What a teleoperation device says: a sample (state) and events (edges)."""

from dataclasses import dataclass
from enum import Enum

from robot_hil.data.specs import Array


class SampleStatus(Enum):
    """Validity of a sample. Everything but OK means: no command may come from it."""

    OK = "ok"
    ESTIMATED = "estimated"
    LOST = "lost"
    DISCONNECTED = "disconnected"


class EventKind(Enum):
    """Named functions of buttons and keys; edges are queued and never lost."""

    SUCCESS = "success"
    FAIL = "fail"
    RESET = "reset"
    PAUSE = "pause"
    RESUME = "resume"
    ENGAGE = "engage"
    DISENGAGE = "disengage"
    ESTOP = "estop"


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopEvent:
    """One edge."""

    kind: EventKind
    t: float
    """Monotonic time [s]."""
    source: str = ""
    """Device that made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopSample:
    """The newest state of a device."""

    status: SampleStatus
    t: float
    """Monotonic receive time [s]; age decides over staleness."""
    engaged: bool = False
    """The person wants control: dead-man pressed, or deflection outside the dead-zone (device hysteresis applied)."""
    action: Array | None = None
    """Command in action space, float32 (A,) in [-1, 1]; None when nothing is commanded."""
    mask: Array | None = None
    """Which action dimensions the person drives, bool (A,); None means all."""
    device: str = ""
    operator: str = ""
