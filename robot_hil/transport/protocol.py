"""The messages between actor and learner: msgpack with fixed fields, and steps as they were encoded.

Actor: HELLO, STEPS (+ blobs), REPORT. Learner: WELCOME, ACK, REFUSED, RESYNC (say HELLO again).
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from robot_hil.data import codec
from robot_hil.data.fingerprint import spec_to_dict
from robot_hil.data.specs import Array, EnvSpec, Observation
from robot_hil.data.step import Step
from robot_hil.data.step_header import MAX_BLOB_BYTES
from robot_hil.errors import SpecError

PROTOCOL_VERSION = 2
HELLO, STEPS, REPORT = b"HELLO", b"STEPS", b"REPORT"
WELCOME, ACK, REFUSED, RESYNC = b"WELCOME", b"ACK", b"REFUSED", b"RESYNC"
MAX_MESSAGE = MAX_BLOB_BYTES
MAX_CONTROL = 1 << 20
MAX_STEPS_PER_MESSAGE = 16

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Text = Annotated[str, msgspec.Meta(max_length=256)]
M = TypeVar("M")
_Wanted = tuple[tuple[int, ...], np.dtype[Any]]
_VECTORS = ("action_policy", "action_human", "action_executed")


class Progress(msgspec.Struct, frozen=True):
    """How far the learner is: comes with each acknowledgement, when budget or `stop` change, and twice a second."""

    updates: int = 0
    """Training updates done in this run."""
    steps_ingested: int = 0
    """Steps in the learner's log, of all actors."""
    step_budget: int = 0
    """Steps the learner allows in all; -1 for no limit. Only simulated actors wait for it."""
    stop: bool = False
    """The learner asks the actors to end."""


class Hello(msgspec.Struct, forbid_unknown_fields=True):
    """Who an actor is and what it still holds."""

    nonce: _Count
    """Number of this greeting; the answer repeats it, so that late answers are told apart."""
    run_id: _Text
    """Run this actor's spool belongs to; empty before its first welcome."""
    actor_id: _Text
    epoch: _Count
    instance: _Text
    """Random name of the process; tells two actors with one id apart."""
    held: Annotated[dict[_Count, tuple[_Count, _Count]], msgspec.Meta(max_length=100_000)]
    """First sequence number not known to be acknowledged and the end (exclusive), by epoch."""
    identity: dict[str, Any]
    """`identity(...)` of the actor, compared with the learner's."""


class Welcome(msgspec.Struct, forbid_unknown_fields=True):
    """What the learner has on disk: first wanted sequence number by epoch."""

    nonce: int
    run_id: str
    marks: dict[int, int]
    progress: Progress
    window: _Count
    """See `Ack`."""


class Ack(msgspec.Struct, forbid_unknown_fields=True):
    """First sequence number not durably logged, by epoch (cumulative), and progress."""

    marks: dict[int, int]
    progress: Progress
    window: _Count
    """Steps that this actor may have on their way: its share of what the learner wants to hold unlogged."""


class Refusal(msgspec.Struct, forbid_unknown_fields=True):
    """Why the learner will not take this actor."""

    reason: str


class StepsHeader(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Everything below `after` was acknowledged or sent earlier on this connection."""

    epoch: _Count
    after: _Count


def pack(message: msgspec.Struct | Mapping[str, Any]) -> bytes:
    """Return `message` as msgpack."""
    return msgspec.msgpack.encode(message)


def unpack(data: bytes, kind: type[M]) -> M:
    """Return the message in `data`, or raise `SpecError`."""
    if len(data) > MAX_CONTROL:
        raise SpecError(f"message has {len(data)} bytes; allowed are {MAX_CONTROL}.")
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise SpecError(f"message is malformed: {error}.") from error


def identity(spec: EnvSpec, task: str, files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what actor and learner must agree on; `files` are hashes of what both read from disk, by what it is."""
    return ({"files": dict(files)} if files else {}) | {
        "task": task,
        "protocol": PROTOCOL_VERSION,
        "step_format": codec.FORMAT_VERSION,
        "spec": spec_to_dict(spec),
    }


class StepCheck:
    """Says whether a step is of a specification, by names, shapes and dtypes; values are not judged.

    What it compares with is looked up once, for it runs in the control loop: a microsecond per array.
    """

    def __init__(self, spec: EnvSpec) -> None:
        self._observation = {name: _wanted(array.shape, array.dtype) for name, array in spec.observation.items()}
        self._actions = dict.fromkeys(_VECTORS, _wanted(spec.action.shape, "float32"))
        self._actions["authority"] = _wanted(spec.action.shape, "uint8")

    def __call__(self, step: Step) -> None:
        """Raise `SpecError` that names what differs."""
        self._check_observation(step.obs, "obs")
        if step.final_obs is not None:
            self._check_observation(step.final_obs, "final_obs")
        for name, wanted in self._actions.items():
            _check_array(name, getattr(step, name), wanted)

    def _check_observation(self, observation: Observation, name: str) -> None:
        if observation.keys() != self._observation.keys():
            raise SpecError(f"{name} has {sorted(observation)}; the specification says {sorted(self._observation)}.")
        for key, wanted in self._observation.items():
            _check_array(f"{name} {key!r}", observation[key], wanted)


def _wanted(shape: tuple[int, ...], dtype: str) -> _Wanted:
    return shape, np.dtype(dtype)


def check_step(spec: EnvSpec, step: Step) -> None:
    """Check one step, as `StepCheck` does; make one of these for many."""
    StepCheck(spec)(step)


def _check_array(name: str, array: Array, wanted: _Wanted) -> None:
    shape, dtype = wanted
    if array.shape != shape or array.dtype != dtype:
        raise SpecError(f"{name} is {array.dtype.name}{array.shape}; the specification says {dtype.name}{shape}.")
