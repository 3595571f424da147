"""A page, a tool and a clock for the devices that live in a browser page."""

from typing import Any

import numpy as np

from robot_hil.clock import VirtualClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.teleop.browser import PageDevice

SCALE = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.01, gripper_m=0.01)
TURNING = ActionScale(axes=("x", "y", "z", "rx", "ry", "rz", "gripper"), linear_m=0.01, angular_rad=0.05)


def tool(width: float = 0.08) -> ToolState:
    """Return a tool that was told to be open `width`."""
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=width, joint_pos=np.zeros(7)
    )


class Page:
    """Feeds a device as the link's thread does; `tell` makes a message, `hold` repeats the last one at 50 Hz."""

    def __init__(self, device: PageDevice[Any], clock: VirtualClock, client: str = "one") -> None:
        self.device, self.clock, self.client = device, clock, client
        self.seq = 0
        self.last: dict[str, Any] = {}

    def tell(self, *, old_s: float = 0.0, **body: Any) -> None:
        self.last = body
        now = self.clock.now()
        message = self.device.accepts(seq=self.seq, t=1000 * now, **body)
        self.seq += 1
        self.device.feed(message, client=self.client, operator="Anna", t_recv=now, t_page=now - old_s)

    def hold(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            self.clock.advance(0.02)
            self.tell(**self.last)

    def period(self) -> TeleopSample:
        """Let a control period of 0.1 s pass with the page alive, and ask."""
        self.hold(0.1)
        return self.device.latest()

    def action(self) -> list[float] | None:
        """Let a control period pass; return what a device that works commands, None while nobody drives."""
        sample = self.period()
        assert sample.status is SampleStatus.OK, sample.problem
        return None if sample.action is None else sample.action.tolist()
