"""The leader arm as a device: the person moves a small copy of the robot by hand, and the robot follows."""

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from robot_hil.clock import Clock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import Mailbox
from robot_hil.teleop.leader.bus import ServoBus
from robot_hil.teleop.leader.calibration import Calibration
from robot_hil.teleop.leader.following import Follower, Forward
from robot_hil.teleop.leader.reader import LeaderReader, LeaderReading

_LOG = logging.getLogger(__name__)
SQUEEZED, OPENED = 0.9, 0.5
"""The trigger counts as squeezed beyond the one, and as let go below the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderConfig:
    """The arm's calibration, and how the robot follows it."""

    calibration: Calibration
    rate_hz: float = 200.0
    """Of readings; the bus may be slower."""
    match_rad: float = 0.8
    """No joint of leader and robot may be further apart when the person engages [rad]."""
    soft_rad_s: float = 0.5
    """At which the joint target first moves from the robot to the leader [rad/s]."""
    soft_step_rad: float = 0.05
    """And at most per control period [rad]."""
    squeeze_s: float = 0.0
    """The trigger, squeezed fully for so long, engages; 0: it does not [s]."""
    stale_s: float = 0.12
    """After a silence this long the arm is lost [s]."""
    forget_s: float = 0.5
    """When nobody asked for so long, the robot did something else meanwhile: the arm is let go [s]."""

    def __post_init__(self) -> None:
        for name in ("rate_hz", "match_rad", "soft_rad_s", "soft_step_rad", "stale_s", "forget_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}; give a number above 0.")
        if not 0 <= self.squeeze_s < math.inf:
            raise ConfigError(f"squeeze_s is {self.squeeze_s}; give a time of at least 0 s.")
        if self.squeeze_s and self.calibration.gripper is None:
            raise ConfigError("squeeze_s needs a gripper servo in the calibration; this one has none.")


class LeaderArm:
    """A `TeleopDevice` that drives between `request_engage` and `request_release`.

    It engages only when every joint is near the robot's, else says in `info().problem` which are not. The first command
    is no motion; then the joint target runs from the robot's joints to the leader's, and follows it from there on.
    The gripper waits until the trigger passes the robot's own opening. After any loss, a reset, or `forget_s` in which
    nobody asked, the person must engage again.

    `start` raises `BusError`, `DependencyError` or `ConfigError`. `latest` and `begin_episode` belong to the control
    loop's thread; the rest may be called by any.
    """

    kind = "leader arm"

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        bus: ServoBus,
        config: LeaderConfig,
        forward: Forward,
        name: str = "leader arm",
        operator: str = "",
    ) -> None:
        self.config = config
        self._tool, self._clock, self._name, self._operator = tool, clock, name, operator
        self._follower = Follower(
            scale,
            forward,
            match_rad=config.match_rad,
            soft_rad_s=config.soft_rad_s,
            soft_step_rad=config.soft_step_rad,
        )
        self._reader = LeaderReader(bus, config.calibration, clock, config.rate_hz, config.stale_s)
        self._edges = Mailbox(None)
        self._requests: deque[bool] = deque(maxlen=16)
        self._started = self._engaged = False
        self._session = 0
        self._asked = -math.inf  # when `latest` was asked last
        self._squeezed_at = math.inf
        self._refusal = ""

    def request_engage(self) -> None:
        """Ask to drive, at the next `latest`: a key, a pedal, a button of the console; for a dead-man, its press."""
        self._requests.append(True)

    def request_release(self) -> None:
        """Let go, at the next `latest`; for a dead-man, its release or loss."""
        self._requests.append(False)

    def begin_episode(self, seed: int) -> None:
        """Let go: the robot is about to be elsewhere."""
        self._requests.clear()
        self._let_go("the robot was reset: engage again")

    # -- TeleopDevice ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        if not self._started:
            self._reader.start()
            self._session = self._reader.latest.session
            self._requests.clear()
            self._asked, self._squeezed_at = -math.inf, math.inf
            self._started = True

    def stop(self) -> None:
        self._started = False
        self._reader.stop()
        self._let_go("stopped")

    def drain_events(self) -> list[TeleopEvent]:
        return self._edges.drain()

    def latest(self) -> TeleopSample:
        now, reading = self._clock.now(), self._reader.latest
        status, problem = self._status(reading, now)
        if status is SampleStatus.OK and reading.session != self._session:
            # Silent and back between two looks: a loss is told at least once.
            status, problem = SampleStatus.LOST, f"{self._name} was lost for a moment"
            self._session = reading.session
        if status is not SampleStatus.OK:
            self._requests.clear()
            self._let_go(problem)
            return self._sample(status, reading.t, problem=problem)
        if now - self._asked > self.config.forget_s:
            self._let_go("the robot did something else: engage again")
        seconds, self._asked = min(now - self._asked, self.config.forget_s), now
        try:
            driving = self._engaged
            self._heed_requests(reading, now)
            if not self._engaged:
                return self._sample(SampleStatus.OK, reading.t)
            seconds = seconds if driving else 0.0
            action = self._follower.follow(reading.joint_pos, reading.squeeze, self._tool(), seconds)
        except Exception as error:  # a device never raises: without the robot's state the loop must hold
            _LOG.exception("%s cannot follow", self._name)
            self._let_go(str(error))
            return self._sample(SampleStatus.LOST, reading.t, problem=f"the robot's pose is not known: {error}")
        return self._sample(SampleStatus.OK, reading.t, action=action)

    def info(self) -> DeviceInfo:
        now, reader = self._clock.now(), self._reader
        reading = reader.latest
        status, problem = self._status(reading, now)
        return DeviceInfo(
            name=self._name,
            kind=self.kind,
            status=status,
            age_s=now - reading.t if reading.session else math.inf,
            rate_hz=reader.meter.rate(now),
            engaged=self._engaged and status is SampleStatus.OK,
            operator=self._operator,
            problem=problem or self._refusal,
            dropped=reader.dropped,
        )

    # -- engaging --------------------------------------------------------------------------------------------------

    def _heed_requests(self, reading: LeaderReading, now: float) -> None:
        if self._squeezed(reading, now) and not self._engaged:
            self._requests.append(True)
        while self._requests:
            wanted = self._requests.popleft()
            if not wanted:
                self._refusal = ""
                self._let_go("")
            elif not self._engaged:
                self._engage(reading, now)

    def _engage(self, reading: LeaderReading, now: float) -> None:
        tool = self._tool()
        self._refusal = self._follower.mismatch(reading.joint_pos, tool)
        if self._refusal:
            _LOG.warning("%s refused: %s", self._name, self._refusal)
            self._post(EventKind.DISENGAGE, self._refusal)
            return
        self._follower.engage(tool, reading.squeeze)
        self._engaged = True
        self._post(EventKind.ENGAGE, "")

    def _let_go(self, reason: str) -> None:
        if self._engaged:
            self._engaged = False
            self._post(EventKind.DISENGAGE, reason)

    def _squeezed(self, reading: LeaderReading, now: float) -> bool:
        """Whether the trigger was squeezed just long enough; once per squeeze."""
        if not self.config.squeeze_s or reading.squeeze is None or reading.squeeze < OPENED:
            self._squeezed_at = math.inf
        elif reading.squeeze > SQUEEZED:
            if self._squeezed_at == math.inf:
                self._squeezed_at = now
            if now - self._squeezed_at >= self.config.squeeze_s:
                self._squeezed_at = math.nan  # compares with nothing until the trigger was opened
                return True
        return False

    def _post(self, kind: EventKind, reason: str) -> None:
        self._edges.post(TeleopEvent(kind=kind, t=self._clock.now(), source=self._name, reason=reason))

    def _status(self, reading: LeaderReading, now: float) -> tuple[SampleStatus, str]:
        if not self._started:
            return SampleStatus.DISCONNECTED, f"{self._name} is not started"
        if not now - reading.t <= self.config.stale_s:
            why = self._reader.problem or "its reader hangs"
            return SampleStatus.LOST, f"nothing was heard of {self._name} for {now - reading.t:.2f} s: {why}"
        return SampleStatus.OK, ""

    def _sample(
        self, status: SampleStatus, t: float, *, action: Array | None = None, problem: str = ""
    ) -> TeleopSample:
        return TeleopSample(
            status=status,
            t=t,
            engaged=action is not None,
            action=action,
            device=self._name,
            operator=self._operator,
            tail_s=0.0,
            problem=problem,
        )
