"""Devices that live in a browser page: reports come in from another thread, the control loop takes them in order.

Nothing is decided where reports arrive. `latest` goes through all of them, so that a press and a release between two
control periods are both seen, and judges by their times, so that a page that died shows without anyone saying so.
"""

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import DeviceInfo, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.base import Grip, RateMeter
from robot_hil.teleop.deflection import Deflection, DeflectionConfig

_LOG = logging.getLogger(__name__)
_INBOX = 512
Body = TypeVar("Body")
AT_ONCE = DeflectionConfig(enter=0.01, leave=0.0, tail_s=0.0)
"""For devices with a dead-man: pulled or not is clear without a dead-zone, and whoever lifts the finger has let go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageConfig:
    """How a device in a page is watched, and how its deflections become commands."""

    deflection: DeflectionConfig
    silence_s: float = 0.12
    """A page that is silent for longer while the person drives is lost; it reports every 0.02 s [s]."""
    max_age_s: float = 0.5
    """A page that is silent for longer while nobody drives is not there [s]."""
    tap_s: float = 0.25
    """A tap older than this when the control loop comes to it moves nothing [s]."""

    def __post_init__(self) -> None:
        times = (self.silence_s, self.max_age_s, self.tap_s)
        if not all(0 < t < np.inf for t in times):
            raise ConfigError(f"silence_s, max_age_s and tap_s are {times}; give times in seconds, above 0.")


@dataclass(frozen=True, slots=True)
class Pull:
    """What the person does now: deflections x, y, z, rx, ry, rz in [-1, 1], operator's frame, and the gripper."""

    raw: tuple[float, ...]
    pressed: Grip | None = None
    held: bool = False
    """A key or dead-man's button is down: the person is in charge, whatever the deflection."""
    rewind: bool = False
    """The person holds what leads the robot back the way it came; all else counts for nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class _Report(Generic[Body]):
    body: Body | None
    """None: the page is gone."""
    client: str
    operator: str
    t: float
    reason: str = ""


class PageDevice(ABC, Generic[Body]):
    """A `TeleopDevice` and `Monitored`; `feed` and `gone` may be called from any thread, the rest from the loop's.

    Released is not lost: a page that says it lays the device aside lets go in good order. One that falls silent, goes
    away or gives way to another page while the person drives is LOST until everything is let go of; whatever is held
    down when a page comes (back) counts only after it was let go of and pressed anew.
    """

    kind = "page"
    absent = "no page of a pilot is open"
    """What is wrong and what to do while no page says anything of this device."""
    accepts: type[Body]
    """Class of the messages that are for this device; `feed` ignores others."""

    def __init__(
        self, scale: ActionScale, tool: Callable[[], ToolState], clock: Clock, config: PageConfig, name: str
    ) -> None:
        self._scale, self._tool, self._clock, self._config, self._name = scale, tool, clock, config, name
        self._deflection = Deflection(scale, tool, config.deflection)
        self._inbox: deque[_Report[Body]] = deque(maxlen=_INBOX)
        self._meter = RateMeter()
        self._started = self._engaged = self._broken = False
        self._strange = True  # the next report tells what was pressed before we looked
        self._client = self._operator = self._lost = self._away = ""
        self._alive = clock.now()
        self._heard = -np.inf
        self._seq = -1
        self._dropped = 0

    # -- what a device adds ----------------------------------------------------------------------------------------

    @abstractmethod
    def _read(self, body: Body, *, stale: bool, late: bool) -> None:
        """Take a report. `stale`: what is down in it does not count before it was let go of; `late`: taps do not."""

    @abstractmethod
    def _down(self) -> bool:
        """Whether anything that drives is held down, pressed before or not."""

    @abstractmethod
    def _holding(self) -> bool:
        """Whether the person holds on to the robot by a press that counts."""

    @abstractmethod
    def _pull(self) -> Pull:
        """Return what the person does now, and forget the taps in it."""

    @abstractmethod
    def _forget(self) -> None:
        """Forget everything held and tapped."""

    @abstractmethod
    def _laid_aside(self, body: Body) -> str:
        """Say why the page lets go in good order, or return an empty string."""

    def _torn_away(self, body: Body) -> str:
        """Say why the device is not there although its page is, or return an empty string."""
        return ""

    # -- from the page, any thread ---------------------------------------------------------------------------------

    def feed(self, body: object, *, client: str, operator: str, t_recv: float, t_page: float) -> None:
        """Take a message of page `client`, made at `t_page` and here at `t_recv`, monotonic [s]; returns at once."""
        if isinstance(body, self.accepts):
            self._meter.count(t_recv)
            self._heard = max(self._heard, min(t_page, t_recv))
            self._inbox.append(_Report(body, client, operator, min(t_page, t_recv)))

    def gone(self, client: str, reason: str) -> None:
        """Take note that a page closed, broke off or lost the pilot's seat; returns at once."""
        self._inbox.append(_Report(None, client, "", self._clock.now(), reason))

    # -- TeleopDevice ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        if not self._started:
            self._started = True
            while self._inbox:
                self._take(self._inbox.popleft(), self._clock.now())
            self._let_go()
            self._strange = True

    def stop(self) -> None:
        self._started = False
        self._let_go()

    def drain_events(self) -> list[TeleopEvent]:
        """Return nothing: the page sends success, fail and the like as buttons of its own, which are acknowledged."""
        return []

    def latest(self) -> TeleopSample:
        now = self._clock.now()
        if not self._started:
            return self._without_command(SampleStatus.DISCONNECTED, f"{self._name} is not started")
        try:
            while self._inbox:
                self._take(self._inbox.popleft(), now)
            sample = self._sample(now)
            self._broken = False
        except Exception as problem:  # a device never raises: the loop must get LOST and hold
            if not self._broken:
                _LOG.exception("%s cannot say what the person wants", self._name)
            self._broken = True
            self._lose(f"{self._name} fails: {problem}")
            sample = self._without_command(SampleStatus.LOST, self._lost)
        self._engaged = sample.engaged
        return sample

    def info(self) -> DeviceInfo:
        """Return how the device is now; a page that fell silent shows although nobody asks `latest`."""
        age = self._clock.now() - self._heard
        status, problem = self._status(age)
        return DeviceInfo(
            name=self._name,
            kind=self.kind,
            status=status,
            age_s=float(age),
            rate_hz=self._meter.rate(self._clock.now()),
            engaged=self._engaged and status is SampleStatus.OK,
            operator=self._operator,
            problem=problem,
            dropped=self._dropped,
        )

    # -- the loop's side -------------------------------------------------------------------------------------------

    def _take(self, report: _Report[Body], now: float) -> None:
        driving = self._engaged or self._holding()
        if report.body is None:
            if report.client == self._client:
                self._part(driving, report.reason or "the page is gone")
            return
        if report.client != self._client:
            if driving:
                self._lose(f"another page took over {self._name}; let go of everything")
            self._client, self._seq, self._strange = report.client, -1, True
        elif driving and report.t - self._alive > self._config.silence_s:
            self._lose(f"the page with {self._name} was silent for {report.t - self._alive:.2f} s")
        self._count(int(getattr(report.body, "seq", 0)))
        self._operator = report.operator
        self._alive = max(self._alive, report.t)
        if torn := self._torn_away(report.body):
            self._part(driving, torn)
            return
        self._away = self._laid_aside(report.body)
        if self._away:
            self._let_go()
        else:
            stale = self._strange or bool(self._lost)
            self._read(report.body, stale=stale, late=now - report.t > self._config.tap_s)
        self._strange = False
        if self._lost and not self._down():
            self._lost = ""

    def _count(self, seq: int) -> None:
        if self._seq >= 0:
            self._dropped += max(0, seq - self._seq - 1)
        self._seq = seq

    def _status(self, age: float) -> tuple[SampleStatus, str]:
        if not self._started:
            return SampleStatus.DISCONNECTED, f"{self._name} is not started"
        if self._lost:
            return SampleStatus.LOST, self._lost
        if self._client and age <= self._config.max_age_s:
            return SampleStatus.OK, ""
        silent = f"nothing was heard for {age:.1f} s from the page with {self._name}" if self._client else self.absent
        return SampleStatus.DISCONNECTED, self._away or silent

    def _sample(self, now: float) -> TeleopSample:
        age = now - self._alive
        if (self._engaged or self._holding()) and not self._lost and age > self._config.silence_s:
            self._lose(f"no word for {age:.2f} s from the page with {self._name}")
        status, problem = self._status(age)
        if status is not SampleStatus.OK:
            self._deflection.reset()
            return self._without_command(status, problem)
        pull = self._pull()
        if pull.rewind:
            self._deflection.reset()  # whoever drives on from there takes the gripper as it is then
            return replace(self._without_command(status, ""), engaged=True, rewind=True)
        return self._deflection.sample(
            self._alive,
            now,
            pull.raw,
            device=self._name,
            operator=self._operator,
            pressed=pull.pressed,
            held=pull.held,
        )

    def _part(self, driving: bool, reason: str) -> None:
        """Let go because the page or device went away: lost when the person drove, else just not there."""
        self._client = ""
        if driving:
            self._lose(reason)
        else:
            self._let_go()
        self._away = reason

    def _lose(self, reason: str) -> None:
        self._let_go()
        self._lost = reason

    def _let_go(self) -> None:
        self._forget()
        self._deflection.reset()
        self._engaged = False

    def _without_command(self, status: SampleStatus, problem: str) -> TeleopSample:
        return TeleopSample(
            status=status,
            t=self._alive,
            device=self._name,
            operator=self._operator,
            tail_s=self._config.deflection.tail_s,
            problem=problem,
        )
