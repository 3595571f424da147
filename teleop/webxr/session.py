"""The headset as its frames tell it: which hand holds its clutch, which frames can be trusted, which buttons were hit.

Belongs to the thread that brings the page's messages. Others read `view`, which is replaced whole.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import hypot, inf, isfinite

from robot_hil.data.operator_input import Hand, Pose, XrEvent, XrFrame
from robot_hil.data.rotation import difference, unit
from robot_hil.data.teleop import EventKind
from robot_hil.teleop.base import Grip
from robot_hil.teleop.webxr.config import WebXRConfig
from robot_hil.teleop.webxr.filter import PoseFilter
from robot_hil.teleop.webxr.pose import HandPose, heading_of

SIDES = ("left", "right")
TRIGGER, SQUEEZE, STICK, A_OR_X, B_OR_Y = 0, 1, 3, 4, 5
ENGAGE_AT, RELEASE_AT = 0.9, 0.5
PRESS_AT, LIFT_AT = 0.6, 0.4
_JUMP_SLACK_M, _JUMP_SLACK_RAD = 0.005, 0.05  # noise of tracking is no jump, however short the frame
_FAR_M = 50.0
_AWAY = {
    "end": "the headset's session ended; enter VR again",
    "blurred": "the headset shows its menu; close it",
    "hidden": "the headset is asleep or shows something else; put it on",
    "recentre": "the headset's view was recentred",
}


@dataclass(frozen=True, slots=True)
class HandView:
    """One hand now."""

    pose: HandPose | None = None
    """Filtered; None where it is not known."""
    press: int = 0
    """Number of its fresh presses of the clutch."""
    held: bool = False
    """The last press still holds and everything was in order since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything the control loop must know, at one moment."""

    client: str = ""
    operator: str = ""
    alive_t: float = -inf
    """When the newest message came [s]."""
    valid_t: float = -inf
    """When the newest valid frame came [s]."""
    made_t: float = -inf
    """When that frame was made [s]."""
    heading: float = 0.0
    """Where the operator looks, or looked where headings are kept, about the vertical [rad]."""
    turns: int = 0
    """How often it was set by a click."""
    hands: dict[str, HandView] = field(default_factory=lambda: dict.fromkeys(SIDES, HandView()))
    lost: str = ""
    """Why driving ended against the person's will; stays until the clutch was seen released."""
    away: str = ""
    """Why no frames are to be expected."""


class _Tracked:
    """What is remembered of one hand; the view of it is made new per frame."""

    def __init__(self, config: WebXRConfig) -> None:
        self.filter = PoseFilter(config.filter)
        self.pose: HandPose | None = None
        self.raw: HandPose | None = None
        self.raw_t = 0.0
        self.press = 0
        self.held = self.ready = False  # ready: seen released while everything was in order
        self.down: set[int] | None = None  # buttons; None before the first frame

    def forget(self) -> None:
        self.pose = self.raw = None
        self.ready = False


class HeadsetSession:
    """Fed with messages in their order. `exclusive`: only one hand drives at a time, `sides` are those that may."""

    def __init__(
        self,
        config: WebXRConfig,
        sides: Sequence[str],
        *,
        exclusive: bool,
        post: Callable[[EventKind, float, str], object],
    ) -> None:
        self.view = View()
        self.grips: deque[tuple[str, int, Grip]] = deque(maxlen=64)
        """Edges of the triggers: side, number of the press during which it was hit, what the gripper shall do."""
        self.dropped = 0
        """Messages that were missing, out of order or not to be trusted."""
        self._config, self._sides, self._exclusive, self._post = config, tuple(sides), exclusive, post
        self._tracked = {side: _Tracked(config) for side in SIDES}
        self._client = self._operator = self._lost = self._away = ""
        self._seq = -1
        self._alive_t = self._valid_t = self._made_t = -inf
        self._heading, self._turns, self._heading_set = 0.0, 0, False
        self._unreleased: set[str] = set()

    # -- messages ----------------------------------------------------------------------------------------------------

    def frame(self, frame: XrFrame, *, client: str, operator: str, t_recv: float, t_made: float) -> None:
        """Take one frame; times on the robot's clock [s]."""
        if not self._follow(frame, client, operator, t_recv):
            self._publish()
            return
        if self._any_held() and t_recv - self._valid_t > self._config.silence_s:
            self._trip(f"nothing came from the headset for {t_recv - self._valid_t:.2f} s")
        problem = self._frame_problem(frame, t_recv - t_made)
        if not problem:
            self._away = ""
            self._valid_t, self._made_t = t_recv, t_made
            assert frame.head is not None
            looks = heading_of(_wxyz(frame.head))
            if not (self._heading_set and self._config.keep_heading):
                self._heading = looks
        self._buttons(frame, t_made)
        for side, hand in zip(SIDES, (frame.left, frame.right), strict=True):
            self._hand(side, hand, problem, frame.t / 1000.0)
        self.dropped += bool(problem)
        self._publish()

    def event(self, event: XrEvent, *, client: str, operator: str, t_recv: float) -> None:
        """Take something that happened to the session."""
        if not self._follow(event, client, operator, t_recv):
            pass
        elif event.kind in _AWAY:
            self._trip(_AWAY[event.kind])
            if event.kind == "recentre":
                self._heading_set = False
            else:
                self._away = _AWAY[event.kind]
            for hand in self._tracked.values():
                hand.forget()
        elif event.kind in ("start", "visible"):
            self._away = ""
        self._publish()

    def gone(self, client: str, reason: str) -> None:
        """The connection `client` ended."""
        if client == self._client:
            self._leave(f"the headset's page is gone: {reason}" if reason else "the headset's page is gone")
            self._publish()

    def forget(self) -> None:
        """Start anew: nobody is there, nothing is lost."""
        self._leave("")
        self._lost, self._alive_t, self._valid_t, self._made_t = "", -inf, -inf, -inf
        self._unreleased.clear()
        self.grips.clear()
        self._publish()

    # -- the parts of a frame ------------------------------------------------------------------------------------------

    def _follow(self, message: XrFrame | XrEvent, client: str, operator: str, t_recv: float) -> bool:
        """Note who speaks; return whether the message comes in order."""
        if client != self._client:
            self._leave("another page took over" if self._client else "")
            self._client = client
        in_order = message.seq > self._seq
        if self._seq >= 0:
            self.dropped += message.seq - self._seq - 1 if in_order else 1
        self._seq = max(self._seq, message.seq)
        self._operator = operator
        if in_order:
            self._alive_t = max(self._alive_t, t_recv)
        else:
            self._trip("messages of the headset came out of order")
        return in_order

    def _leave(self, reason: str) -> None:
        self._trip(reason)
        self._client, self._away, self._seq, self._heading_set = "", reason, -1, False
        for hand in self._tracked.values():
            hand.forget()
            hand.down = None

    def _frame_problem(self, frame: XrFrame, age: float) -> str:
        if not frame.visible:
            return _AWAY["blurred"]
        if age > self._config.max_age_s:
            return f"the newest frame of the headset is {age:.2f} s old"
        if frame.head is None or _pose_problem(frame.head):
            return "the headset does not know where it is"
        return ""

    def _hand(self, side: str, hand: Hand | None, problem: str, t: float) -> None:
        """Judge one hand of a frame made at `t` [s] of the page's clock, and follow its clutch and trigger."""
        tracked = self._tracked[side]
        problem = problem or self._hand_problem(side, hand, t)
        if problem:
            if tracked.held:
                self._trip(problem)
            tracked.forget()
            return
        assert hand is not None
        assert hand.grip is not None
        raw = HandPose(hand.grip.p, unit(_wxyz(hand.grip)))
        if tracked.pose is None:
            tracked.filter.reset()
        squeeze = hand.buttons[SQUEEZE]
        if squeeze < RELEASE_AT:
            tracked.held, tracked.ready = False, True
            self._unreleased.discard(side)
            if not self._unreleased:
                self._lost = ""
        elif squeeze >= ENGAGE_AT and tracked.ready:
            tracked.ready = False
            if self._may_drive(side):
                tracked.held, tracked.press = True, tracked.press + 1
                tracked.filter.reset()
                self._heading_set = True
        tracked.pose = tracked.filter(t, raw)
        tracked.raw, tracked.raw_t = raw, t

    def _hand_problem(self, side: str, hand: Hand | None, t: float) -> str:
        if hand is None or hand.grip is None or len(hand.buttons) <= SQUEEZE:
            return f"the headset does not see the {side} controller"
        if hand.emulated:
            return f"the headset only guesses where the {side} controller is"
        if _pose_problem(hand.grip):
            return f"the pose of the {side} controller is no pose: {hand.grip}"
        tracked = self._tracked[side]
        if tracked.raw is not None:
            dt = max(t - tracked.raw_t, 0.0)
            far = hypot(*(a - b for a, b in zip(hand.grip.p, tracked.raw.pos, strict=True)))
            turned = hypot(*difference(unit(_wxyz(hand.grip)), tracked.raw.quat))
            if far > self._config.max_hand_speed * dt + _JUMP_SLACK_M:
                return f"the {side} controller jumped by {far:.2f} m"
            if turned > self._config.max_hand_spin * dt + _JUMP_SLACK_RAD:
                return f"the {side} controller jumped by {turned:.2f} rad"
        return ""

    def _may_drive(self, side: str) -> bool:
        return side in self._sides and not self._unreleased and not (self._exclusive and self._any_held())

    def _any_held(self) -> bool:
        return any(hand.held for hand in self._tracked.values())

    def _trip(self, reason: str) -> None:
        """End driving; it begins again only with a clutch that was seen released and is pressed again."""
        if not self._any_held():
            return
        self._lost = reason
        for side, hand in self._tracked.items():
            if hand.held:
                self._unreleased.add(side)
            hand.held = hand.ready = False

    def _buttons(self, frame: XrFrame, t: float) -> None:
        """Post the edges of buttons. What is down in a page's first frame is none, except for the e-stop."""
        sticks = []
        for side, hand in zip(SIDES, (frame.left, frame.right), strict=True):
            tracked = self._tracked[side]
            before = tracked.down
            values = hand.buttons if hand is not None else []
            limit = [LIFT_AT if before and i in before else PRESS_AT for i in range(len(values))]
            down = {i for i, value in enumerate(values) if value >= limit[i]}
            sticks.append((STICK in down, STICK in (before or ())))
            tracked.down = down
            if before is None:
                continue
            for button, kind in ((A_OR_X, EventKind.SUCCESS), (B_OR_Y, EventKind.FAIL)):
                if button in down - before:
                    self._post(kind, t, self._operator)
            if TRIGGER in down ^ before and tracked.held:
                self.grips.append((side, tracked.press, Grip.CLOSE if TRIGGER in down else Grip.OPEN))
            if STICK in down - before and frame.head is not None and not _pose_problem(frame.head):
                self._heading, self._heading_set = heading_of(_wxyz(frame.head)), True
                self._turns += 1
        if all(now for now, _ in sticks) and not all(before for _, before in sticks):
            self._post(EventKind.ESTOP, t, self._operator)

    def _publish(self) -> None:
        self.view = View(
            client=self._client,
            operator=self._operator,
            alive_t=self._alive_t,
            valid_t=self._valid_t,
            made_t=self._made_t,
            heading=self._heading,
            turns=self._turns,
            hands={side: HandView(hand.pose, hand.press, hand.held) for side, hand in self._tracked.items()},
            lost=self._lost,
            away=self._away,
        )


def _wxyz(pose: Pose) -> tuple[float, float, float, float]:
    x, y, z, w = pose.q
    return w, x, y, z


def _pose_problem(pose: Pose) -> bool:
    values = (*pose.p, *pose.q)
    return (
        not all(isfinite(v) for v in values)
        or max(abs(v) for v in pose.p) > _FAR_M
        or not abs(hypot(*pose.q) - 1.0) < 0.01
    )
