"""Hand-made worlds without physics: as much as a person needs to be judged in microseconds."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from robot_hil.clock import VirtualClock
from robot_hil.teleop.simulated.person import SimulatedPerson


class PointPickWorld:
    """A point gripper that lags behind its target and a cube that follows closed fingers and falls otherwise."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.cube = np.array([0.5 + rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), 0.02])
        self.target = np.array([0.5 + rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.1, 0.25)])
        self.tcp = self.target.copy()
        self.width = self.wanted_width = rng.uniform(0.0, 0.08)

    def __call__(self) -> dict[str, Any]:
        return {
            "tcp_pos": self.tcp.copy(), "target_pos": self.target.copy(), "cube_pos": self.cube.copy(),
            "cube_quat": [1.0, 0.0, 0.0, 0.0], "gripper_width": self.width,
        }  # fmt: skip

    def step(self, action: np.ndarray) -> bool:
        self.target = self.target + 0.025 * action[:3]
        self.target[2] = max(self.target[2], 0.01)
        self.wanted_width = float(np.clip(self.wanted_width + 0.03 * action[3], 0.0, 0.08))
        before = self.tcp
        self.tcp = self.tcp + 0.8 * (self.target - self.tcp)
        gap = before - self.cube
        between = math.hypot(gap[0], gap[1]) < 0.02 and abs(gap[2]) < 0.02
        self.width = max(self.wanted_width, 0.04) if between else self.wanted_width
        if between and self.wanted_width <= 0.04:
            self.cube = self.cube + self.tcp - before
        else:
            self.cube[2] = max(0.02, self.cube[2] - 0.05)
        return bool(self.cube[2] > 0.12)


class PointPegWorld:
    """A point peg over a plate with a hole: it enters only where it fits, and sticks where it does not."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.hole = np.array([0.5 + rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03), 0.05])
        self.hole_yaw = rng.uniform(-0.5, 0.5)
        self.target = np.array([0.5, 0.0, 0.1])
        self.tip = self.target.copy()
        self.yaw = 0.0

    def __call__(self) -> dict[str, Any]:
        grip = np.array([0.0, 0.0, 0.04])
        return {
            "tcp_pos": self.tip + grip, "target_pos": self.target + grip,
            "tcp_quat": [0.0, 1.0, 0.0, 0.0], "peg_tip_pos": self.tip.copy(), "peg_yaw": self.yaw,
            "hole_pos": self.hole.copy(), "hole_yaw": self.hole_yaw,
        }  # fmt: skip

    def step(self, action: np.ndarray) -> bool:
        self.target = self.target + 0.010 * action[:3]
        self.target = np.clip(self.target, self.tip - 0.03, self.tip + 0.03)
        self.yaw += 0.05 * float(action[5])
        wish = self.tip + 0.8 * (self.target - self.tip)
        off = math.hypot(*(wish[:2] - self.hole[:2]))
        yaw = (self.hole_yaw - self.yaw + math.pi / 4) % (math.pi / 2) - math.pi / 4
        if self.tip[2] < self.hole[2] - 1e-4:
            wish[:2] = self.hole[:2]
        elif wish[2] < self.hole[2] and (off > 0.0005 or abs(yaw) > 0.03):
            wish = np.array([*self.tip[:2], self.hole[2]])
        self.tip = wish
        return bool(self.tip[2] < self.hole[2] - 0.018)


@pytest.fixture
def pick_world() -> Callable[[int], PointPickWorld]:
    return PointPickWorld


@pytest.fixture
def peg_world() -> Callable[[int], PointPegWorld]:
    return PointPegWorld


def _person(expert: Any, gate: Any, profile: Any, world: Any, seed: int = 0) -> SimulatedPerson:
    person = SimulatedPerson(expert, gate, profile, world, VirtualClock())
    person.start()
    person.begin_episode(seed)
    return person


@pytest.fixture
def make_person() -> Callable[..., SimulatedPerson]:
    return _person
