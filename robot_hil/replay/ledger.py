"""What the replay knows of every slot apart from the observation in it: facts, successors, pools, age."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


@dataclass(slots=True)
class _Stream:
    """The newest step of an actor in one log."""

    epoch: int = -1
    episode_id: int = -1
    step_index: int = -1
    is_last: bool = True
    is_human: bool = False
    slot: int = -1
    """Where it is; -1 when it has left."""
    episode: int = -1
    """Number of its episode in the index."""


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
        self._pools = tuple(self.pools.values())
        self.counters = dict.fromkeys(("added", "refused", "gaps", "evicted", "no_final_obs"), 0)
        self.used = 0
        """Slots from here on were never used."""
        self._episodes = EpisodeIndex(self.columns)
        # Single numbers come quicker from a memoryview.
        self._next_slot, self._next_row = self.columns["next_slot"].data, self.columns["next_row"].data
        self._segment, self._is_human = self.columns["segment"].data, self.columns["is_human"].data
        self._verdict = self.columns["verdict"].data
        self._previous = np.full(capacity, -1, np.int32).data
        self._ages = {is_demo: SlotQueue(capacity) for is_demo in (True, False)}
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._open: dict[int, _Stream] = {}  # the slots of their newest steps

    @property
    def row_bytes(self) -> int:
        """Memory of one slot."""
        ages = sum(queue.bytes_per_row for queue in self._ages.values())
        pools = sum(pool.bytes_per_row for pool in self._pools)
        return self.facts.row_bytes + self._episodes.bytes_per_row + self._previous.itemsize + ages + pools

    def is_late(self, step: Step, source: str) -> bool:
        """Tell that `step` comes twice or too late."""
        newest = self._streams.get((source, step.actor_id))
        if newest is None:
            return False
        if step.epoch != newest.epoch:
            return step.epoch < newest.epoch
        if step.episode_id != newest.episode_id:
            return step.episode_id < newest.episode_id
        return newest.is_last or step.step_index <= newest.step_index

    def enter(
        self, step: Step, source: str, record: bytes, free: Callable[[int], None] = lambda slot: None
    ) -> tuple[int, ...]:
        """Make `step` known; return the slot for its observation, and a second one for its `final_obs` if there.

        No slot, and counted, when it comes twice or too late. `record` is what `FactTable.pack` made of it. A slot
        that is in use is taken after `free(slot)`.
        """
        if self.is_late(step, source):
            self.counters["refused"] += 1
            return ()
        key = (source, step.actor_id)
        if (stream := self._streams.get(key)) is None:
            stream = self._streams[key] = _Stream()
        is_demo = step.segment == _DEMO
        row = self._take(is_demo, free)
        final = None if step.final_obs is None else self._take(is_demo, free, pending=1)

        self.facts.put(row, record)
        self._previous[row] = -1
        self._ages[is_demo].push(row)
        self.counters["added"] += 1
        self._follow(stream, step, source, row)
        if final is not None:
            self._previous[final] = self._next_slot[final] = self._next_row[final] = -1
            self._ages[is_demo].push(final)
            self._link(row, final)
        elif stream.is_last:
            self.counters["no_final_obs"] += 1
        if step.onset:
            self._mark_before(row)
        return (row,) if final is None else (row, final)

    # Slots -----------------------------------------------------------------------------------------------------

    def _take(self, is_demo: bool, free: Callable[[int], None], pending: int = 0) -> int:
        """Return a slot nobody refers to any more; `pending` slots were taken for the same step."""
        if is_demo and len(self._ages[True]) + pending >= self._capacity // 2:
            leaving = self._ages[True]
        elif self.used < self._capacity:
            self.used += 1
            return self.used - 1
        else:
            leaving = self._ages[False]
        free(leaving.oldest)
        slot = leaving.pop()
        self._evict(slot)
        return slot

    def _evict(self, slot: int) -> None:
        """Forget what is in `slot`; the row before it loses its successor."""
        before, after = self._previous[slot], self._next_slot[slot]
        for row in (slot, before):
            if row >= 0:
                for pool in self._pools:
                    pool.discard(row)
                self._next_slot[row] = self._next_row[row] = -1
        if after >= 0:
            self._previous[after] = -1
        if (stream := self._open.pop(slot, None)) is not None:
            stream.slot = -1
        self._episodes.forget(slot)
        self.counters["evicted"] += 1

    # Links -----------------------------------------------------------------------------------------------------

    def _follow(self, stream: _Stream, step: Step, source: str, row: int) -> None:
        """Put `step` in `row` after the newest of its stream, and in its place."""
        is_human, before = bool(self._is_human[row]), stream.slot
        same = step.episode_id == stream.episode_id and step.epoch == stream.epoch
        if not same:
            stream.epoch, stream.episode_id = step.epoch, step.episode_id
            stream.episode = self._episodes.number((step.actor_id, step.epoch, step.episode_id), source)
        self._episodes.enter(row, stream.episode, step)
        if same and step.step_index == stream.step_index + 1:
            if before >= 0:
                self._next_row[before] = row
                if stream.is_human != is_human:
                    self.columns["handover"][before] = True
                self._link(before, row)
        elif step.step_index > 0:
            self.counters["gaps"] += 1
        self._open.pop(before, None)
        self._open[row] = stream
        stream.step_index, stream.slot = step.step_index, row
        stream.is_last, stream.is_human = step.is_last, is_human

    def _link(self, row: int, successor: int) -> None:
        """Make `row` ready for sampling: its next observation lies in `successor`."""
        self._next_slot[row] = successor
        self._previous[successor] = row
        self._offer(row)

    def _offer(self, row: int) -> None:
        """Put `row`, whose successor is there, into its pools; one of a discarded episode into none."""
        if self._verdict[row] == _DISCARD:
            return
        demo, intervention, online = self._pools
        if self._segment[row] == _DEMO:
            demo.add(row)
        else:
            online.add(row)
            if self._is_human[row]:
                intervention.add(row)

    def _mark_before(self, onset: int) -> None:
        """Tell the policy's steps before an intervention how many steps away it was."""
        row, distance = self._previous[onset], 1
        while row >= 0 and distance <= _ONSET_HORIZON and not self._is_human[row]:
            self.columns["steps_to_onset"][row] = min(distance, NO_ONSET)
            row, distance = self._previous[row], distance + 1

    # Episodes --------------------------------------------------------------------------------------------------

    def judge(self, verdicts: Mapping[EpisodeKey, Verdict]) -> None:
        """See these episodes in this light: into the pools and out of them."""
        for key, verdict in verdicts.items():
            for row in self._episodes.judge(key, verdict).tolist():
                if verdict is Verdict.DISCARD:
                    for pool in self._pools:
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
        while ((following := self.columns["next_row"][last]) >= 0).any():
            last = np.where(following >= 0, following, last)
        view = self.facts.view(last)
        said = np.where(np.isnan(view["reward/human"]), view["reward/classifier"], view["reward/human"])
        succeeded = np.where(np.isnan(said), view["success"], (said > 0) & view["terminated"])
        return np.where(succeeded, self.columns["next_slot"][last], -1)
