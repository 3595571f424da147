"""The headset as a device: fed by the console's link, asked by the control loop."""

from collections.abc import Callable, Mapping
from math import inf

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.operator_input import XrEvent, XrFrame
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError, RobotHilError
from robot_hil.teleop.base import GripLatch, Mailbox, RateMeter, to_action
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.mapping import STILL, HandMapping, Six
from robot_hil.teleop.webxr.pose import HandPose
from robot_hil.teleop.webxr.session import SIDES, HandView, HeadsetSession, View

Tool = Callable[[], ToolState]
SendHaptic = Callable[[str, str, float, float], object]
ENGAGED, LOST, BEHIND = (0.6, 0.05), (1.0, 0.3), (0.2, 0.03)
"""Strength and seconds of what the operator feels."""
_BEHIND_EVERY_S = 0.25


def _nowhere(client: str, hand: str, strength: float, seconds: float) -> None:
    """Haptics of a device that is not connected to a page."""


class _Arm:
    """One arm and the hand that drives it; used by the control loop only."""

    def __init__(self, name: str, scale: ActionScale, tool: Tool, config: WebXRConfig, first: int) -> None:
        self.name, self.scale, self.tool = name, scale, tool
        self.columns = slice(first, first + len(scale.axes))
        self.mapping, self.grip = HandMapping(scale, config), GripLatch(scale)
        self.latched: tuple[str, int] | None = None
        """Side and number of the press that drives."""
        self._turns = 0

    def release(self) -> None:
        self.latched = None
        self.grip.release()

    def follow(self, side: str, hand: HandPose, press: int, view: View) -> Six:
        """Return the motion of this period; none at the first call of a press. Raises what `tool` raises."""
        tool = self.tool()
        if self.latched != (side, press):
            self.grip.engage(tool.gripper_width)
        elif view.turns == self._turns:
            return self.mapping.follow(hand, tool)
        self.mapping.engage(hand, view.heading, tool)
        self.latched, self._turns = (side, press), view.turns
        return STILL


class WebXR:
    """A `TeleopDevice`, `Monitored` and `Feedback`: hands in a headset drive one arm or two.

    Squeezing is the clutch and the dead-man: only while it is held does the tool repeat what the hand does. With one
    arm, `scale` is its `ActionScale` and one hand drives. With several, `scale` and `tool` are mappings with
    keys `left` and `right`; each hand drives the arm of its name, actions are concatenated in the mapping's
    order, and the sample's mask says which arms are driven now.

    Whatever goes wrong while a clutch is held makes the device LOST, until the clutch was seen released; motion needs
    a fresh press. `feed` and `gone` belong to the thread that brings the page's messages, `latest` to the control
    loop; `info`, `drain_events` and `pulse` may be called from any thread. `send_haptic` takes client, hand (empty for
    both), strength in [0, 1] and seconds, and must not block.
    """

    def __init__(
        self,
        scale: ActionScale | Mapping[str, ActionScale],
        tool: Tool | Mapping[str, Tool],
        clock: Clock,
        *,
        config: WebXRConfig = WebXRConfig(),  # noqa: B008  frozen
        send_haptic: SendHaptic = _nowhere,
        name: str = "webxr",
    ) -> None:
        self._clock, self._config, self._send_haptic, self._name = clock, config, send_haptic, name
        self._arms = _arms(scale, tool, config)
        self._size = sum(len(arm.scale.axes) for arm in self._arms)
        self._single = isinstance(scale, ActionScale)
        sides = ((config.hand,) if config.hand else SIDES) if self._single else tuple(arm.name for arm in self._arms)
        self._mail: Mailbox[None] = Mailbox(None)
        self._session = HeadsetSession(config, sides, exclusive=self._single, post=self._post)
        self._rate = RateMeter()
        self._started, self._start_t = False, clock.now()
        self._late: dict[str, int] = {}  # presses that ended because nothing came any more
        self._late_problem = ""
        self._was_lost = False
        self._behind_t = -inf

    @property
    def name(self) -> str:
        return self._name

    def start(self) -> None:
        self._started = True

    def stop(self) -> None:
        self._started = False
        self._session.forget()
        self._release()

    # -- the page's thread ---------------------------------------------------------------------------------------------

    def feed(self, body: XrFrame | XrEvent, *, client: str, operator: str, t_recv: float, t_page: float) -> None:
        """Take a message of the page: received and made at monotonic times `t_recv` and `t_page` [s]; never blocks."""
        if not self._started:
            return
        if isinstance(body, XrFrame):
            self._rate.count(t_recv)
            self._session.frame(body, client=client, operator=operator, t_recv=t_recv, t_made=min(t_page, t_recv))
        else:
            self._session.event(body, client=client, operator=operator, t_recv=t_recv)

    def gone(self, client: str, reason: str) -> None:
        """Take note that the page's connection `client` ended or may not drive any more."""
        self._session.gone(client, reason)

    def _post(self, kind: EventKind, t: float, operator: str) -> None:
        self._mail.post(TeleopEvent(kind=kind, t=t, source=f"{self._name} {operator}".strip()))

    # -- the control loop ----------------------------------------------------------------------------------------------

    def latest(self) -> TeleopSample:
        now, view = self._clock.now(), self._session.view
        status, problem = self._judge(view, now)
        driving = self._driving(view)
        if status is SampleStatus.LOST and driving:  # nothing comes any more, so nobody else would remember
            self._late |= {side: hand.press for side, hand in driving.items()}
            self._late_problem = problem
        self._feel_loss(status)
        if status is not SampleStatus.OK or not driving:
            self._release()
            return self._sample(view, status, problem)
        try:
            action, mask = self._follow(view, driving, now)
        except RobotHilError as error:  # the tool's pose is not known, e.g. before the first reset
            self._release()
            return self._sample(view, SampleStatus.OK, str(error))
        return TeleopSample(
            status=SampleStatus.OK,
            t=view.valid_t,
            engaged=True,
            action=action,
            mask=None if self._single else mask,
            device=self._name,
            operator=view.operator,
            tail_s=0.0,
        )

    def drain_events(self) -> list[TeleopEvent]:
        return self._mail.drain()

    def info(self) -> DeviceInfo:
        now, view = self._clock.now(), self._session.view
        status, problem = self._judge(view, now)
        return DeviceInfo(
            name=self._name,
            kind="webxr",
            status=status,
            age_s=now - view.alive_t,
            rate_hz=self._rate.rate(now),
            engaged=status is SampleStatus.OK and bool(self._driving(view)),
            operator=view.operator,
            problem=problem,
            dropped=self._session.dropped,
        )

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        client = self._session.view.client
        if client and self._started:
            self._send_haptic(client, hand, min(max(strength, 0.0), 1.0), max(seconds, 0.0))

    # -- judging -------------------------------------------------------------------------------------------------------

    def _driving(self, view: View) -> dict[str, HandView]:
        """Return the hands whose clutch is held and was not found dead."""
        return {side: hand for side, hand in view.hands.items() if hand.held and hand.press != self._late.get(side)}

    def _judge(self, view: View, now: float) -> tuple[SampleStatus, str]:
        if not self._started:
            return SampleStatus.DISCONNECTED, "the headset's device is not started"
        if view.lost:
            return SampleStatus.LOST, f"{view.lost}; let go of the clutch"
        if any(hand.held and hand.press == self._late.get(side) for side, hand in view.hands.items()):
            return SampleStatus.LOST, self._late_problem
        silent, age = now - view.valid_t, now - view.made_t
        if self._driving(view):
            if silent > self._config.silence_s:
                return SampleStatus.LOST, f"nothing came from the headset for {silent:.2f} s; let go of the clutch"
            if age > self._config.max_age_s:
                return SampleStatus.LOST, f"the headset's newest frame is {age:.2f} s old; let go of the clutch"
            return SampleStatus.OK, ""
        if view.away:
            return SampleStatus.DISCONNECTED, view.away
        if not now - view.alive_t <= self._config.silence_s:
            return SampleStatus.DISCONNECTED, "no headset: open the page /xr in its browser and enter VR"
        return SampleStatus.OK, ""

    def _follow(self, view: View, driving: Mapping[str, HandView], now: float) -> tuple[Array, Array]:
        """Return action (A,) and mask (A,); raises what a tool raises."""
        twists: dict[str, Six] = {}
        for arm in self._arms:
            side = next(iter(driving)) if self._single else arm.name
            hand = driving.get(side)
            if hand is None or hand.pose is None:
                arm.release()
                continue
            fresh = arm.latched != (side, hand.press)
            twists[arm.name] = arm.follow(side, hand.pose, hand.press, view)
            if fresh:
                self.pulse(side, *ENGAGED)
            elif arm.mapping.behind and now - self._behind_t > _BEHIND_EVERY_S:
                self._behind_t = now
                self.pulse(side, *BEHIND)
        self._triggers(now)
        action, mask = np.zeros(self._size, np.float32), np.zeros(self._size, np.bool_)
        for arm in self._arms:
            if arm.name in twists:
                action[arm.columns] = to_action(arm.scale, twists[arm.name], arm.grip.command)
                mask[arm.columns] = True
        return action, mask

    def _triggers(self, now: float) -> None:
        """Give the gripper what the triggers said, if the press during which they were hit still drives."""
        edges = self._session.grips
        while edges:
            side, press, grip = edges.popleft()
            for arm in self._arms:
                if arm.latched == (side, press):
                    arm.grip.press(grip, now)

    def _release(self) -> None:
        for arm in self._arms:
            arm.release()

    def _feel_loss(self, status: SampleStatus) -> None:
        lost = status is SampleStatus.LOST
        if lost and not self._was_lost:
            self.pulse("", *LOST)
        self._was_lost = lost

    def _sample(self, view: View, status: SampleStatus, problem: str) -> TeleopSample:
        return TeleopSample(
            status=status,
            t=max(view.alive_t, self._start_t),
            device=self._name,
            operator=view.operator,
            tail_s=0.0,
            problem=problem,
        )


def _arms(
    scale: ActionScale | Mapping[str, ActionScale], tool: Tool | Mapping[str, Tool], config: WebXRConfig
) -> list[_Arm]:
    """Return the arms in their order; raises `ConfigError` unless scales and tools fit each other."""
    if isinstance(scale, ActionScale):
        if isinstance(tool, Mapping):
            raise ConfigError("one arm has one tool; give a callable, or a mapping of scales as well.")
        return [_Arm("", scale, tool, config, 0)]
    if not isinstance(tool, Mapping) or set(tool) != set(scale) or not scale or not set(scale) <= set(SIDES):
        given = f"scale is for {list(scale)}, tool for {list(tool) if isinstance(tool, Mapping) else 'one arm'}"
        raise ConfigError(f"{given}; give mappings with the same keys, of 'left' and 'right'.")
    arms: list[_Arm] = []
    for side in scale:
        arms.append(_Arm(side, scale[side], tool[side], config, sum(len(arm.scale.axes) for arm in arms)))
    return arms
