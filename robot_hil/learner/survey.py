"""What a method makes of the whole log, kept for the rows of the replay, and made anew as the log grows."""

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.methods.base import Method
from robot_hil.methods.log import log_of
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.sampling import Batch

_GROWTH = 100
"""A survey is made anew when the log has grown by a hundredth: its cost per step is then that of some hundred rows."""
_HALF = np.int64(1 << 32)


class Survey:
    """One thread uses it; steps may come in meanwhile."""

    def __init__(self, replay: ReplayBuffer, method: Method, gamma: float) -> None:
        self._replay, self._method, self._gamma = replay, method, gamma
        self._notes: Batch = {}
        self._whose = np.full(replay.capacity, -1, np.int64)
        self._due = 0

    def forget(self) -> None:
        """Make the next one in any case: facts are seen in another light."""
        self._due = 0

    def refresh(self) -> None:
        """Survey the log if it has grown enough since the last time."""
        added = self._replay.counters["added"]
        if added < self._due:
            return
        rows = np.concatenate([self._replay.rows(pool) for pool in ("demo", "online")])
        log, rows = log_of(self._replay.columns(rows), rows, self._gamma)
        found = dict(self._method.survey(log))
        if (draw := found.pop("draw", None)) is not None:
            self._replay.set_weights(rows, draw)
        self._whose.fill(-1)
        self._whose[rows] = _identity(log.columns["episode_id"], log.columns["step_index"])
        for name, values in found.items():
            if name not in self._notes:
                self._notes[name] = np.zeros((self._replay.capacity, *values.shape[1:]), np.float32)
            self._notes[name][rows] = values
        self._due = added + max(1, len(rows) // _GROWTH)

    def notes(self, rows: Array) -> Batch:
        """Return the entries of a batch that holds `rows`: those of `Method.survey`, and `surveyed`."""
        facts = self._replay.columns(rows)
        known = self._whose[rows] == _identity(facts["episode_id"], facts["step_index"])
        made = {name: np.where(_like(known, values), values[rows], 0) for name, values in self._notes.items()}
        return made | {"surveyed": known.astype(np.float32)}


def _identity(episode: Array, step: Array) -> Array:
    """Tell the step in a row from another that takes its place."""
    found: Array = episode.astype(np.int64) * _HALF + step
    return found


def _like(known: Array, values: Array) -> Array:
    return known.reshape(-1, *[1] * (values.ndim - 1))
