"""The facts of a step apart from its observation: one record per row, and views of some rows by column."""

import math
import struct
from collections.abc import Iterator, Mapping
from operator import attrgetter

import numpy as np

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Step
from robot_hil.errors import SpecError

REWARD_SOURCES = ("env", "human", "classifier", "progress")
"""Each is a column `reward/<source>`, NaN where the source did not speak."""

NO_ONSET = np.iinfo(np.int16).max
"""Value of `steps_to_onset` where no intervention began soon after."""

VERDICT_CODES = {verdict: code for code, verdict in enumerate(Verdict)}
"""How the column `verdict` stores them; 0 is NONE."""
_SUCCESS, _FAIL = VERDICT_CODES[Verdict.SUCCESS], VERDICT_CODES[Verdict.FAIL]
_JUDGED = ("reward/human", "terminated", "truncated", "success")
"""What a verdict changes in the last row of an episode."""

_ACTIONS = ("action_executed", "action_policy", "action_human")
_DERIVED = {
    "next_slot": ("i4", -1),
    "next_row": ("i4", -1),
    "steps_to_onset": ("i2", NO_ONSET),
    "handover": ("?", False),
    "verdict": ("u1", 0),
}
"""What the buffer makes of the facts: type, as numpy names it, and value in a new row."""
_FACTS = {
    **dict.fromkeys(("episode_id", "step_index", "policy_version"), "i4"),
    "intervention_id": "i2",
    "segment": "u1",
    **dict.fromkeys(("terminated", "truncated", "success", "onset", "offset", "release_tail", "is_human"), "?"),
}
_NEW = tuple(value for _, value in _DERIVED.values())
_KINDS = (
    dict.fromkeys((f"reward/{source}" for source in REWARD_SOURCES), "f4")
    | {name: kind for name, (kind, _) in _DERIVED.items()}
    | _FACTS
)
"""Columns of one number in the order of a record, in which none lies askew."""
_CODES = {"f4": "f", "i4": "i", "i2": "h", "u1": "B", "?": "?"}
_facts_of = attrgetter(*_FACTS)
_VECTORS = (*_ACTIONS, "authority")
_vectors_of = attrgetter(*_VECTORS)
_FLOAT, _BYTE = np.dtype(np.float32), np.dtype(np.uint8)

Columns = Mapping[str, Array]
"""Column name -> values of some rows, (n, ...)."""


class FactTable:
    """The records of all rows. A record is made and checked in one piece, and written as its bytes.

    Besides the facts of a step there are columns that the buffer derives: `next_slot` and `next_row` (where
    the successor's observation lies, and the successor itself, -1 where there is none), `handover`
    (authority passes between policy and person from this row to the next) and `steps_to_onset` (1 for the row just
    before an intervention, `NO_ONSET` far from any). `verdict` is what a person said of the episode afterwards.
    """

    def __init__(self, capacity: int, action_dim: int) -> None:
        self._vector_shape = (action_dim,)
        kinds = dict.fromkeys(_ACTIONS, f"({action_dim},)f4") | _KINDS | {"authority": f"({action_dim},)u1"}
        codes = "".join(_CODES[kind] for kind in _KINDS.values())
        layout = "=" + f"{4 * action_dim}s" * len(_ACTIONS) + codes + f"{action_dim}s"
        layout += "x" * (-struct.calcsize(layout) % 4)  # numbers that lie askew are slow to gather
        self._layout = struct.Struct(layout)
        dtype = np.dtype({"names": list(kinds), "formats": list(kinds.values()), "itemsize": self._layout.size})
        self._records = np.zeros(capacity, dtype)
        self._bytes = self._records.view(np.uint8).data
        self.columns: dict[str, Array] = {name: self._records[name] for name in dtype.names or ()}
        """Every column, (capacity, ...), to be written to."""

    @property
    def row_bytes(self) -> int:
        """Memory of one row."""
        return self._records.itemsize

    def pack(self, step: Step) -> bytes:
        """Return the record of `step`, nothing derived yet; raises `SpecError` for what does not fit in."""
        executed, policy, human, authority = _vectors_of(step)
        if not executed.shape == policy.shape == human.shape == authority.shape == self._vector_shape:
            shapes = dict(zip(_VECTORS, (vector.shape for vector in _vectors_of(step)), strict=True))
            raise SpecError(f"a step's vectors have shapes {shapes}; expected {self._vector_shape}.")
        if not math.isfinite(sum(executed.tolist())):
            raise SpecError(f"action_executed is {executed}; what was sent to a robot is never NaN.")
        actions = [np.asarray(vector, _FLOAT).tobytes() for vector in (executed, policy, human)]
        whose = np.asarray(authority, _BYTE).tobytes()
        said, nothing = step.reward.get, math.nan
        rewards = [said(source, nothing) for source in REWARD_SOURCES]
        try:
            return self._layout.pack(*actions, *rewards, *_NEW, *_facts_of(step), whose)
        except (struct.error, OverflowError) as error:
            known = dict(zip(_FACTS, _facts_of(step), strict=True)) | dict(step.reward)
            raise SpecError(f"a step does not fit into the replay ({error}): {known}.") from error

    def put(self, row: int, record: bytes) -> None:
        """Write what `pack` returned."""
        size = len(record)
        self._bytes[row * size : (row + 1) * size] = record

    def view(self, rows: Array) -> "ColumnView":
        """Return the columns of some rows, as they are now."""
        return ColumnView(self._records.take(rows))


class ColumnView(Columns):
    """Columns of some rows, seen in the light of the verdicts.

    The table itself keeps the facts: an episode that a person called a success or a failure afterwards has in its
    last row that reward of the person, is terminated there and not truncated, and has succeeded or not.
    """

    def __init__(self, records: Array) -> None:
        self._records = records
        self._any_verdict = bool(records["verdict"].any())

    def __getitem__(self, name: str) -> Array:
        values: Array = self._records[name]
        return self._judged(name, values) if self._any_verdict and name in _JUDGED else values

    def _judged(self, name: str, values: Array) -> Array:
        records = self._records
        succeeded = records["verdict"] == _SUCCESS
        judged = (records["terminated"] | records["truncated"]) & (succeeded | (records["verdict"] == _FAIL))
        wanted = {"terminated": True, "truncated": False}.get(name, succeeded)
        return np.where(judged, wanted, values).astype(values.dtype, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._records.dtype.names or ())

    def __len__(self) -> int:
        return len(self._records.dtype.names or ())
