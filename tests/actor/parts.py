"""Small real parts for the actor's tests: a kinematic arm, an environment on it, a scripted person, policies."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from robot_hil.clock import Clock
from robot_hil.data.reward import Judgement
from robot_hil.data.robot import ArmLimits, ArmState, CartesianTarget, JointTarget, Target
from robot_hil.data.specs import Array, Observation
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import RobotHilError

A = 4


class PointArm:
    """A driver whose tool is where it was commanded, at once; refuses to move unconnected or with a fault."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.connected = False
        self.sent: list[Target] = []
        self.stops = 0
        self.recoveries: list[str] = []
        self.fault = ""
        self.clears = True
        self.broken = False
        self.wrench = np.zeros(6)
        self.velocity = np.zeros(6)
        self.pos = np.array([0.4, 0.0, 0.3])
        self.quat = np.array([1.0, 0.0, 0.0, 0.0])
        self.joints = np.zeros(7)
        self.width = 0.04

    def connect(self) -> None:
        self.connected = True

    def state(self) -> ArmState:
        return ArmState(
            t=self.clock.now(),
            joint_pos=self.joints.copy(),
            joint_vel=np.zeros(7),
            tcp_pos_base=self.pos.copy(),
            tcp_quat_base=self.quat.copy(),
            tcp_vel_base=self.velocity.copy(),
            wrench_tcp=self.wrench.copy(),
            gripper_width=self.width,
            fault=self.fault,
        )

    def command(self, target: Target) -> None:
        if not self.connected or self.fault or self.broken:
            raise RobotHilError("the point arm cannot move")
        if isinstance(target, CartesianTarget):
            self.pos, self.quat = target.pos_base.copy(), target.quat_base.copy()
        else:
            self.joints = target.joint_pos.copy()
        self.width = target.gripper_width
        self.sent.append(target)

    def stop(self) -> None:
        self.stops += 1

    def recover(self, reason: str) -> None:
        if not reason.strip():
            raise RobotHilError("recover needs a reason")
        self.recoveries.append(reason)
        if self.clears:
            self.fault = ""

    def close(self) -> None:
        if self.connected:
            self.stop()
        self.connected = False


def limits(**changes: Any) -> ArmLimits:
    """Limits with which every check can be reached."""
    values: dict[str, Any] = {
        "workspace_low": np.array([0.2, -0.3, 0.0]),
        "workspace_high": np.array([0.7, 0.3, 0.5]),
        "joint_low": np.full(7, -2.0),
        "joint_high": np.full(7, 2.0),
        "max_linear_speed": 0.25,
        "max_angular_speed": 1.0,
        "max_joint_speed": 1.0,
        "max_force": 40.0,
        "max_torque": 10.0,
    }
    return ArmLimits(**(values | changes))


def cartesian(pos: Any = (0.4, 0.0, 0.3), quat: Any = (1.0, 0.0, 0.0, 0.0), width: float = 0.04) -> CartesianTarget:
    return CartesianTarget(pos_base=np.array(pos, float), quat_base=np.array(quat, float), gripper_width=width)


def joint(values: Any, width: float = 0.04) -> JointTarget:
    return JointTarget(joint_pos=np.array(values, float), gripper_width=width)


class WalkEnv:
    """Walk along a line by action[0] / 10 towards 1; the observation says where. Records what it executed."""

    def __init__(self, horizon: int = 50, on_step: Callable[[int], None] | None = None) -> None:
        self.horizon = horizon
        self.on_step = on_step
        self.seeds: list[int | None] = []
        self.executed: list[Array] = []
        self.k = 0
        self.x = 0.0

    def obs(self) -> Observation:
        return {"x": np.array([self.x], np.float32), "k": np.array([self.k], np.float32)}

    def reset(self, *, seed: int | None = None) -> tuple[Observation, dict[str, Any]]:
        self.seeds.append(seed)
        self.k, self.x = 0, float(np.random.default_rng(seed).uniform(0, 0.1))
        return self.obs(), {}

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        assert action.dtype == np.float32
        assert action.shape == (A,)
        assert np.isfinite(action).all()
        assert (np.abs(action) <= 1).all()
        if self.on_step is not None:
            self.on_step(self.k)
        self.executed.append(action.copy())
        self.k += 1
        self.x += float(action[0]) / 10
        done = self.x >= 1
        return self.obs(), float(done), done, not done and self.k >= self.horizon, {}


class NoisyPolicy:
    """Walks forward with noise; deterministic without."""

    def __init__(self, seed: int = 0) -> None:
        self.version = 3
        self.rng = np.random.default_rng(seed)

    def begin_episode(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        noise = np.zeros(A) if deterministic else self.rng.uniform(-0.2, 0.2, A)
        return np.clip(0.5 + noise, -1, 1).astype(np.float32)


class LineJudge:
    """A reward model of `WalkEnv`: success is x >= `goal` in `frames` frames running."""

    version = 1

    def __init__(self, goal: float = 0.6, frames: int = 2, on_judge: Callable[[], object] = lambda: None) -> None:
        self.goal, self.frames, self.on_judge = goal, frames, on_judge
        self.seen: list[float] = []
        self.running = 0

    def begin_episode(self) -> None:
        self.seen.clear()
        self.running = 0

    def judge(self, obs: Observation) -> Judgement:
        self.on_judge()
        x = float(obs["x"][0])
        self.seen.append(x)
        self.running = self.running + 1 if x >= self.goal else 0
        confirmed = self.running >= self.frames
        return Judgement(probability=min(1.0, max(0.0, x)), confirmed=confirmed, reward=1.1 if confirmed else -0.01)


class ScriptedPerson:
    """A device that follows a script by tick: {tick: sample fields or events}; stays as last told."""

    def __init__(self, clock: Clock, script: Mapping[int, Mapping[str, Any] | EventKind]) -> None:
        self.name = "script"
        self.clock = clock
        self.script = script
        self.tick = -1
        self.running = False
        self.fields: dict[str, Any] = {}
        self.events: list[TeleopEvent] = []

    def start(self) -> None:
        self.running = True

    def latest(self) -> TeleopSample:
        if not self.running:
            return TeleopSample(status=SampleStatus.DISCONNECTED, t=self.clock.now(), device=self.name)
        self.tick += 1
        now = self.clock.now()
        entry = self.script.get(self.tick, {})
        if isinstance(entry, EventKind):
            self.events.append(TeleopEvent(kind=entry, t=now, source=self.name))
        else:
            self.fields |= entry
        return TeleopSample(**({"status": SampleStatus.OK, "t": now, "device": self.name} | self.fields))

    def drain_events(self) -> list[TeleopEvent]:
        events, self.events = self.events, []
        return events

    def stop(self) -> None:
        self.running = False
