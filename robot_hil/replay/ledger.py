"""What the replay knows of every slot apart from the observation in it: facts, successors, pools, age."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Segment, Step
from robot_hil.replay.columns import NO_ONSET, VERDICT_CODES, FactTable
from robot_hil.replay.episodes import EpisodeIndex, EpisodeRows
from robot_hil.replay.rows import RowSet, SlotQueue
from robot_hil.replay.sampling import POOLS

_ONSET_HORIZON = 64  # steps before an intervention that are told how far away it was
_DISCARD = VERDICT_CODES[Verdict.DISCARD]
_DEMO = int(Segment.DEMO)


class _Newest(NamedTuple):
    """The newest step of an actor's stream."""

    position: tuple[int, int, int]
    """(epoch, episode_id, step_index)."""
    slot: int
    """Where it is; -1 when it has left."""
    is_last: bool
    is_human: bool


_NOBODY = _Newest((-1, -1, -1), -1, True, False)


class Ledger:
    """Takes slots, links a row to its successor, keeps the pools. Knows no thread: the buffer holds a lock around it.

    A row can be sampled once its successor's observation is there, found by (actor, epoch, episode, step index), never
    by neighbourhood. When all slots are taken the oldest ones leave; demonstrations never leave for other steps, and
    may fill half of the slots.
    """

    def __init__(self, capacity: int, action_dim: int) -> None:
        self._capacity = capacity
        self.facts = FactTable(capacity, action_dim)
        self.columns = self.facts.columns
        self.pools = {name: RowSet(capacity) for name in POOLS}
        self.counters = dict.fromkeys(("added", "refused", "gaps", "evicted", "no_final_obs"), 0)
        self.used = 0
        """Slots from here on were never used."""
        self._episodes = EpisodeIndex(self.columns)
        self._next_slot, self._next_row = self.columns["next_slot"], self.columns["next_row"]
        self._previous = np.full(capacity, -1, np.int32).data
        self._ages = {is_demo: SlotQueue(capacity) for is_demo in (True, False)}
        self._newest: dict[tuple[str, str], _Newest] = {}  # of every actor's stream
        self._open: dict[int, tuple[str, str]] = {}  # their slots

    @property
    def row_bytes(self) -> int:
        """Memory of one slot."""
        ages = sum(queue.bytes_per_row for queue in self._ages.values())
        pools = sum(pool.bytes_per_row for pool in self.pools.values())
        return self.facts.row_bytes + self._episodes.bytes_per_row + self._previous.itemsize + ages + pools

    def refuses(self, step: Step, source: str) -> bool:
        """Tell, and count, that `step` comes twice or too late."""
        newest = self._newest.get((source, step.actor_id))
        if newest is None:
            return False
        position = newest.position
        late = (step.epoch, step.episode_id, step.step_index) <= position
        late = late or (newest.is_last and (step.epoch, step.episode_id) == position[:2])
        self.counters["refused"] += late
        return late

    # Slots -----------------------------------------------------------------------------------------------------

    def leaving(self, is_demo: bool, pending: int = 0) -> SlotQueue | None:
        """Return the queue whose oldest slot makes room, None while there is a slot that was never used.

        `pending` slots were taken for the same step.
        """
        if is_demo and len(self._ages[True]) + pending >= self._capacity // 2:
            return self._ages[True]
        return None if self.used < self._capacity else self._ages[False]

    def take(self, leaving: SlotQueue | None) -> int:
        """Return a slot nobody refers to any more; `leaving` comes from the method of that name."""
        if leaving is None:
            self.used += 1
            return self.used - 1
        slot = leaving.pop()
        self._evict(slot)
        return slot

    def _evict(self, slot: int) -> None:
        """Forget what is in `slot`; the row before it loses its successor."""
        before, after = self._previous[slot], int(self._next_slot[slot])
        for row in (slot, before):
            if row >= 0:
                for pool in self.pools.values():
                    pool.discard(row)
                self._next_slot[row] = self._next_row[row] = -1
        if after >= 0:
            self._previous[after] = -1
        if (stream := self._open.pop(slot, None)) is not None:
            self._newest[stream] = self._newest[stream]._replace(slot=-1)
        self._episodes.forget(slot)
        self.counters["evicted"] += 1

    # Steps -----------------------------------------------------------------------------------------------------

    def enter(self, step: Step, source: str, record: bytes, row: int, final: int | None) -> None:
        """Make `step` known, whose observation is in slot `row` and the last one of its episode in slot `final`."""
        stream = (source, step.actor_id)
        now = _Newest((step.epoch, step.episode_id, step.step_index), row, step.is_last, step.is_human)
        is_demo = step.segment == _DEMO
        self.facts.put(row, record)
        self._episodes.enter(row, step, source)
        self._previous[row] = -1
        self._ages[is_demo].push(row)
        self.counters["added"] += 1

        before = self._newest.get(stream, _NOBODY)
        follows = now.position == (*before.position[:2], before.position[2] + 1)
        if follows and before.slot >= 0:
            self._next_row[before.slot] = row
            if before.is_human != now.is_human:
                self.columns["handover"][before.slot] = True
            self._link(before.slot, row)
        elif not follows and step.step_index > 0:
            self.counters["gaps"] += 1
        if final is not None:
            self._previous[final] = self._next_slot[final] = self._next_row[final] = -1
            self._ages[is_demo].push(final)
            self._link(row, final)
        elif step.is_last:
            self.counters["no_final_obs"] += 1
        if step.onset:
            self._mark_before(row)
        self._open.pop(before.slot, None)
        self._open[row] = stream
        self._newest[stream] = now

    def _link(self, row: int, successor: int) -> None:
        """Make `row` ready for sampling: its next observation lies in `successor`."""
        self._next_slot[row] = successor
        self._previous[successor] = row
        self._offer(row)

    def _offer(self, row: int) -> None:
        """Put `row`, whose successor is there, into its pools; one of a discarded episode into none."""
        columns = self.columns
        if columns["verdict"][row] == _DISCARD:
            return
        if columns["segment"][row] == _DEMO:
            self.pools["demo"].add(row)
        else:
            self.pools["online"].add(row)
            if columns["is_human"][row]:
                self.pools["intervention"].add(row)

    def _mark_before(self, onset: int) -> None:
        """Tell the policy's steps before an intervention how many steps away it was."""
        row, distance = self._previous[onset], 1
        while row >= 0 and distance <= _ONSET_HORIZON and not self.columns["is_human"][row]:
            self.columns["steps_to_onset"][row] = min(distance, NO_ONSET)
            row, distance = self._previous[row], distance + 1

    # Episodes --------------------------------------------------------------------------------------------------

    def judge(self, verdicts: Mapping[EpisodeKey, Verdict]) -> None:
        """See these episodes in this light: into the pools and out of them."""
        for key, verdict in verdicts.items():
            for row in self._episodes.judge(key, verdict).tolist():
                if verdict is Verdict.DISCARD:
                    for pool in self.pools.values():
                        pool.discard(row)
                elif self._next_slot[row] >= 0:
                    self._offer(row)

    def newest_episode(self) -> EpisodeRows | None:
        """Return the newest episode that has ended, demonstrations apart; None before the first."""
        return self._episodes.newest()

    def ends(self, rows: Array) -> Array:
        """Return where the episodes of `rows` ended; -1 where one did not succeed, not yet, or has lost steps.

        Whether it did is what the person said of its last step, else the classifier, else the environment.
        """
        last = rows
        while ((following := self._next_row[last]) >= 0).any():
            last = np.where(following >= 0, following, last)
        view = self.facts.view(last)
        said = np.where(np.isnan(view["reward/human"]), view["reward/classifier"], view["reward/human"])
        succeeded = np.where(np.isnan(said), view["success"], (said > 0) & view["terminated"])
        return np.where(succeeded, self._next_slot[last], -1)
