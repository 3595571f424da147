"""A robot that does what it is told, and a page that says words to it, in virtual time."""

import numpy as np

from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Keys
from robot_hil.data.operator_input import Words as WordsMessage
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.teleop.words import Words, WordsConfig

ALL = ("x", "y", "z", "rx", "ry", "rz", "gripper")
SCALE = ActionScale(axes=ALL, linear_m=0.025, angular_rad=0.1, gripper_m=0.016, period_s=0.1)
SIDEWAYS = ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))


class Cell:
    """A robot that does what it is told, a page that is heard, and the words between them."""

    def __init__(self, scale: ActionScale = SCALE, config: WordsConfig | None = None, *, width: float = 0.04) -> None:
        self.scale, self.clock, self.width = scale, VirtualClock(5.0), width
        self.way = dict.fromkeys(scale.axes, 0.0)
        self.words = Words(scale, self.tool, self.clock, config or WordsConfig())
        self.speaking = True
        self.words.start()

    def tool(self) -> ToolState:
        return ToolState(
            pos_base=np.zeros(3), quat_base=np.array([1.0, 0, 0, 0]), gripper_width=self.width, joint_pos=np.zeros(7)
        )

    def say(self, text: str, client: str = "page", delay: float = 0.0) -> str:
        now = self.clock.now()
        return self.words.feed(WordsMessage("id", text), client=client, operator="Ada", t_recv=now, t_page=now - delay)

    def heartbeat(self, client: str = "page") -> None:
        now = self.clock.now()
        self.words.feed(Keys(0, 0.0, []), client=client, operator="Ada", t_recv=now, t_page=now)

    def period(self) -> TeleopSample:
        """Let one control period pass; the robot does what the sample says."""
        self.clock.advance(self.scale.period_s)
        if self.speaking:
            self.heartbeat()
        sample = self.words.latest()
        if sample.action is not None:
            for name, value in zip(self.scale.axes, sample.action.tolist(), strict=True):
                step = {"gripper": self.scale.gripper_m}.get(
                    name, self.scale.angular_rad if name.startswith("r") else self.scale.linear_m
                )
                self.way[name] += value * step
                if name == "gripper":
                    low, high = self.scale.gripper_range
                    self.width = min(max(self.width + value * step, low), high)
        return sample

    def carry_out(self, most: int = 400) -> list[TeleopSample]:
        """Return the samples of the movement that begins now."""
        samples: list[TeleopSample] = []
        while (sample := self.period()).engaged:
            samples.append(sample)
            assert len(samples) < most
        assert sample.status is SampleStatus.OK
        return samples

    def moved(self) -> dict[str, float]:
        return {name: value for name, value in self.way.items() if abs(value) > 1e-12 and name != "gripper"}
