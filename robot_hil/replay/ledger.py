"""What the replay knows of every slot apart from the observation in it: facts, successors, pools, age."""

from collections.abc import Mapping

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
        self._previous = np.full(capacity, -1, np.int32)
        self._serial = np.full(capacity, -1, np.int64)  # tells a slot that was used again from its former self
        self._ages = {is_demo: SlotQueue(capacity) for is_demo in (True, False)}
        # Newest step of every actor's stream: (epoch, episode_id, step_index), slot, serial, whether it was the last.
        self._newest: dict[tuple[str, str], tuple[tuple[int, int, int], int, int, bool]] = {}

    @property
    def row_bytes(self) -> int:
        """Memory of one slot."""
        links = self._previous.itemsize + self._serial.itemsize
        ages = sum(queue.bytes_per_row for queue in self._ages.values())
        pools = sum(pool.bytes_per_row for pool in self.pools.values())
        return self.facts.row_bytes + self._episodes.bytes_per_row + links + ages + pools

    def refuses(self, step: Step, source: str) -> bool:
        """Tell, and count, that `step` comes twice or too late."""
        newest = self._newest.get((source, step.actor_id))
        if newest is None:
            return False
        position, _, _, ended = newest
        late = (step.epoch, step.episode_id, step.step_index) <= position
        late = late or (ended and (step.epoch, step.episode_id) == position[:2])
        self.counters["refused"] += late
        return late

    # Slots -----------------------------------------------------------------------------------------------------

    def due(self, is_demo: bool, pending: int = 0) -> int | None:
        """Return the slot that `take` will evict, None when there is a free one."""
        if (kind := self._evicts(is_demo, pending)) is None:
            return None
        return self._ages[kind].oldest

    def take(self, is_demo: bool, pending: int = 0) -> int:
        """Return a slot nobody refers to, evicting the oldest if need be; `pending` were taken for the same step."""
        if (kind := self._evicts(is_demo, pending)) is None:
            self.used += 1
            return self.used - 1
        slot = self._ages[kind].pop()
        self._evict(slot)
        return slot

    def _evicts(self, is_demo: bool, pending: int) -> bool | None:
        """Return which kind leaves, demonstrations or not; None when a slot is free."""
        if is_demo and len(self._ages[True]) + pending >= self._capacity // 2:
            return True
        return None if self.used < self._capacity else False

    def _evict(self, slot: int) -> None:
        """Forget what is in `slot`; the row before it loses its successor."""
        before, after = int(self._previous[slot]), int(self._next_slot[slot])
        for row in (slot, before):
            if row >= 0:
                for pool in self.pools.values():
                    pool.discard(row)
                self._next_slot[row] = self._next_row[row] = -1
        if after >= 0:
            self._previous[after] = -1
        self._serial[slot] = -1
        self._episodes.forget(slot)
        self.counters["evicted"] += 1

    # Steps -----------------------------------------------------------------------------------------------------

    def enter(self, step: Step, source: str, record: bytes, row: int, final: int | None) -> None:
        """Make `step` known, whose observation is in slot `row` and the last one of its episode in slot `final`."""
        position, stream = (step.epoch, step.episode_id, step.step_index), (source, step.actor_id)
        is_demo, serial = step.segment == _DEMO, self.counters["added"]
        self.facts.put(row, record)
        self._episodes.enter(row, step, source)
        self._previous[row] = -1
        self._serial[row] = serial
        self._ages[is_demo].push(row)
        self.counters["added"] += 1

        before, slot, number, _ = self._newest.get(stream, ((-1, -1, -1), 0, -2, True))
        follows = position == (*before[:2], before[2] + 1)
        if follows and self._serial[slot] == number:
            self._next_row[slot] = row
            self.columns["handover"][slot] = self.columns["is_human"][slot] != self.columns["is_human"][row]
            self._link(slot, row)
        elif not follows and step.step_index > 0:
            self.counters["gaps"] += 1
        if final is not None:
            self._enter_final(final, is_demo)
            self._link(row, final)
        elif step.is_last:
            self.counters["no_final_obs"] += 1
        if step.onset:
            self._mark_before(row)
        self._newest[stream] = position, row, serial, step.is_last

    def _enter_final(self, slot: int, is_demo: bool) -> None:
        """Make an observation known that is no row, and is never continued."""
        self._previous[slot] = self._serial[slot] = self._next_slot[slot] = self._next_row[slot] = -1
        self._ages[is_demo].push(slot)

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
        row, distance = int(self._previous[onset]), 1
        while row >= 0 and distance <= _ONSET_HORIZON and not self.columns["is_human"][row]:
            self.columns["steps_to_onset"][row] = min(distance, NO_ONSET)
            row, distance = int(self._previous[row]), distance + 1

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
        """Return where the episodes of `rows` ended; -1 where one did not succeed, not yet, or has lost steps."""
        last = rows
        while ((following := self._next_row[last]) >= 0).any():
            last = np.where(following >= 0, following, last)
        return np.where(self.facts.view(last)["success"], self._next_slot[last], -1)
