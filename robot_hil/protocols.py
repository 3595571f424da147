"""The contracts outward: arm, camera, teleoperation device, policy, agent. `tests/contracts.py` holds their tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from robot_hil.data.robot import ArmState, Target
from robot_hil.data.specs import Array, ArraySpec, EnvSpec, Observation
from robot_hil.data.teleop import DeviceInfo, TeleopEvent, TeleopSample

Params = Mapping[str, Array]
"""Neutral parameter format: name -> array, the same names and shapes for every backend (safetensors on disk)."""


@runtime_checkable
class Arm(Protocol):
    """A robot arm, real or simulated. Constructors do not act; nothing moves before `connect`."""

    def connect(self) -> None:
        """Open the connection; legal twice."""
        ...

    def state(self) -> ArmState:
        """Return the newest state; never blocks longer than one control period."""
        ...

    def command(self, target: Target) -> None:
        """Track `target` from now on; the last target is held until another comes or `stop`."""
        ...

    def stop(self) -> None:
        """Stop moving and hold position, at once; legal in every state, also before `connect`."""
        ...

    def recover(self, reason: str) -> None:
        """Clear a fault after a person decided so; `reason` is logged and must not be empty."""
        ...

    def close(self) -> None:
        """Stop and disconnect; legal twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One camera image."""

    image: Array
    """uint8 (H, W, 3) RGB."""
    stamp: float
    """Monotonic time of exposure [s]."""


@runtime_checkable
class Camera(Protocol):
    """A camera, real or rendered."""

    def connect(self) -> None:
        """Open the device; legal twice."""
        ...

    def latest(self) -> Frame:
        """Return the newest frame; never blocks longer than one frame period."""
        ...

    def close(self) -> None:
        """Release the device; legal twice."""
        ...


@runtime_checkable
class TeleopDevice(Protocol):
    """Something a person (or a simulated one) drives the robot with."""

    @property
    def name(self) -> str:
        """Short name for logs."""
        ...

    def start(self) -> None:
        """Open the device and begin to read; legal twice."""
        ...

    def latest(self) -> TeleopSample:
        """Return the newest sample; never blocks, never raises; before `start` and after `stop` DISCONNECTED."""
        ...

    def drain_events(self) -> list[TeleopEvent]:
        """Return and forget all queued edges, oldest first."""
        ...

    def stop(self) -> None:
        """Release the device; legal twice."""
        ...


@runtime_checkable
class Monitored(Protocol):
    """A device that can be looked at from any thread."""

    def info(self) -> DeviceInfo:
        """Return what to show of the device now; never blocks, never raises."""
        ...


@runtime_checkable
class Feedback(Protocol):
    """A device that can make itself felt."""

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        """Vibrate: `hand` left, right or empty for all, `strength` in [0, 1]; returns at once, does nothing if lost."""
        ...


@runtime_checkable
class Standby(Protocol):
    """A device of several, some of which do not count while the robot waits for a person, e.g. a simulated one."""

    def standby(self) -> TeleopSample:
        """Return the newest sample of those that count; as `TeleopDevice.latest`."""
        ...


@runtime_checkable
class Releasable(Protocol):
    """A device that stays engaged until it is told to let go, e.g. a leader arm."""

    def request_release(self) -> None:
        """Let go; any thread, returns at once, does nothing when not engaged."""
        ...


class Policy(Protocol):
    """What the control loop asks for actions."""

    @property
    def version(self) -> int:
        """Version of the weights in use; -1 before any arrived."""
        ...

    def act(self, obs: Observation, deterministic: bool = False) -> Array:
        """Return float32 (A,) in [-1, 1]."""
        ...


@runtime_checkable
class EpisodeAware(Protocol):
    """A policy or simulated person whose noise is drawn anew per episode, so that a resumed run repeats exactly."""

    def begin_episode(self, seed: int) -> None:
        """Forget the last episode and draw all further noise from `seed` (0 <= seed < 2**31)."""
        ...


@runtime_checkable
class ProposalAware(Protocol):
    """A device that looks at what the policy is about to do: a preview, or a simulated person's judgement."""

    def observe_proposal(self, action: Array) -> None:
        """Take this step's proposal, float32 (A,), before `latest` is asked; must return at once."""
        ...


@runtime_checkable
class Valuing(Protocol):
    """An agent that can say how well it thinks it stands: for people, who see where an episode went wrong."""

    def values(self, state: Any, batch: Mapping[str, Array]) -> Array:
        """Return the critics' mean estimate of the return under the policy's own actions, float32 (n,).

        `batch` has `obs/<name>` (n, ...) for what `Agent.reads` names of `obs`. Draws nothing at random.
        """
        ...


@runtime_checkable
class Remembering(Protocol):
    """An agent that may carry something from one step of an episode to the next."""

    @property
    def memory_size(self) -> int:
        """Numbers that it carries; 0 for none."""
        ...

    def act_on(
        self, actor: Any, obs: Observation, memory: Array, deterministic: bool, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """As `Agent.act`, with the memory of the step before, float32 (M,), zeros at first; returns the next, too."""
        ...


class Agent(Protocol):
    """A learning algorithm. `State` is opaque, owned by the backend and may be changed in place by `update`.

    The agent object itself holds configuration and shapes only. `bind` comes first, in the actor as in the learner.
    """

    def bind(self, spec: EnvSpec) -> None:
        """Fix shapes from the environment's specification; raises `SpecError` for observations it cannot take."""
        ...

    def stored(self, spec: EnvSpec) -> Mapping[str, ArraySpec]:
        """Return the observation arrays as the replay keeps them, e.g. with smaller images."""
        ...

    def prepare(self, obs: Observation) -> Observation:
        """Turn one raw observation into what `stored` describes, and what `encode` needs beyond that.

        Done once per step, when it enters the replay.
        """
        ...

    @property
    def frames(self) -> Callable[[Mapping[str, ArraySpec], int], Any] | None:
        """How the replay keeps observations on the device that learns (`robot_hil.replay.frames.Frames`).

        None: in host memory, as numpy arrays.
        """
        ...

    @property
    def encoding(self) -> str:
        """Name of the `stored` array that holds `encode`'s output; empty when nothing is cached."""
        ...

    def encode(self, state: Any, frames: Mapping[str, Array]) -> Array:
        """Return encodings (n, *shape in `stored`) of n prepared observations: once per frame, after the warm start.

        That of a frame does not depend on how many others are encoded with it, not even in its last bit.
        """
        ...

    @property
    def encodes_at_once(self) -> bool:
        """Whether `encode` depends on nothing learnt, so that frames are encoded as they come, from the first on."""
        ...

    @property
    def files(self) -> Mapping[str, str]:
        """SHA-256 of the files that `bind` read, by what they are; actor and learner must have the same."""
        ...

    @property
    def reads(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the `stored` arrays that `update` reads, for `obs` and `next_obs`."""
        ...

    @property
    def imitates(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the `stored` arrays that `pretrain` reads, for `obs` and perhaps `end`, the episode's last."""
        ...

    def init(self, spec: EnvSpec, seed: int) -> Any:
        """Bind and make a fresh learner state; equal arguments give equal states."""
        ...

    def pretrain(self, state: Any, batch: Mapping[str, Array]) -> tuple[Any, dict[str, float]]:
        """Imitate the rows marked by `imitate` for one update: the warm start on demonstrations."""
        ...

    def settle(self, state: Any) -> Any:
        """End the warm start, once, after the last `pretrain`: what came of it is what acts and is trained on."""
        ...

    def update(self, state: Any, batch: Mapping[str, Array]) -> tuple[Any, dict[str, float]]:
        """Do one training round on `batch` (see `robot_hil.replay.sampling.Batch`); return state and scalar metrics."""
        ...

    @property
    def updates_per_round(self) -> int:
        """Critic updates in one `update`; its batch holds that many minibatches one after the other."""
        ...

    @property
    def window(self) -> int:
        """Steps that follow one another in a batch, run after run; 1: every row is drawn by itself."""
        ...

    def actor_params(self, state: Any) -> dict[str, Array]:
        """Return only what acting needs, as a copy: this is what is broadcast."""
        ...

    def load_actor(self, params: Params) -> Any:
        """Turn broadcast parameters into what `act` takes."""
        ...

    def act(self, actor: Any, obs: Observation, deterministic: bool, rng: np.random.Generator) -> Array:
        """Return float32 (A,) in [-1, 1] for one raw observation; `actor` comes from `load_actor`."""
        ...

    def export(self, state: Any) -> dict[str, Array]:
        """Return everything, optimiser moments, counters and RNG included, for an exact resume."""
        ...

    def load(self, state: Any, params: Params) -> Any:
        """Return `state` with everything replaced from `export`'s output; refuses other names or shapes."""
        ...
