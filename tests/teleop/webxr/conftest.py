"""A headset made of messages, and an arm that goes where it is told, as far as its speed allows."""

import math

import numpy as np
import pytest

from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Hand, Pose, XrEvent, XrFrame
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.rotation import from_rotvec, multiply
from robot_hil.data.teleop import TeleopSample
from robot_hil.teleop.webxr.device import WebXR

SCALE = ActionScale(
    axes=("x", "y", "z", "rx", "ry", "rz", "gripper"), linear_m=0.005, angular_rad=0.02, gripper_m=0.01, period_s=0.02
)
HZ = 90.0
RESTING = (0.2, 1.1, -0.3)


class Tool:
    """Commanded pose of an arm: obeys actions exactly."""

    def __init__(self, scale: ActionScale = SCALE, width: float = 0.08) -> None:
        self.scale = scale
        self.pos, self.quat, self.width = np.array([0.4, 0.1, 0.3]), (0.0, 1.0, 0.0, 0.0), width

    def __call__(self) -> ToolState:
        return ToolState(
            pos_base=self.pos.copy(), quat_base=np.array(self.quat), gripper_width=self.width, joint_pos=np.zeros(7)
        )

    def obey(self, action: np.ndarray | None) -> None:
        """Move by one control period."""
        if action is None:
            return
        value = dict(zip(self.scale.axes, np.asarray(action, float), strict=True))
        self.pos = self.pos + self.scale.linear_m * np.array([value.get(a, 0.0) for a in "xyz"])
        turn = [self.scale.angular_rad * value.get(a, 0.0) for a in ("rx", "ry", "rz")]
        self.quat = multiply(from_rotvec(turn), self.quat)
        low, high = self.scale.gripper_range
        self.width = float(np.clip(self.width + self.scale.gripper_m * value.get("gripper", 0.0), low, high))


class Controller:
    """One hand and its buttons."""

    def __init__(self) -> None:
        self.pos: tuple[float, ...] = RESTING
        self.quat: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0)  # wxyz
        self.seen, self.emulated = True, False
        self.trigger = self.squeeze = self.stick = self.a = self.b = 0.0

    def hand(self) -> Hand:
        w, x, y, z = self.quat
        pose = Pose(tuple(map(float, self.pos)), (x, y, z, w)) if self.seen else None
        buttons = [self.trigger, self.squeeze, 0.0, self.stick, self.a, self.b]
        return Hand(grip=pose, emulated=self.emulated, buttons=buttons, axes=[0.0, 0.0, 0.0, 0.0])


class Headset:
    """Sends frames to a device at 90 Hz of virtual time; `look` asks the device at the control rate in between."""

    def __init__(self, device: WebXR, clock: VirtualClock, tools: dict[str, Tool]) -> None:
        self.device, self.clock, self.tools = device, clock, tools
        self.left, self.right = Controller(), Controller()
        self.head_pos, self.heading = (0.0, 1.6, 0.0), 0.0
        self.seq, self.client, self.operator, self.visible = 0, "page-1", "Kim", True
        self.delay = 0.0
        self.page_start = clock.now() - 5.0
        self.next_period = clock.now()
        self.samples: list[TeleopSample] = []

    def message(self) -> XrFrame:
        self.seq += 1
        q = (0.0, math.sin(0.5 * self.heading), 0.0, math.cos(0.5 * self.heading))
        t = (self.clock.now() - self.delay - self.page_start) * 1e3
        return XrFrame(
            seq=self.seq, t=t, head=Pose(self.head_pos, q), left=self.left.hand(), right=self.right.hand(),
            visible=self.visible,
        )  # fmt: skip

    def send(self, message: XrFrame | XrEvent | None = None) -> None:
        now = self.clock.now()
        self.device.feed(
            self.message() if message is None else message,
            client=self.client, operator=self.operator, t_recv=now, t_page=now - self.delay,
        )  # fmt: skip

    def happen(self, kind: str) -> None:
        self.seq += 1
        self.send(XrEvent(seq=self.seq, t=(self.clock.now() - self.page_start) * 1e3, kind=kind))

    def look(self) -> TeleopSample:
        """Ask the device and let the arms obey."""
        sample = self.device.latest()
        self.samples.append(sample)
        first = 0
        for tool in self.tools.values():
            last = first + len(tool.scale.axes)
            tool.obey(None if sample.action is None else sample.action[first:last])
            first = last
        return sample

    def run(self, seconds: float, *, frames: bool = True) -> TeleopSample:
        """Let time pass; the device is asked once per period."""
        sample = None
        period = next(iter(self.tools.values())).scale.period_s
        for _ in range(max(1, round(seconds * HZ))):
            self.clock.advance(1.0 / HZ)
            if frames:
                self.send()
            if self.clock.now() >= self.next_period:
                self.next_period = self.clock.now() + period - 1e-9
                sample = self.look()
        return sample if sample is not None else self.look()

    def push(self, seconds: float = 0.5, speed: float = 0.1, side: str = "right") -> None:
        """Move a hand away from the operator, as they look now."""
        hand = getattr(self, side)
        for _ in range(round(seconds * HZ)):
            x, y, z = hand.pos
            hand.pos = (x - speed / HZ * math.sin(self.heading), y, z - speed / HZ * math.cos(self.heading))
            self.run(1 / HZ)

    def squeeze(self, side: str = "right") -> TeleopSample:
        """Press the clutch afresh."""
        hand = getattr(self, side)
        hand.squeeze = 0.0
        self.run(0.05)
        hand.squeeze = 1.0
        self.send()
        return self.look()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(100.0)


@pytest.fixture
def tool() -> Tool:
    return Tool()


@pytest.fixture(scope="session")
def make_headset():
    """Make a worn headset at `heading` on a clock of its own; options are those of `WebXR`."""

    def make(scale=SCALE, *, heading=0.0, **options) -> Headset:
        clock = VirtualClock(100.0)
        two = not isinstance(scale, ActionScale)
        tools = {side: Tool(scale[side]) for side in scale} if two else {"": Tool(scale)}
        device = WebXR(scale, dict(tools) if two else tools[""], clock, **options)
        device.start()
        headset = Headset(device, clock, tools)
        headset.heading = heading
        headset.happen("start")
        headset.run(0.1)
        return headset

    return make


@pytest.fixture
def headset(make_headset) -> Headset:
    """A worn headset in front of one arm with all axes; nobody drives."""
    return make_headset()
