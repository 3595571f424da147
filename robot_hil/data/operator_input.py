"""What a page in a browser sends: checked by the console, read by the devices that live in the page.

Messages are JSON objects with a `type`; a message that does not fit is refused whole, and counted.
Client times `t` are milliseconds of `performance.now()` in the page.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

PROTOCOL = 1
"""Version of everything between page, console and robot; a page of another version is told to reload."""
MAX_MESSAGE = 16_384
"""Largest message that a page may send [bytes]."""

Name = Annotated[str, Meta(max_length=64)]
Text = Annotated[str, Meta(max_length=500)]
Unit = Annotated[float, Meta(ge=-1.0, le=1.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Sequence = Annotated[int, Meta(ge=0)]


class _Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class Hello(_Message, frozen=True, tag="hello"):
    """The first message of every connection."""

    token: Annotated[str, Meta(max_length=128)]
    v: int = PROTOCOL
    client: Literal["console", "xr"] = "console"
    role: Literal["pilot", "observer"] = "pilot"
    """A pilot may drive while no one else does; an observer watches, and may stop."""
    name: Name = ""
    """What the operator is called."""


class Ping(_Message, frozen=True, tag="ping"):
    """Answered at once by `pong {t, s}`, where `s` is the console's monotonic time [ms]."""

    t: float


class ClockOffset(_Message, frozen=True, tag="clock"):
    """What the page found from its pings: console time = page time + offset, at the smallest round trip."""

    offset: float
    """[ms]."""
    rtt: Annotated[float, Meta(ge=0.0)]
    """[ms]."""


class Keys(_Message, frozen=True, tag="keys"):
    """Keys held down; sent at every change and 50 times per second while the page has the focus."""

    seq: Sequence
    t: float
    down: Annotated[list[Name], Meta(max_length=32)]
    """`KeyboardEvent.code` of each."""
    armed: bool = True
    """False when the page lost the focus, is hidden or the operator laid the keyboard aside: let go in good order."""


class Pad(_Message, frozen=True, tag="pad"):
    """State of a gamepad in the standard mapping; sent 50 times per second while one is connected."""

    seq: Sequence
    t: float
    connected: bool
    axes: Annotated[list[Unit], Meta(max_length=8)] = []
    buttons: Annotated[list[Share], Meta(max_length=32)] = []
    id: Annotated[str, Meta(max_length=200)] = ""


class Pose(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A pose in the session's `local-floor` space: x right, y up, z towards the user at start."""

    p: Vector
    """[m]."""
    q: Quaternion
    """xyzw, as WebXR has it."""


class Hand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One controller in one frame."""

    grip: Pose | None = None
    """None: the headset does not know where it is."""
    emulated: bool = False
    """The position is a guess of the headset."""
    buttons: Annotated[list[Share], Meta(max_length=16)] = []
    """Value of each button of the `xr-standard` mapping: trigger, squeeze, touchpad, stick, A/X, B/Y."""
    axes: Annotated[list[Unit], Meta(max_length=8)] = []


class XrFrame(_Message, frozen=True, tag="xr"):
    """One frame of an immersive session."""

    seq: Sequence
    t: float
    head: Pose | None
    left: Hand | None = None
    """None: no such controller."""
    right: Hand | None = None
    visible: bool = True
    """Whether the session is visible, neither blurred nor hidden."""


class XrEvent(_Message, frozen=True, tag="xr_event"):
    """Something happened to the session."""

    seq: Sequence
    t: float
    kind: Literal["start", "end", "visible", "blurred", "hidden", "recentre", "sources"]


class Button(_Message, frozen=True, tag="event"):
    """An edge: a button, a key, a pedal. Answered by `ack {id, ok, reason}` once the robot has it."""

    id: Name
    """Chosen by the page, unique; sent again with the same id it does nothing twice."""
    kind: Literal[
        "success", "fail", "false_positive", "reset", "pause", "resume", "estop", "clear", "mode", "next", "disturb"
    ]  # fmt: skip
    reason: Text = ""
    value: Name = ""
    """What is asked for, where the kind leaves that open: a mode's name, empty for the next one; what to disturb."""


class Label(_Message, frozen=True, tag="label"):
    """A verdict on an episode that is over. Answered by `ack`."""

    id: Name
    actor_id: Name
    epoch: int
    episode_id: int
    verdict: Literal["success", "fail", "discard", "none"]
    """`none` takes an earlier verdict back."""
    reason: Text = ""


class Words(_Message, frozen=True, tag="words"):
    """A correction in words, typed or spoken. Answered by `ack`."""

    id: Name
    text: Text


class Pilot(_Message, frozen=True, tag="pilot"):
    """Ask for the pilot's seat, or give it back. Answered by `pilot {name, you}` to everybody."""

    want: bool
    take: bool = False
    """Take it from whoever has it; that person's control ends first."""


class Watch(_Message, frozen=True, tag="watch"):
    """Which cameras to send over this connection."""

    cameras: Annotated[list[Name], Meta(max_length=8)]


class Got(_Message, frozen=True, tag="got"):
    """A camera image was drawn; at most two are under way per camera."""

    camera: Name
    seq: Sequence


Control = Keys | Pad | XrFrame | XrEvent | Button | Words
"""What the robot's side wants to see."""
Message = Hello | Ping | ClockOffset | Keys | Pad | XrFrame | XrEvent | Button | Label | Words | Pilot | Watch | Got
