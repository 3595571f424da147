"""A1 to A3: what is stored of a takeover, hand-over without a jump, two arms."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import robot_hil.envs  # noqa: F401
from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, TailDriver
from robot_hil.actor.arms import ArmsArbiter
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.seeding import Stream
from robot_hil.clock import VirtualClock
from robot_hil.data.operator_input import Keys
from robot_hil.data.robot import Target
from robot_hil.data.specs import Array, Observation
from robot_hil.data.step import Authority, Step
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.envs.base import scale_of, spec_of, tool_of
from robot_hil.replay.step_log import StepLog
from robot_hil.teleop.deflection import DeflectionConfig
from robot_hil.teleop.keyboard import Keyboard, KeyboardConfig
from robot_hil.teleop.station import Station
from teleop_rows.row import Row, at_most, exactly

HZ, TAIL_S = 10.0, 0.3
SPRUNG = KeyboardConfig(deflection=DeflectionConfig(enter=0.01, leave=0.0, tail_s=TAIL_S))
"""Keys that hold on for a moment after they were let go, as a puck does, so that there are held steps."""
KEYS = ("KeyW", "KeyS", "KeyA", "KeyD", "KeyE", "KeyQ", "KeyC", "KeyV")


class Restless:
    """A policy that asks for something else in every period, up to full speed."""

    version = 1

    def __init__(self, size: int, seed: int) -> None:
        self._rng, self._size = np.random.default_rng(seed), size

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        return self._rng.uniform(-1, 1, self._size).astype(np.float32)


class Watched(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Notes every action that the robot was given."""

    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self.given: list[bytes] = []

    def step(self, action: Any) -> Any:
        self.given.append(np.asarray(action).tobytes())
        return self.env.step(action)


class Fidgeter:
    """Presses and releases keys at random, and gives a verdict now and then; asked once per control period."""

    def __init__(self, station: Station, keyboard: Keyboard, clock: VirtualClock, seed: int) -> None:
        self._station, self._keyboard, self._clock = station, keyboard, clock
        self._rng = np.random.default_rng(seed)
        self._seq, self._down, self._left = 0, (), 0
        self.verdicts = 0
        self.wanted: list[bool] = []
        """Per period: whether a key was down."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._station, name)

    def latest(self) -> TeleopSample:
        now, rng = self._clock.now(), self._rng
        if self._left <= 0:
            pulls = rng.random() < 0.5
            self._down = tuple(rng.choice(KEYS, size=rng.integers(1, 3), replace=False)) if pulls else ()
            self._left = int(rng.integers(2, 9))
        self._left -= 1
        self._seq += 1
        body = Keys(seq=self._seq, t=1e3 * now, down=[str(key) for key in self._down])
        self._keyboard.feed(body, client="page", operator="ann", t_recv=now, t_page=now)
        if rng.random() < 0.1:
            kind = EventKind.SUCCESS if rng.random() < 0.5 else EventKind.FAIL
            self._station.post(TeleopEvent(kind=kind, t=now, source="ann"))
            self.verdicts += 1
        return self._station.latest()


def a1(quick: bool) -> list[Row]:
    """Take over at random from a policy that moves the simulated arm; compare the log on disk with what happened."""
    wanted = 100 if quick else 1000
    clock = VirtualClock()
    env = Watched(gymnasium.make("robot_hil/PickCube-v0", obs_type="state", disable_env_checker=True))
    scale, spec = scale_of(env), spec_of(env)
    env.reset(seed=0)
    keyboard = Keyboard(scale, tool_of(env), clock, SPRUNG)
    station = Station([keyboard], clock)
    person = Fidgeter(station, keyboard, clock, seed=1)
    size = len(scale.axes)
    arbiter = Arbiter(ArbiterConfig(action_dim=size, release_tail_s=TAIL_S, tail_driver=TailDriver.HOLD))
    steps: list[Step] = []
    with tempfile.TemporaryDirectory() as folder, StepLog(Path(folder) / "log") as log:
        loop = ControlLoop(
            env, Restless(size, 2), arbiter, steps.append, LoopConfig(control_hz=HZ),
            teleop=person, clock=clock, spec=spec,
        )  # fmt: skip
        station.start()
        episode = 0
        while person.verdicts < wanted:
            loop.run_episode(Stream.TRAIN, episode)
            episode += 1
        log.append_many([_numbered(step, i) for i, step in enumerate(steps)])
        stored = list(log.steps())
    env.close()
    return _judge(stored, env.given, person)


def _numbered(step: Step, seq: int) -> Step:
    return replace(step, seq=seq, epoch=1)


def _judge(stored: Sequence[Step], given: Sequence[bytes], person: Fidgeter) -> list[Row]:
    human = [step for step in stored if step.is_human]
    differ = sum(step.action_executed.tobytes() != given[i] for i, step in enumerate(stored))
    wrong = sum(step.action_human.tobytes() != step.action_executed.tobytes() for step in human)
    policy = [step for step in stored if (step.authority == Authority.POLICY).all()]
    wrong += sum(step.action_policy.tobytes() != step.action_executed.tobytes() for step in policy)
    held = [step for step in stored if (step.authority == Authority.HOLD).all()]
    unflagged = sum(bool(not step.release_tail or step.action_executed.any()) for step in held)
    verdicts = sum("human" in step.reward for step in stored)
    note = f"{len(stored)} steps of the simulated arm at {HZ:g} Hz, {len(human)} by the person, {len(held)} held"
    return [
        exactly("A1 stored action differs from the executed one", differ, 0, "steps", note),
        exactly("A1 label does not fit who acted", wrong, 0, "steps", note),
        exactly("A1 held steps without flag or not standing still", unflagged, 0, "steps", note),
        exactly("A1 verdicts lost", person.verdicts - verdicts, 0, "edges", f"of {person.verdicts}"),
    ]


class Taps:
    """Records the targets that reach the arm's driver."""

    def __init__(self, driver: Any) -> None:
        self._driver, self.targets = driver, list[Array]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    def command(self, target: Target) -> None:
        self.targets.append(np.array(target.pos_base))  # type: ignore[union-attr]
        self._driver.command(target)


def a2(quick: bool) -> list[Row]:
    """Largest change of the commanded position between two periods, over takeovers and hand-backs in every mode."""
    worst, count = 0.0, 0
    for tail in TailDriver:
        clock = VirtualClock()
        env = Watched(gymnasium.make("robot_hil/PickCube-v0", obs_type="state", disable_env_checker=True))
        scale, gate = scale_of(env), env.unwrapped.gate  # type: ignore[attr-defined]
        env.reset(seed=0)
        taps = gate._driver = Taps(gate._driver)
        keyboard = Keyboard(scale, tool_of(env), clock, SPRUNG)
        station = Station([keyboard], clock)
        person = Fidgeter(station, keyboard, clock, seed=3)
        size = len(scale.axes)
        arbiter = Arbiter(ArbiterConfig(action_dim=size, release_tail_s=TAIL_S, tail_driver=tail))
        loop = ControlLoop(
            env, Restless(size, 4), arbiter, lambda step: None, LoopConfig(control_hz=HZ), teleop=person, clock=clock
        )
        station.start()
        for episode in range(10 if quick else 100):
            taps.targets.clear()
            loop.run_episode(Stream.TRAIN, episode)
            moves = np.abs(np.diff(taps.targets, axis=0))
            worst = max(worst, float(moves.max(initial=0.0)))
            count += len(moves)
        env.close()
    limit = scale.linear_m
    return [at_most("A2 largest jump of the commanded position, per axis", 1e3 * worst, 1e3 * limit + 1e-6, "mm",
                    f"{count} periods with takeovers and hand-backs at random; the limit is v_max dt")]  # fmt: skip


def a3(quick: bool) -> list[Row]:
    """Touch one of two arms at random; count periods in which the other did not do what its policy asked."""
    rng = np.random.default_rng(5)
    arms = {"left": slice(0, 7), "right": slice(7, 14)}
    arbiter = ArmsArbiter(ArbiterConfig(action_dim=14, release_tail_s=0.0), arms)
    periods, wrong, touched = 1000 if quick else 20_000, 0, 0
    for i in range(periods):
        proposal = rng.uniform(-1, 1, 14).astype(np.float32)
        side = rng.choice(["left", "right", ""])
        mask = np.zeros(14, bool)
        if side:
            mask[arms[side]] = True
        pull = rng.uniform(-1, 1, 14).astype(np.float32)
        sample = TeleopSample(
            status=SampleStatus.OK, t=i / HZ, engaged=bool(side), action=pull if side else None, mask=mask
        )
        decision = arbiter.update(i / HZ, proposal, sample)
        for name, part in arms.items():
            own = pull if name == side else proposal
            owner = Authority.HUMAN if name == side else Authority.POLICY
            right = np.array_equal(decision.action[part], own[part]) and (decision.authority[part] == owner).all()
            wrong += not right
        touched += bool(side)
    return [exactly("A3 touching one arm changes the other", wrong, 0, "periods", f"of {touched} with one arm touched")]


ROWS = {"A1": a1, "A2": a2, "A3": a3}
