"""ReachPillar2D: past a pillar to a goal, over it or under it; the mean of the two ways runs into the pillar."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from robot_hil.data.specs import ArraySpec
from robot_hil.envs.task import ObsType
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.picture import Canvas
from robot_hil.envs.toy.task import clamp

PILLAR_WIDTH, PILLAR_HEIGHT = 0.05, 0.12
"""Half the width and half the height of the pillar, whose centre is at x = 0 [m]."""
RADIUS = 0.02
"""Success: both x and z this close to the goal [m]."""
SIDE, START_X, GOAL_X = 0.4, -0.3, 0.3
"""Half of the workspace, and where start and goal lie [m]."""
SPREAD = 0.12
"""Start and goal lie within +-this of the middle height, the pillar's centre within a third of it [m]."""


class ReachScene(NamedTuple):
    """Everything that is true of the world."""

    x: float
    z: float
    """Of the point [m]."""
    goal_x: float
    goal_z: float
    pillar_z: float
    """Height of the pillar's centre [m]."""
    route: int
    """+1 over, -1 under, 0 not yet at the pillar."""
    blocked: int
    """Steps in which the pillar was in the way."""
    goal: str


class ReachPillar:
    """From x = -0.3 m past the pillar to x = 0.3 m; heights within +-0.12 m; 4 cm per step and axis at 10 Hz."""

    env_id = "robot_hil/ReachPillar2D-v0"
    instruction = "reach the goal behind the pillar"
    max_seconds = 6.0
    axes: tuple[str, ...] = ("x", "z")
    speeds: tuple[float, ...] = (0.4, 0.4)
    goals: tuple[str, ...] = ("reach",)
    disturbances: tuple[str, ...] = ("object", "goal")
    view = (-0.42, -0.42, 0.84)

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names: tuple[str, ...] = ("x [0.1 m]", "z [0.1 m]")
        if obs_type == "state":
            names += ("goal x - x [0.1 m]", "goal z - z [0.1 m]", "pillar z [0.1 m]")
        return ArraySpec(shape=(len(names),), low=-10.0, high=10.0, names=names)

    def start(self, rng: np.random.Generator, goal: str) -> ReachScene:
        z, goal_z, pillar_z = rng.uniform(-SPREAD, SPREAD, 3).tolist()
        return ReachScene(START_X, z, GOAL_X, goal_z, pillar_z / 3.0, 0, 0, goal)

    def go_on(self, scene: ReachScene, goal: str) -> ReachScene:
        return scene._replace(goal=goal, route=0, blocked=0)

    def advance(self, scene: ReachScene, move: Sequence[float]) -> ReachScene:
        """The pillar is rough: what runs into it stays where it was, until it moves another way."""
        x, z = clamp(scene.x + move[0], -SIDE, SIDE), clamp(scene.z + move[1], -SIDE, SIDE)
        hit = _in_pillar(x, z, scene.pillar_z)
        if hit:
            x, z = scene.x, scene.z
        route = scene.route
        if abs(x) <= PILLAR_WIDTH:
            route = 1 if z > scene.pillar_z else -1
        return scene._replace(x=x, z=z, route=route, blocked=scene.blocked + hit)

    def success(self, scene: ReachScene) -> bool:
        return abs(scene.goal_x - scene.x) <= RADIUS and abs(scene.goal_z - scene.z) <= RADIUS

    def observe(self, scene: ReachScene, obs_type: ObsType) -> list[float]:
        seen = [10.0 * scene.x, 10.0 * scene.z]
        if obs_type == "state":
            seen += [10.0 * (scene.goal_x - scene.x), 10.0 * (scene.goal_z - scene.z), 10.0 * scene.pillar_z]
        return seen

    def place(self, scene: ReachScene) -> tuple[float, float, float]:
        return scene.x, scene.z, 0.0

    def privileged(self, scene: ReachScene) -> dict[str, Any]:
        return {
            "goal_pos": np.array([scene.goal_x, 0.0, scene.goal_z]),
            "goal_radius": RADIUS,
            "pillar_pos": np.array([0.0, 0.0, scene.pillar_z]),
            "pillar_half": np.array([PILLAR_WIDTH, 0.0, PILLAR_HEIGHT]),
            "route": scene.route,
        }

    def metrics(self, scene: ReachScene) -> dict[str, float]:
        return {"route": scene.route, "blocked": scene.blocked}

    def disturb(self, scene: ReachScene, kind: str, x: float, z: float) -> ReachScene:
        """`object` moves the pillar up or down, `goal` the goal; a point in the pillar's new place holds it back."""
        if kind == "goal":
            gx = clamp(scene.goal_x + x, PILLAR_WIDTH + 3.0 * RADIUS, SIDE - RADIUS)
            return scene._replace(goal_x=gx, goal_z=clamp(scene.goal_z + z, RADIUS - SIDE, SIDE - RADIUS))
        moved = clamp(scene.pillar_z + z, -0.15, 0.15)
        return scene if _in_pillar(scene.x, scene.z, moved) else scene._replace(pillar_z=moved)

    def draw(self, scene: ReachScene, canvas: Canvas) -> None:
        z, gx, gz = scene.pillar_z, scene.goal_x, scene.goal_z
        canvas.rectangle(-PILLAR_WIDTH, z - PILLAR_HEIGHT, PILLAR_WIDTH, z + PILLAR_HEIGHT, (150, 130, 100))
        canvas.rectangle(gx - RADIUS, gz - RADIUS, gx + RADIUS, gz + RADIUS, (60, 150, 80))
        canvas.rectangle(scene.x - 0.015, scene.z - 0.015, scene.x + 0.015, scene.z + 0.015, (70, 90, 130))


def _in_pillar(x: float, z: float, pillar_z: float) -> bool:
    return abs(x) < PILLAR_WIDTH and abs(z - pillar_z) < PILLAR_HEIGHT


def make_env(
    obs_type: ObsType = "state", control_hz: float = 10.0, image_size: int = 64, render_mode: str | None = None,
    max_seconds: float | None = None,
) -> ToyEnv:  # fmt: skip
    """Return `robot_hil/ReachPillar2D-v0`."""
    return ToyEnv(
        ReachPillar(), obs_type=obs_type, control_hz=control_hz, image_size=image_size, render_mode=render_mode,
        max_seconds=max_seconds,
    )  # fmt: skip
