"""PegSlot2D with a gripper: fetch the peg from its holder with a force in a band, then put it into the slot."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from robot_hil.data.specs import ArraySpec
from robot_hil.envs.task import ObsType
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.envs.toy.peg_slot import (
    BAND_HIGH,
    BAND_LOW,
    BAND_SIDE,
    DEPTH,
    FREE_HEIGHT,
    JAM_HEIGHT,
    SIDE,
    SLOT_SIDE,
    TOLERANCE,
    TOP,
    contact,
    draw_peg,
    draw_plate,
)
from robot_hil.envs.toy.picture import Canvas
from robot_hil.envs.toy.task import clamp
from robot_hil.errors import ConfigError

FORCE_LOW, FORCE_HIGH = 0.45, 0.75
"""Force of the fingers with which the peg is held; with less it slips, with more it is squeezed out."""
OPEN_FORCE = 0.2
"""Up to this force the fingers are open enough to come down around the peg."""
REACH = 0.02
"""Sideways error with which the fingers close on the peg [m]."""
PEG_TOP = 0.05
"""Height to which the peg in its holder reaches [m]."""
HOLDER_APART = 0.15
"""Least distance between holder and slot [m]."""


class GripScene(NamedTuple):
    """Everything that is true of the world."""

    x: float
    z: float
    """Of the hand, and of the tip of the peg in it [m]."""
    force: float
    """Of the fingers, 0 open to 1."""
    held: bool
    jammed: bool
    holder: float
    """x of the holder; a peg that was lost is back in it [m]."""
    slot: float
    goal: str
    jams: int
    recoveries: int
    losses: int
    """Pegs that slipped or were squeezed out."""


class PegGrip:
    """As `PegSlot` with one slot, after the peg was fetched from a holder on the plate. Action: x, z, gripper.

    Gripper +1 opens, by 0.2 of the largest force per step at 10 Hz. Closed fingers stop on top of the peg; open ones
    come down around it. Held, it can be lifted; when the force leaves the band it is lost.
    """

    env_id = "robot_hil/PegGrip2D-v0"
    instruction = "fetch the peg and put it into the slot"
    max_seconds = 12.0
    axes: tuple[str, ...] = ("x", "z", "gripper")
    speeds: tuple[float, ...] = (0.4, 0.4, 2.0)
    goals: tuple[str, ...] = ("insert",)
    disturbances: tuple[str, ...] = ("object", "goal", "slip")
    view = (-0.42, -0.2, 0.84)

    def __init__(self, *, tolerance: float = TOLERANCE) -> None:
        if not 0.001 <= tolerance <= 0.04:
            raise ConfigError(f"tolerance_m is {tolerance}; allowed are 0.001 to 0.04 m.")
        self._tolerance = tolerance

    def observation_spec(self, obs_type: ObsType) -> ArraySpec:
        names: tuple[str, ...] = (
            "hand x [0.1 m]",
            "hand height [0.1 m]",
            "force [-1..1]",
            "held [0 or 1]",
            "jammed [0 or 1]",
        )
        if obs_type == "state":
            names += ("holder x - hand [0.1 m]", "slot x - hand [0.1 m]")
        return ArraySpec(shape=(len(names),), low=-10.0, high=10.0, names=names)

    def start(self, rng: np.random.Generator, goal: str) -> GripScene:
        slot = float(rng.uniform(-SLOT_SIDE, SLOT_SIDE))
        holder = float(rng.uniform(-BAND_SIDE, BAND_SIDE))
        while abs(holder - slot) < HOLDER_APART:
            holder = float(rng.uniform(-BAND_SIDE, BAND_SIDE))
        x, z = rng.uniform((-BAND_SIDE, BAND_LOW), (BAND_SIDE, BAND_HIGH)).tolist()
        return GripScene(x, z, 0.0, False, False, holder, slot, goal, 0, 0, 0)

    def go_on(self, scene: GripScene, goal: str) -> GripScene:
        return scene._replace(goal=goal, jams=0, recoveries=0, losses=0)

    def advance(self, scene: GripScene, move: Sequence[float]) -> GripScene:
        force = clamp(scene.force - move[2], 0.0, 1.0)
        if not scene.held:
            return self._empty(scene, move, force)
        x, z, jammed = contact(scene.x, scene.z, scene.jammed, move[0], move[1], (scene.slot,), self._tolerance)
        holds = FORCE_LOW <= force <= FORCE_HIGH
        after = scene._replace(
            x=x, z=z, force=force, jammed=jammed, jams=scene.jams + (jammed and not scene.jammed),
            recoveries=scene.recoveries + (scene.jammed and not jammed and scene.jams > scene.recoveries),
        )  # fmt: skip
        return after if holds else self._lose(after)

    def success(self, scene: GripScene) -> bool:
        return scene.held and scene.z <= -DEPTH

    def observe(self, scene: GripScene, obs_type: ObsType) -> list[float]:
        seen = [10.0 * scene.x, 10.0 * scene.z, 2.0 * scene.force - 1.0, float(scene.held), float(scene.jammed)]
        if obs_type == "state":
            seen += [10.0 * (scene.holder - scene.x), 10.0 * (scene.slot - scene.x)]
        return seen

    def place(self, scene: GripScene) -> tuple[float, float, float]:
        return scene.x, scene.z, 1.0 - scene.force

    def privileged(self, scene: GripScene) -> dict[str, Any]:
        return {
            "tip_pos": np.array([scene.x, 0.0, scene.z]),
            "slot_pos": np.array([scene.slot, 0.0, 0.0]),
            "holder_pos": np.array([scene.holder, 0.0, 0.0]),
            "slot_tolerance": self._tolerance,
            "jammed": scene.jammed,
            "held": scene.held,
            "force": scene.force,
            "force_band": np.array([FORCE_LOW, FORCE_HIGH]),
        }

    def metrics(self, scene: GripScene) -> dict[str, float]:
        return {"jams": scene.jams, "recoveries": scene.recoveries, "losses": scene.losses, "stage": int(scene.held)}

    def disturb(self, scene: GripScene, kind: str, x: float, z: float) -> GripScene:
        """`object` moves the holder, `goal` the slot, `slip` takes the peg away; not where the peg is in the way."""
        if kind == "slip":
            return self._lose(scene) if scene.held else scene
        low = scene.z < PEG_TOP
        if low or (kind == "object" and scene.held):
            return scene
        holder = clamp(scene.holder + x, -BAND_SIDE, BAND_SIDE) if kind == "object" else scene.holder
        slot = clamp(scene.slot + x, -BAND_SIDE, BAND_SIDE) if kind == "goal" else scene.slot
        return scene._replace(holder=holder, slot=slot) if abs(holder - slot) >= 0.5 * HOLDER_APART else scene

    def draw(self, scene: GripScene, canvas: Canvas) -> None:
        draw_plate(canvas, (scene.slot,), self._tolerance, 0)
        canvas.rectangle(scene.holder - 0.02, -0.02, scene.holder + 0.02, 0.0, (90, 110, 90))
        if not scene.held:
            draw_peg(canvas, scene.holder, 0.0, False)
        else:
            draw_peg(canvas, scene.x, scene.z, scene.jammed)
        gap = 0.012 + 0.02 * (1.0 - scene.force)
        for left in (scene.x - gap - 0.012, scene.x + gap):
            canvas.rectangle(left, scene.z, left + 0.012, scene.z + 0.08, (40, 40, 45))
        canvas.rectangle(scene.x - 0.045, scene.z + 0.08, scene.x + 0.045, scene.z + 0.1, (40, 40, 45))

    def _empty(self, scene: GripScene, move: Sequence[float], force: float) -> GripScene:
        """Move an empty hand: not through the plate, nor with closed fingers through the peg."""
        x, z = clamp(scene.x + move[0], -SIDE, SIDE), clamp(scene.z + move[1], 0.0, TOP)
        around = scene.z < PEG_TOP and abs(scene.x - scene.holder) <= REACH
        if around:  # the peg between the fingers
            x = clamp(x, scene.holder - REACH, scene.holder + REACH) if z < PEG_TOP else x
        elif z < PEG_TOP and abs(x - scene.holder) <= REACH and scene.force > OPEN_FORCE:
            x, z = (x, PEG_TOP) if scene.z >= PEG_TOP else (scene.x, z)
        held = FORCE_LOW <= force <= FORCE_HIGH and z <= JAM_HEIGHT and abs(x - scene.holder) <= REACH
        return scene._replace(x=x, z=z, force=force, held=held, jammed=held)

    def _lose(self, scene: GripScene) -> GripScene:
        """The peg is back in its holder; a hand above the slot has nothing to push in, so it is lifted clear."""
        return scene._replace(held=False, jammed=False, z=max(scene.z, FREE_HEIGHT), losses=scene.losses + 1)


def make_env(
    obs_type: ObsType = "state", control_hz: float = 10.0, image_size: int = 64, render_mode: str | None = None,
    max_seconds: float | None = None, tolerance_m: float = TOLERANCE,
) -> ToyEnv:  # fmt: skip
    """Return `robot_hil/PegGrip2D-v0`."""
    return ToyEnv(
        PegGrip(tolerance=tolerance_m), obs_type=obs_type, control_hz=control_hz, image_size=image_size,
        render_mode=render_mode, max_seconds=max_seconds,
    )  # fmt: skip
