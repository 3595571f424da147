"""Rendered episodes for the reward suite: demonstrations held after their success, and three kinds of failure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np

from robot_hil.cli import compose
from robot_hil.clock import VirtualClock
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.envs.base import privileged_of, spec_of
from robot_hil.experiments.base import Experiment
from robot_hil.experiments.registry import get
from robot_hil.teleop.simulated.expert import Expert, World
from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import PROFILES

Kind = Literal["demo", "lapse", "short", "wander"]
FAILURES: tuple[Kind, ...] = ("lapse", "short", "wander")
"""A person who sees the goal where it is not, one who stops just short of it, and a hand without a plan."""
HOLD = 10
"""Frames after the success of a demonstration: a person rests there before the key is pressed."""
STEPS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """What was seen, and what was so; observation i came before step i."""

    kind: Kind
    observations: tuple[Observation, ...]
    success: Array
    """Bool (n,), of every observation."""
    stage: Array
    """int64 (n,): 0 on the way, 1 cube off the table or peg in the hole's mouth, 2 success."""
    stuck: int
    """First observation after which nothing good came: peg on the plate beside the hole, or fingers closed on nothing;
    the last one where that never was."""


class Scene:
    """One task with its scripted person."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.experiment: Experiment = get(task)
        self.env = compose.make_env(self.experiment)
        self.spec: EnvSpec = spec_of(self.env)
        self._expert: Expert = PickCubeExpert() if task == "pick_cube" else PegInsertionExpert()

    def play(self, kind: Kind, seed: int) -> Episode:
        """Play one episode; equal seeds give equal ones."""
        rng = np.random.default_rng([seed, len(kind)])
        obs, _ = self.env.reset(seed=seed)
        act, level = self._hand(kind, seed, rng), float(rng.uniform(0.3, 0.8))
        seen, success, stage, stuck = [obs], [False], [0], [False]
        while len(seen) < STEPS and not all(success[-HOLD:]):
            world = privileged_of(self.env)
            stopped = kind == "short" and self._share(world) >= level
            action = np.zeros(self._expert.action_dim, np.float32) if stopped else act()
            obs, _, _, _, info = self.env.step(action)
            seen.append(obs)
            success.append(bool(info["success"]))
            world = privileged_of(self.env)
            stage.append(2 if success[-1] else int(self._share(world) > 0.1))
            stuck.append(self._stuck(world))
        return Episode(
            kind=kind, observations=tuple(seen), success=np.array(success), stage=np.array(stage, np.int64),
            stuck=stuck.index(True) if any(stuck) else len(seen) - 1,
        )  # fmt: skip

    def play_many(self, count: int, kinds: tuple[Kind, ...], seed: int) -> list[Episode]:
        """Play `count` episodes that end as their kind says; others, such as a lucky lapse, are played anew."""
        found: list[Episode] = []
        while len(found) < count:
            kind = kinds[len(found) % len(kinds)]
            episode = self.play(kind, seed)
            seed += 1
            if bool(episode.success.any()) == (kind == "demo"):
                found.append(episode)
        return found

    def close(self) -> None:
        """Release the renderer."""
        self.env.close()

    def _share(self, world: World) -> float:
        """Return how much of the last stretch is done, 1 at success: cube lifted, or peg down inside the hole."""
        if "lift_height" in world:
            return float(world["lift_height"]) / 0.10
        side = np.abs(np.asarray(world["peg_tip_pos"])[:2] - np.asarray(world["hole_pos"])[:2]).max()
        return float(world["depth"]) / 0.02 if side < 0.002 else 0.0

    def _stuck(self, world: World) -> bool:
        if "lift_height" in world:
            return float(world["gripper_width"]) < 0.01
        return float(world["depth"]) > -0.001 and self._share(world) == 0.0

    def _hand(self, kind: Kind, seed: int, rng: np.random.Generator) -> Callable[[], Array]:
        if kind == "wander":
            return partial(next, _drift(self._expert.action_dim, rng))
        name = ("careful", "steady", "competent")[seed % 3]
        profile = replace(PROFILES[name], skill=0.0 if kind == "lapse" else 1.0)
        person = SimulatedPerson(self._expert, AlwaysGate(), profile, partial(privileged_of, self.env), VirtualClock())
        person.start()
        person.begin_episode(seed)

        def act() -> Array:
            action = person.latest().action
            assert action is not None
            return action

        return act


def _drift(size: int, rng: np.random.Generator) -> Any:
    """Yield a hand's motion without aim: slow noise, mostly downwards, as a policy that knows nothing yet."""
    state = np.zeros(size)
    while True:
        state = 0.85 * state + 0.35 * rng.standard_normal(size)
        state[2] -= 0.02
        yield np.clip(state, -1, 1).astype(np.float32)
