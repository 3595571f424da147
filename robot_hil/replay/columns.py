"""The facts of a step apart from its observation, as columns, and lazy views of some rows of them."""

from collections.abc import Iterator, Mapping

import numpy as np

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Step

REWARD_SOURCES = ("env", "human", "classifier", "progress")
"""Each is a column `reward/<source>`, NaN where the source did not speak."""

NO_ONSET = np.iinfo(np.int16).max
"""Value of `steps_to_onset` where no intervention began soon after."""

_FLAGS = ("terminated", "truncated", "success", "onset", "offset", "release_tail", "is_human")
_NUMBERS = {
    "segment": "uint8",
    "episode_id": "int32",
    "step_index": "int32",
    "intervention_id": "int16",
    "policy_version": "int32",
}
_ACTIONS = ("action_executed", "action_policy", "action_human")
VERDICT_CODES = {verdict: code for code, verdict in enumerate(Verdict)}
"""How the column `verdict` stores them; 0 is NONE."""
_SUCCESS, _FAIL = VERDICT_CODES[Verdict.SUCCESS], VERDICT_CODES[Verdict.FAIL]
_JUDGED = ("reward/human", "terminated", "truncated", "success")
"""What a verdict changes in the last row of an episode."""

Columns = Mapping[str, Array]
"""Column name -> values of some rows, (n, ...)."""


def make_columns(capacity: int, action_dim: int) -> dict[str, Array]:
    """Return the empty columns of `capacity` rows.

    Besides the facts of a step there are four that the buffer derives: `next_slot` and `next_row` (where
    the successor's observation lies, and the successor itself, -1 where there is none), `handover`
    (authority passes between policy and person from this row to the next) and `steps_to_onset` (1 for the row just
    just before an intervention, `NO_ONSET` far from any). `verdict` is what a person said of the episode afterwards.
    """
    columns = {name: np.zeros(capacity, np.bool_) for name in (*_FLAGS, "handover")}
    columns |= {name: np.zeros(capacity, dtype) for name, dtype in _NUMBERS.items()}
    columns |= {name: np.zeros((capacity, action_dim), np.float32) for name in _ACTIONS}
    columns |= {f"reward/{source}": np.zeros(capacity, np.float32) for source in REWARD_SOURCES}
    columns["authority"] = np.zeros((capacity, action_dim), np.uint8)
    columns["verdict"] = np.zeros(capacity, np.uint8)
    columns["next_slot"] = np.full(capacity, -1, np.int32)
    columns["next_row"] = np.full(capacity, -1, np.int32)
    columns["steps_to_onset"] = np.full(capacity, NO_ONSET, np.int16)
    return columns


def write_columns(columns: Mapping[str, Array], row: int, step: Step) -> None:
    """Write the facts of `step` into `row` and clear what is derived."""
    for name in (*_FLAGS, *_NUMBERS, *_ACTIONS, "authority"):
        columns[name][row] = getattr(step, name)
    for source in REWARD_SOURCES:
        columns[f"reward/{source}"][row] = step.reward.get(source, np.nan)
    columns["handover"][row] = False
    columns["next_slot"][row] = columns["next_row"][row] = -1
    columns["steps_to_onset"][row] = NO_ONSET


class ColumnView(Columns):
    """Some rows of all columns; a column is gathered when it is asked for, and seen in the light of the verdicts.

    The columns themselves keep the facts: an episode that a person called a success or a failure afterwards has in its
    last row that reward of the person, is terminated there and not truncated, and has succeeded or not.
    """

    def __init__(self, columns: Mapping[str, Array], rows: Array) -> None:
        self._columns = columns
        self._rows = rows

    def __getitem__(self, name: str) -> Array:
        values = self._columns[name][self._rows]
        return self._judged(name, values) if name in _JUDGED else values

    def _judged(self, name: str, values: Array) -> Array:
        columns, rows = self._columns, self._rows
        verdict = columns["verdict"][rows]
        if not verdict.any():
            return values
        succeeded = verdict == _SUCCESS
        judged = (columns["terminated"][rows] | columns["truncated"][rows]) & (succeeded | (verdict == _FAIL))
        wanted = {"terminated": True, "truncated": False}.get(name, succeeded)
        return np.where(judged, wanted, values).astype(values.dtype, copy=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
