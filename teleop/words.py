"""Corrections in words, typed or spoken: a phrase becomes a short movement of exactly the length that was asked for."""

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from robot_hil.clock import Clock
from robot_hil.data.operator_input import Words as WordsMessage
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.teleop.base import GripLatch, Mailbox
from robot_hil.teleop.motions import Motion, RefusedError, WordsConfig, plan
from robot_hil.teleop.phrases import Command, Pace, Signal, Stop, parse

_log = logging.getLogger(__name__)
_AS_USUAL = WordsConfig()
_SLOWEST, _FASTEST = 0.2, 2.0
_NO_PAGE = "open the console and take the pilot's seat to use words"


@dataclass(frozen=True, slots=True)
class _Order:
    """What a page wants instead of whatever is being done: nothing, when `motions` is empty."""

    motions: tuple[Motion, ...]
    text: str
    client: str
    operator: str
    t: float
    lost: str = ""
    """The page is gone, and why."""


class Words:
    """A `TeleopDevice` and `Monitored`; `feed`, `heard`, `gone` come from the link's thread, the rest from the loop's.

    A phrase takes the robot over, moves it in a straight line at a limited speed by what was asked, and lets go by
    itself; a new phrase replaces what is left of the one before. `latest` must be asked once per control period, for
    that is how far one step goes; asked again within half a period it says the same and does not move on.

    Words have no dead-man, so the page has to be heard all the while: any report of it counts. One that falls silent or
    goes away during a movement is LOST and the rest of the movement is dropped. Without any page it is DISCONNECTED.

    Edges: `stop` and `pause` are PAUSE; `success` and the like are what they are called; ENGAGE and DISENGAGE tell when
    a movement began and ended. The phrase is the `reason` of each, and `words` in the samples that obey it.
    """

    kind = "words"

    def __init__(
        self,
        scale: ActionScale,
        tool: Callable[[], ToolState],
        clock: Clock,
        config: WordsConfig = _AS_USUAL,
        name: str = "words",
    ) -> None:
        self._scale, self._tool, self._clock, self._config, self._name = scale, tool, clock, config, name
        self._edges: Mailbox[None] = Mailbox(None)
        self._orders: deque[_Order] = deque()
        self._grip = GripLatch(scale)
        # The link's thread writes these...
        self._heard = self._driver_heard = clock.now()
        self._newest = ""
        self._driver = ""
        self._last: tuple[Motion, ...] = ()
        self._pace = 1.0
        # ...and the loop's thread these.
        self._started = False
        self._todo: deque[Motion] = deque()
        self._begun: Motion | None = None
        self._order = _Order((), "", "", "", -math.inf)
        self._lost, self._lost_t, self._note = "", -math.inf, ""
        self._said = TeleopSample(status=SampleStatus.DISCONNECTED, t=clock.now(), device=name)
        self._said_t = -math.inf

    @property
    def name(self) -> str:
        return self._name

    @property
    def text(self) -> str:
        """The phrase that moves the robot now, else empty; any thread."""
        return self._order.text if self._said.engaged else ""

    # -- from the page -----------------------------------------------------------------------------------------------

    def feed(self, body: object, *, client: str, operator: str, t_recv: float, t_page: float) -> str:
        """Take a message of page `client`, made at `t_page` and here at `t_recv`, monotonic [s]; returns at once.

        `body` is a text, or any message of the page: those that are no words only tell that it lives. Return why the
        phrase will not be obeyed, for the page to show; empty when it will.
        """
        self.heard(client, min(t_page, t_recv))
        text = body.text if isinstance(body, WordsMessage) else body
        if not isinstance(text, str):
            return ""
        phrase = parse(text)
        problem = phrase.problem
        if not problem:
            try:
                self._obey(phrase.commands, text, client, operator, t_recv, t_page)
            except RefusedError as refused:
                problem = str(refused)
        _log.info("%s says %r: %s", operator or "somebody", text, problem or "understood")
        return problem

    def heard(self, client: str, t: float) -> None:
        """Take note that page `client` was alive at monotonic time `t` [s]; returns at once."""
        self._heard, self._newest = max(self._heard, t), client
        if client == self._driver:
            self._driver_heard = max(self._driver_heard, t)

    def gone(self, client: str, reason: str) -> None:
        """Take note that a page closed, broke off or lost the pilot's seat; returns at once."""
        if client == self._newest:
            self._newest = ""  # until another one is heard
        self._orders.append(_Order((), "", client, "", self._clock.now(), lost=reason or "the page is gone"))

    def _obey(
        self, commands: tuple[Command, ...], text: str, client: str, operator: str, t_recv: float, t_page: float
    ) -> None:
        """Pass on what is to be done, all of it or nothing; raises `RefusedError`."""
        motions: list[Motion] = []
        kinds: list[EventKind] = []
        pace = self._pace
        for command in commands:
            if isinstance(command, Signal):
                kinds.append(command.kind)
            elif isinstance(command, Stop):
                kinds.append(EventKind.PAUSE)
            elif isinstance(command, Pace):
                pace = min(max(pace * command.factor, _SLOWEST), _FASTEST)
            else:
                motions += plan(command, self._scale, self._config, motions or self._last)
        if kinds and motions:
            raise RefusedError(f'Say "{kinds[0].value}" by itself, once the movement is over.')
        if motions and not self._started:
            raise RefusedError("The robot takes no words just now.")
        if motions and not t_recv - t_page <= self._config.max_delay_s:
            raise RefusedError(f"That took {t_recv - t_page:.1f} s to get here, too long to move on it; say it again.")
        self._pace = pace
        if motions:
            self._last = tuple(motion.copy() for motion in motions)
            self._driver, self._driver_heard = client, t_recv
        if motions or kinds:
            self._orders.append(_Order(tuple(motions), text, client, operator, t_recv))
        for kind in kinds:
            self._post(kind, t_recv, operator, text)

    def _post(self, kind: EventKind, t: float, operator: str, text: str) -> None:
        source = f"{self._name} of {operator}" if operator else self._name
        self._edges.post(TeleopEvent(kind=kind, t=t, source=source, reason=text))

    # -- TeleopDevice ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if not self._started:
            self._orders.clear()  # what was said before nobody is waiting for any more
            self._started = True

    def stop(self) -> None:
        self._started = False
        self._todo.clear()
        self._lost = self._note = ""
        self._said = self._silent(SampleStatus.DISCONNECTED, f"{self._name} is not started")

    def drain_events(self) -> list[TeleopEvent]:
        return self._edges.drain()

    def latest(self) -> TeleopSample:
        if not self._started:
            return self._silent(SampleStatus.DISCONNECTED, f"{self._name} is not started")
        now, before = self._clock.now(), self._said
        try:
            self._said = self._next(now)
        except Exception as problem:  # a device never raises: the loop must get LOST and hold
            if not self._lost:
                _log.exception("%s cannot say how to move", self._name)
            self._lose(f"{self._name} fails: {problem}", now)
            self._said = self._silent(SampleStatus.LOST, self._lost)
        if before.engaged and not self._said.engaged:
            self._post(EventKind.DISENGAGE, now, self._order.operator, self._order.text)
        return self._said

    def info(self) -> DeviceInfo:
        status, problem = self._status(self._clock.now())
        return DeviceInfo(
            name=self._name,
            kind=self.kind,
            status=status,
            age_s=self._clock.now() - self._heard if self._newest else math.inf,
            engaged=self._said.engaged,
            operator=self._order.operator,
            problem=problem or self._note,
        )

    # -- the loop's side ---------------------------------------------------------------------------------------------

    def _next(self, now: float) -> TeleopSample:
        if self._lost and self._said.status is SampleStatus.LOST and self._newest and self._heard > self._lost_t:
            self._lost = ""
        fresh = False
        while self._orders:
            fresh |= self._take(self._orders.popleft(), now)
        silence = now - self._driver_heard
        if self._todo and silence > self._config.silence_s:
            self._lose(f"no word for {silence:.2f} s from the page whose words move the robot", now)
        status, problem = self._status(now)
        if status is not SampleStatus.OK:
            return self._silent(status, problem)
        if self._said.engaged and not fresh and now - self._said_t < 0.5 * self._scale.period_s:
            return self._said
        if not self._todo:
            return self._silent(SampleStatus.OK, "")
        self._said_t = now
        return TeleopSample(
            status=SampleStatus.OK,
            t=max(self._driver_heard, self._said.t),
            engaged=True,
            action=self._step(),
            device=self._name,
            operator=self._order.operator,
            words=self._order.text,
            tail_s=self._config.tail_s,
        )

    def _take(self, order: _Order, now: float) -> bool:
        """Put `order` in place of what is being done; return whether that changed anything."""
        if order.lost:
            if self._todo and order.client == self._order.client:
                self._lose(order.lost, now)
            return False
        late = now - order.t
        if order.motions and (self._lost or late > self._config.max_delay_s):
            self._note = f"{order.text!r} was not done: {self._lost or f'the robot was busy for {late:.1f} s'}"
            _log.warning("%s", self._note)
            return False
        self._todo = deque(order.motions)
        if order.motions:
            self._order, self._note = order, ""
            self._post(EventKind.ENGAGE, now, order.operator, order.text)
        return True

    def _step(self) -> Array:
        motion = self._todo[0]
        if motion is not self._begun:
            # A movement leaves the gripper as it is told to be; opening and closing begin there.
            width = self._tool().gripper_width
            self._grip.engage(width)
            motion.begin(self._scale, width)
            self._begun = motion
        action, done = motion.step(self._scale, self._config, self._pace, self._grip.command)
        if done:
            self._todo.popleft()
        return action

    def _lose(self, reason: str, now: float) -> None:
        self._todo.clear()
        self._lost, self._lost_t = reason, now

    def _status(self, now: float) -> tuple[SampleStatus, str]:
        if not self._started:
            return SampleStatus.DISCONNECTED, f"{self._name} is not started"
        if self._lost:
            return SampleStatus.LOST, self._lost
        if self._todo or (self._newest and now - self._heard <= self._config.max_age_s):
            return SampleStatus.OK, ""
        return SampleStatus.DISCONNECTED, _NO_PAGE

    def _silent(self, status: SampleStatus, problem: str) -> TeleopSample:
        """Return a sample that moves nothing."""
        return TeleopSample(
            status=status,
            t=max(self._heard, self._said.t),
            device=self._name,
            operator=self._order.operator,
            tail_s=self._config.tail_s,
            problem=problem,
        )
