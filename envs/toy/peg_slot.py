"""PegSlot2D: a peg into one slot, or two in turn, without jamming it on the plate; and the way back for practice."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from robot_hil.data.specs import ArraySpec
from robot_hil.envs.task import ObsType
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.picture import Canvas
from robot_hil.envs.toy.task import clamp
from robot_hil.errors import ConfigError

TOLERANCE = 0.004
"""Sideways error with which the peg still enters a slot [m]."""
DEPTH = 0.05
"""Depth of the tip that counts as inserted [m]."""
JAM_HEIGHT, FREE_HEIGHT = 0.01, 0.02
"""Below the first, beside a slot, the peg jams; it is free again above the second [m]."""
SIDE, TOP = 0.4, 0.5
"""Half the width of the workspace, and its height [m]."""
BAND_SIDE, BAND_LOW, BAND_HIGH = 0.3, 0.30, 0.45
"""Where episodes start: x within +-the first, z between the others [m]."""
SLOT_SIDE, APART = 0.2, 0.1
"""Slots lie within +-the first, at least the second apart [m]."""

_STEEL, _PLATE, _GAP, _JAMMED = (70, 90, 130), (150, 130, 100), (60, 50, 40), (190, 60, 50)
PEG_HALF = 0.010


class PegScene(NamedTuple):
    """Everything that is true of the world."""

    x: float
    """Of the tip [m]."""
    z: float
    """Of the tip above the plate [m]; negative in a slot."""
    jammed: bool
    slots: tuple[float, ...]
    """x of each slot, in the order in which they are to be used [m]."""
    stage: int
    """Slots already done."""
    goal: str
    jams: int
    recoveries: int
    """Jams that ended, by lifting."""


def over(x: float, slot: float, tolerance: float) -> bool:
    """Return whether a tip at `x` is over or in the slot, leaning on its side included, whatever rounding says."""
    return abs(x - slot) <= tolerance + 1e-9


def contact(
    x: float, z: float, jammed: bool, dx: float, dz: float, slots: Sequence[float], tolerance: float
) -> tuple[float, float, bool]:
    """Return x, z and jammed of a tip that was to move by (dx, dz).

    In a slot x stays within the tolerance. Only over a slot z may fall below 0. A tip below `JAM_HEIGHT` beside all
    slots jams: it cannot move sideways until it is lifted to `FREE_HEIGHT`.
    """
    nx = x if jammed else clamp(x + dx, -SIDE, SIDE)
    nz = clamp(z + dz, -DEPTH, TOP)
    slot = min(slots, key=lambda s: abs(s - (x if z < 0.0 else nx)))
    if z < 0.0:
        nx = clamp(nx, slot - tolerance, slot + tolerance)
    beside = z >= 0.0 and not over(nx, slot, tolerance)
    if beside:
        nz = max(nz, 0.0)
    return nx, nz, nz < FREE_HEIGHT if jammed else beside and nz < JAM_HEIGHT


class PegSlot:
    """Tip at x within +-0.3 m and z from 0.30 to 0.45 m, slot within +-0.2 m; 4 cm per step at 10 Hz.

    Goal `insert`: the tip 5 cm deep in every slot, in order. Goal `return`: back in the band where episodes start; it
    begins in a slot or anywhere above the plate.
    """

    axes: tuple[str, ...] = ("x", "z")
    speeds: tuple[float, ...] = (0.4, 0.4)
    goals: tuple[str, ...] = ("insert", "return")
    view = (-0.42, -0.2, 0.84)

    def __init__(self, *, slots: int = 1, tolerance: float = TOLERANCE) -> None:
        if slots not in (1, 2):
            raise ConfigError(f"slots is {slots}; this task has 1 or 2.")
        if not 0.001 <= tolerance <= 0.04:
            raise ConfigError(f"tolerance_m is {tolerance}; allowed are 0.001 to 0.04 m.")
        self._slots, self._tolerance = slots, tolerance
        self.env_id = "robot_hil/PegSlot2D-v0" if slots == 1 else "robot_hil/PegTwoSlots2D-v0"
        self.instruction = "put the peg into the slot" if slots == 1 else "put the peg into one slot, then the other"
        self.max_seconds = 8.0 * slots
        self.disturbances: tuple[str, ...] = ("object",) if slots == 1 else ("object", "goal")

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names = ["tip x [0.1 m]", "tip height [0.1 m]", "jammed [0 or 1]", "goal [+1 insert, -1 return]"]
        names += ["slots done"] if self._slots > 1 else []
        names += ["slot x - tip [0.1 m]"] if obs_type == "state" else []
        return ArraySpec(shape=(len(names),), low=-10.0, high=10.0, names=tuple(names))

    def start(self, rng: np.random.Generator, goal: str) -> PegScene:
        first, second = rng.uniform(-SLOT_SIDE, SLOT_SIDE, 2).tolist()
        while self._slots == 2 and abs(second - first) < APART:
            second = float(rng.uniform(-SLOT_SIDE, SLOT_SIDE))
        slots = (first, second)[: self._slots]
        x, z = rng.uniform((-BAND_SIDE, BAND_LOW), (BAND_SIDE, BAND_HIGH)).tolist()
        if goal == "return":
            inside = rng.random() < 0.5
            x = slots[-1] + self._tolerance * float(rng.uniform(-1.0, 1.0)) if inside else x
            z = -DEPTH if inside else float(rng.uniform(0.0, BAND_LOW - 0.05))
        return self._begin(PegScene(x, z, False, slots, 0, goal, 0, 0))

    def go_on(self, scene: PegScene, goal: str) -> PegScene:
        return self._begin(scene._replace(goal=goal, stage=0, jams=0, recoveries=0))

    def advance(self, scene: PegScene, move: Sequence[float]) -> PegScene:
        x, z, jammed = contact(scene.x, scene.z, scene.jammed, move[0], move[1], scene.slots, self._tolerance)
        stage = scene.stage
        if scene.goal == "insert" and stage < len(scene.slots):
            stage += z <= -DEPTH and over(x, scene.slots[stage], self._tolerance)
        return PegScene(
            x, z, jammed, scene.slots, stage, scene.goal,
            scene.jams + (jammed and not scene.jammed), scene.recoveries + (scene.jammed and not jammed),
        )  # fmt: skip

    def success(self, scene: PegScene) -> bool:
        if scene.goal == "insert":
            return scene.stage == len(scene.slots)
        return abs(scene.x) <= BAND_SIDE and BAND_LOW <= scene.z <= BAND_HIGH

    def observe(self, scene: PegScene, obs_type: ObsType) -> list[float]:
        seen = [10.0 * scene.x, 10.0 * scene.z, float(scene.jammed), 1.0 if scene.goal == "insert" else -1.0]
        if self._slots > 1:
            seen.append(float(scene.stage))
        if obs_type == "state":
            seen.append(10.0 * (self._target(scene) - scene.x))
        return seen

    def place(self, scene: PegScene) -> tuple[float, float, float]:
        return scene.x, scene.z, 0.0

    def privileged(self, scene: PegScene) -> dict[str, Any]:
        later = scene.slots[scene.stage + 1 :]
        return {
            "tip_pos": np.array([scene.x, 0.0, scene.z]),
            "slot_pos": np.array([self._target(scene), 0.0, 0.0]),
            "later_slots": np.array([[x, 0.0, 0.0] for x in later]).reshape(-1, 3),
            "slot_tolerance": self._tolerance,
            "jammed": scene.jammed,
            "goal": scene.goal,
        }

    def metrics(self, scene: PegScene) -> dict[str, float]:
        return {"jams": scene.jams, "recoveries": scene.recoveries, "stage": scene.stage}

    def disturb(self, scene: PegScene, kind: str, x: float, z: float) -> PegScene:
        if scene.z < 0.0:
            return scene  # the peg holds the plate
        if kind == "goal":  # the other slot comes first
            return scene._replace(slots=scene.slots[::-1]) if scene.stage == 0 else scene
        stage = min(scene.stage, len(scene.slots) - 1)
        moved = clamp(scene.slots[stage] + x, -BAND_SIDE, BAND_SIDE)
        if any(abs(moved - other) < 0.5 * APART for i, other in enumerate(scene.slots) if i != stage):
            return scene
        return scene._replace(slots=(*scene.slots[:stage], moved, *scene.slots[stage + 1 :]))

    def draw(self, scene: PegScene, canvas: Canvas) -> None:
        draw_plate(canvas, scene.slots, self._tolerance, min(scene.stage, len(scene.slots) - 1))
        draw_peg(canvas, scene.x, scene.z, scene.jammed)

    def _begin(self, scene: PegScene) -> PegScene:
        """A tip that stands on the plate is jammed from the start."""
        x, z, jammed = contact(scene.x, scene.z, scene.jammed, 0.0, 0.0, scene.slots, self._tolerance)
        return scene._replace(x=x, z=z, jammed=jammed)

    def _target(self, scene: PegScene) -> float:
        return scene.slots[min(scene.stage, len(scene.slots) - 1)]


def draw_plate(canvas: Canvas, slots: Sequence[float], tolerance: float, current: int) -> None:
    """Draw the plate with its slots; those that are not the `current` one are paler."""
    canvas.rectangle(-1.0, -1.0, 1.0, 0.0, _PLATE)
    for i, x in enumerate(slots):
        half = PEG_HALF + tolerance
        canvas.rectangle(x - half, -DEPTH, x + half, 0.0, _GAP if i == current else (110, 95, 75))


def draw_peg(canvas: Canvas, x: float, z: float, jammed: bool) -> None:
    """Draw a peg whose tip is at (x, z)."""
    canvas.rectangle(x - PEG_HALF, z, x + PEG_HALF, z + 0.1, _JAMMED if jammed else _STEEL)


def make_env(
    obs_type: ObsType = "state", control_hz: float = 10.0, image_size: int = 64, render_mode: str | None = None,
    max_seconds: float | None = None, goal: str = "insert", slots: int = 1, tolerance_m: float = TOLERANCE,
) -> ToyEnv:  # fmt: skip
    """Return `robot_hil/PegSlot2D-v0`, or with two slots `robot_hil/PegTwoSlots2D-v0`."""
    return ToyEnv(
        PegSlot(slots=slots, tolerance=tolerance_m), obs_type=obs_type, control_hz=control_hz, image_size=image_size,
        render_mode=render_mode, max_seconds=max_seconds, goal=goal,
    )  # fmt: skip
