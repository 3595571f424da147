"""What robot and console tell one another over the link: msgpack, one tagged message per frame."""

import msgspec

from robot_hil.data.operator_input import PROTOCOL, Button, Control


class _Message(msgspec.Struct, frozen=True, tag_field="type"):
    pass


# -- console to robot --------------------------------------------------------------------------------------------------


class FromPage(_Message, frozen=True, tag="page"):
    """A message of one page, passed on at once."""

    body: Control
    client: str
    """Random name of the connection."""
    operator: str
    pilot: bool
    """Whether this connection has the pilot's seat; buttons of others count for e-stop and disturbances only, the rest
    is refused."""
    t_recv: float
    """Monotonic time at which the console had it [s]."""
    t_page: float
    """The same of its making, mapped from the page's clock, never later than `t_recv` [s]."""


class Gone(_Message, frozen=True, tag="gone"):
    """A connection ended, or lost the pilot's seat: its devices are lost, unless they were at rest."""

    client: str
    reason: str


class Alive(_Message, frozen=True, tag="alive"):
    """The console lives; 50 times per second, so that its death shows."""

    t: float


# -- robot to console --------------------------------------------------------------------------------------------------


class Welcome(_Message, frozen=True, tag="welcome"):
    """Answer to the console's first message, and again whenever the robot starts anew."""

    experiment: str
    task: str
    cameras: list[str]
    control_hz: float
    folder: str
    """The run folder; empty without one."""
    v: int = PROTOCOL


class Device(msgspec.Struct, frozen=True):
    """`DeviceInfo` on the wire."""

    name: str
    kind: str
    status: str
    age_s: float | None
    rate_hz: float = 0.0
    engaged: bool = False
    operator: str = ""
    problem: str = ""
    battery: float | None = None
    dropped: int = 0


class Reward(msgspec.Struct, frozen=True):
    """The reward model that judges success from images."""

    version: int
    probability: float | None = None
    """Of success, as the newest frame looks; None before the first."""
    false_positive: tuple[float, float, float] | None = None
    """Share of single frames wrongly taken for success, with the ends of its 95 % interval; None: not measured."""
    false_positives: int = 0
    """How often a person said in this run that a success was none."""
    late: int = 0
    """Frames that were not judged in time."""
    training: bool = False
    """Whether the next version is being trained."""


class Status(_Message, frozen=True, tag="status"):
    """Everything that changes, ten times per second and at every change of state."""

    t: float
    """Monotonic time [s]."""
    state: str
    """POLICY, ENGAGING, HUMAN, RELEASING, HOLD, LOST, ESTOP or IDLE."""
    reason: str
    """Why the robot stands and what to do, else empty."""
    phase: str
    """demo, train, check or eval."""
    message: str
    """What is going on or what to do next."""
    driver: str
    """Who drives now: device and operator; `policy`; or empty."""
    episode_id: int = -1
    step: int = 0
    episode_s: float = 0.0
    env_steps: int = 0
    policy_version: int = -1
    policy_age_s: float | None = None
    devices: list[Device] = []
    arms: dict[str, str] = {}
    """State of each arm, where there are several."""
    mode: str = "takeover"
    """How person and policy share the robot when a person engages: takeover, residual, masked, arm or hand."""
    modes: list[str] = []
    """What the pilot may switch to."""
    disturbances: list[str] = []
    """What a second person may do to the world, by buttons of kind disturb."""
    stage: str = ""
    """autonomous, recovery or correction where who takes over recovers and corrects; else empty."""
    axes: dict[str, str] = {}
    """While a person drives: who moved each axis in the newest period, policy, human, blended or hold."""
    last_episode: tuple[str, int, int] | None = None
    """Actor, epoch and number of the newest episode that is over: what a late verdict is about."""
    tool: tuple[float, float, float] | None = None
    """Where the tool is commanded to be, base frame [m]."""
    gripper: float | None = None
    """Commanded distance between the fingers [m]."""
    waiting: str = ""
    """What the robot waits for from the operator, e.g. `start`; else empty."""
    reward: Reward | None = None
    """What is known of the reward model; None where success is not told from images."""


class Ack(_Message, frozen=True, tag="ack"):
    """A button or words arrived and will be obeyed, or why not."""

    id: str
    client: str
    ok: bool
    reason: str = ""


class Haptic(_Message, frozen=True, tag="haptic"):
    """Let a controller vibrate."""

    client: str
    hand: str
    strength: float
    seconds: float


class Event(_Message, frozen=True, tag="log"):
    """A line of the event log."""

    t: float
    level: str
    """info, warning or error."""
    text: str


ToRobot = FromPage | Gone | Alive
ToConsole = Welcome | Status | Ack | Haptic | Event
_robot = msgspec.msgpack.Decoder(ToRobot)
_console = msgspec.msgpack.Decoder(ToConsole)
encode = msgspec.msgpack.Encoder().encode


def for_robot(blob: bytes) -> ToRobot:
    """Decode what the console sent; raises `msgspec.DecodeError`."""
    message: ToRobot = _robot.decode(blob)
    return message


def for_console(blob: bytes) -> ToConsole:
    """Decode what the robot sent; raises `msgspec.DecodeError`."""
    message: ToConsole = _console.decode(blob)
    return message


def allowed(message: FromPage) -> str:
    """Say why the robot must not obey, or return an empty string: who is no pilot may only stop, and disturb.

    The console passes on disturbances of those only who may take the seat.
    """
    if message.pilot or (isinstance(message.body, Button) and message.body.kind in ("estop", "disturb")):
        return ""
    return f"{message.operator or 'this page'} is not the pilot; take the pilot's seat first"
