"""Meta-World's own scripted policies as experts of this project: one for each task of the suite."""

import math
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.teleop.simulated.expert import World, floats, number, to_action

_GAINS = {
    "assembly": 10, "button-press-wall": 15, "coffee-button": 10, "coffee-pull": 10, "coffee-push": 10,
    "dial-turn": 10, "disassemble": 10, "drawer-open": 4, "hammer": 10, "hand-insert": 10, "pick-place": 10,
    "pick-place-wall": 10, "plate-slide": 10, "plate-slide-back": 10, "plate-slide-back-side": 10, "push": 10,
    "push-back": 10, "push-wall": 10, "reach": 5, "reach-wall": 5, "stick-push": 10,
}  # fmt: skip
"""Deflection of a policy per metre of way [1/m]; 25 for all others. The way itself is not told."""
_GENTLY = 0.34
"""Deflection at which the fingers close."""
_BEST = 10.0
"""Meta-World's reward at success."""


class _Scene(NamedTuple):
    way: list[float]  # from the hand to where the policy wants it [m]
    width: float  # distance of the fingers that the policy wants [m]
    reward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaWorldExpert:
    """Goes where the suite's policy for the task goes, at this project's pace.

    Reads `suite_task`, `suite_observation`, `suite_reward`, `tcp_pos`, `target_pos`, `object_pos`, `goal_pos`,
    `target_width`. Action: x, y, z, gripper. The policies know neither hazards nor pauses, so neither does this expert.
    The cost rests on the suite's shaped reward, which no prediction changes: use the gate `progress`.
    """

    action_dim: ClassVar[int] = 4
    goal_key: ClassVar[str] = "object_pos"
    """What the policy works on; where there is nothing to hold (reach) the goal is misjudged as much."""
    misjudged: ClassVar[tuple[int, ...]] = (0, 1)
    tolerance: float = 0.02
    """See `Expert.tolerance`."""
    action_scale: float = 0.025
    """Motion of the commanded target per step at full deflection [m]."""
    gripper_scale: float = 0.05
    """Change of the commanded width per step at full deflection [m]."""
    open_width: float = 0.1
    """Width of the open gripper [m]."""
    nominal_step: float = 0.010
    """Path of a careful person per step, the unit of the cost [m]."""

    def action(self, world: World, speed: float) -> Array:
        """See `Expert.action`."""
        s = self._look(world)
        # Each axis on its own, as the suite clips them: its policies count on such ways.
        move = [min(speed, max(-speed, 0.5 * e / self.action_scale)) for e in s.way]
        grip = (s.width - number(world["target_width"])) / self.gripper_scale
        if grip > -0.1:
            return to_action((*move, grip))
        # They also count on a hand that comes down faster than its fingers close: ours comes down, then closes.
        coming_down = s.way[2] < -0.02
        return to_action((*move, 0.0) if coming_down else (0.0, 0.0, 0.0, max(grip, -_GENTLY)))

    def cost_to_go(self, world: World) -> float:
        """Five steps for each of the ten points of the suite's reward that is missing, and a tenth of the way."""
        s = self._look(world)
        return 5.0 * max(0.0, _BEST - s.reward) + 0.1 * math.hypot(*s.way) / self.nominal_step

    def predict(self, world: World, action: Array) -> World:
        """See `Expert.predict`; what the hand moves is not predicted."""
        move = [self.action_scale * float(a) for a in action[:3]]
        width = number(world["target_width"]) + self.gripper_scale * float(action[3])
        return {
            **world,
            "tcp_pos": [a + b for a, b in zip(floats(world["tcp_pos"]), move, strict=True)],
            "target_pos": [a + b for a, b in zip(floats(world["target_pos"]), move, strict=True)],
            "target_width": min(self.open_width, max(0.0, width)),
        }

    def hazard(self, world: World, action: Array) -> bool:
        """Never: see above."""
        del world, action
        return False

    def pauses(self, world: World) -> bool:
        """Never: see above."""
        del world
        return False

    def settled(self, world: World) -> bool:
        """The fingers have been told what the policy wants of them."""
        return abs(self._look(world).width - number(world["target_width"])) < 0.5 * self.gripper_scale

    def _look(self, world: World) -> _Scene:
        task = str(world["suite_task"]).rsplit("-", 1)[0]
        seen: Array = np.array(world["suite_observation"], dtype=np.float64)  # a copy: policies write into it
        hand, thing, goal = (np.array(floats(world[key])) for key in ("tcp_pos", "object_pos", "goal_pos"))
        if task.startswith("reach"):
            goal = goal + thing - seen[4:7]
        seen[:3], seen[4:7], seen[36:] = hand, thing, goal
        with warnings.catch_warnings():  # that a far goal is more than full deflection is meant
            warnings.simplefilter("ignore")
            x, y, z, effort = _policy(str(world["suite_task"])).get_action(seen).tolist()
        gain = _GAINS.get(task, 25)
        width = 0.5 * self.open_width * (1.0 - min(1.0, max(-1.0, effort)))
        return _Scene([x / gain, y / gain, z / gain], width, number(world["suite_reward"]))


@cache
def _policy(task: str) -> Any:
    """Return the suite's policy. Whoever has a world of the suite has the suite."""
    return import_module("metaworld.policies").ENV_POLICY_MAP[task]()
