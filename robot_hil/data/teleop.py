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
    FALSE_POSITIVE = "false_positive"
    """What a reward model took for a success was none."""
    CLEAR = "clear"
    """A person clears an e-stop, with a reason; nothing moves before RESUME as well."""
    MODE = "mode"
    """How person and policy share the robot from the next intervention on; `value` names the mode, or asks for the next
    one by being empty."""
    DISTURB = "disturb"
    """Somebody disturbs the world, to see what comes of it; `value` says how, one of the world's disturbances."""
    NEXT = "next"
    """What a person who took over was doing is done: brought back to where the robot knows the way, then gone on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeleopEvent:
    """One edge."""

    kind: EventKind
    t: float
    """Monotonic time [s]."""
    source: str = ""
    """Device, and person where known, that made it."""
    reason: str = ""
    """Why, in words; CLEAR needs one."""
    value: str = ""
    """What is asked for, where the kind leaves that open."""


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
    rewind: bool = False
    """While engaged: the person holds the button that leads the robot back the way it came; there is no `action`."""
    device: str = ""
    operator: str = ""
    words: str = ""
    """What the person said that the action obeys, where it was said in words."""
    tail_s: float | None = None
    """Time after letting go in which the person still counts as in charge [s]; None leaves it to the arbiter."""
    problem: str = ""
    """Why the status is not OK, in words for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """A device as a person wants to see it on a screen."""

    name: str
    kind: str
    """What it is, e.g. `spacemouse`, `webxr`, `keyboard`."""
    status: SampleStatus
    age_s: float
    """Since the device was last known to be alive [s]; infinity for never."""
    rate_hz: float = 0.0
    """Reports per second of late; a device that is silent at rest may well show 0."""
    engaged: bool = False
    operator: str = ""
    problem: str = ""
    """What is wrong and what to do, else empty."""
    battery: float | None = None
    """Charge in [0, 1], where the device tells."""
    dropped: int = 0
    """Reports known to be lost or refused."""
