"""Replay buffer: observations stored once, transitions refer to them by number, three pools to draw from."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.data.step import Segment, Step
from robot_hil.errors import ConfigError, SpecError
from robot_hil.replay.columns import NO_ONSET, VERDICT_CODES, Columns, ColumnView, make_columns, write_columns
from robot_hil.replay.episodes import EpisodeIndex, EpisodeRows
from robot_hil.replay.frames import FrameStore
from robot_hil.replay.rows import RowSet
from robot_hil.replay.sampling import POOLS, Batch, RewardView, View, share_out

_LOG = logging.getLogger(__name__)
_ONSET_HORIZON = 64  # steps before an intervention that are told how far away it was
_FAIL, _DISCARD = VERDICT_CODES[Verdict.FAIL], VERDICT_CODES[Verdict.DISCARD]


@dataclass(slots=True)
class _Track:
    """Where one actor is in its stream."""

    position: tuple[int, int, int]
    """(epoch, episode_id, step_index) of the newest step."""
    slot: int
    serial: int
    ended: bool


class ReplayBuffer:
    """Steps in, batches out; one thread may add while another samples.

    A step is written into a slot: its observation into the frame store, its facts into columns. Row and slot are the
    same number. The observation that ends an episode takes a slot of its own that is no row. A row can be sampled once
    its successor's observation is there, found by (actor, epoch, episode, step index), never by neighbourhood.
    When all slots are taken the oldest ones leave; demonstrations never leave for other steps, and
    may fill half of the buffer.

    Threads: `_lock` guards rows and pools and is held for microseconds. The gather of a batch's images takes
    milliseconds and needs no more than that nobody overwrites a slot meanwhile; only eviction leads to that, so
    `_gather_lock` is taken by `sample`, and by `add` only when the buffer is full.
    """

    def __init__(
        self,
        observation: Mapping[str, ArraySpec],
        action_dim: int,
        capacity: int,
        transform: Callable[[Observation], Observation] | None = None,
    ) -> None:
        """Make room for `capacity` observations as `transform` returns them, or as they come without one."""
        if capacity < 4:
            raise ConfigError(f"replay capacity is {capacity}; give at least 4, usually 20,000 or more.")
        self._action_dim = action_dim
        self._capacity = capacity
        self._transform = transform
        self._frames = FrameStore(observation, capacity)
        self._columns = make_columns(capacity, action_dim)
        self._episodes = EpisodeIndex(self._columns)
        self._previous = np.full(capacity, -1, np.int32)
        self._serial = np.full(capacity, -1, np.int64)
        self._weight: Array | None = None
        self._pools = {name: RowSet(capacity) for name in POOLS}
        self._age: dict[bool, deque[int]] = {True: deque(), False: deque()}  # slots, oldest first, by "is a demo"
        self._free = 0  # slots from here on were never used
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._lock = threading.Lock()
        self._gather_lock = threading.Lock()
        self._counters = dict.fromkeys(("added", "refused", "gaps", "evicted", "no_final_obs"), 0)

    @property
    def capacity(self) -> int:
        """Number of observations that fit."""
        return self._capacity

    @property
    def sizes(self) -> dict[str, int]:
        """Rows that can be sampled now, by pool."""
        return {name: len(pool) for name, pool in self._pools.items()}

    @property
    def counters(self) -> dict[str, int]:
        """Steps added, refused (twice or too late), gaps in numbering, slots evicted, ends without `final_obs`."""
        return dict(self._counters)

    @property
    def bytes_per_slot(self) -> int:
        """Memory of one observation with its facts."""
        columns = [*self._columns.values(), self._previous, self._serial]
        pools = len(POOLS) * 2 * 4  # row and place, int32 each
        age = 8 + 32  # an entry of a deque and the integer it refers to
        facts = sum(c.nbytes // self._capacity for c in columns) + self._episodes.bytes_per_row
        return self._frames.slot_bytes + facts + pools + age

    def columns(self, rows: Array) -> Columns:
        """Return a lazy view of the facts of `rows`."""
        return ColumnView(self._columns, rows)

    def rows(self, pool: str) -> Array:
        """Return a copy of the rows in `pool` that can be sampled, int32 (n,)."""
        with self._lock:
            return self._pools[pool].rows.copy()

    # Adding ----------------------------------------------------------------------------------------------------

    def add(self, step: Step, source: str = "") -> bool:
        """Store `step`; return False when it came twice or too late, which is counted and changes nothing.

        `source` tells apart logs in which the same actor counts from the start again, e.g. demonstrations
        of another run. A step that does not match the specification raises `SpecError` and changes nothing.
        """
        position = (step.epoch, step.episode_id, step.step_index)
        track = self._tracks.get((source, step.actor_id))
        same_episode = track is not None and track.position[:2] == position[:2]
        if track is not None and (position <= track.position or (same_episode and track.ended)):
            self._counters["refused"] += 1
            return False
        obs = self._prepare(step.obs)
        final = None if step.final_obs is None else self._prepare(step.final_obs)
        self._check_actions(step)
        is_demo = step.segment is Segment.DEMO
        row = self._take_slot(is_demo)
        final_slot = None if final is None else self._take_slot(is_demo, pending=1)
        self._frames.write(row, obs)
        if final is not None and final_slot is not None:
            self._frames.write(final_slot, final)
        with self._lock:
            self._enter(row, step, is_demo)
            self._episodes.enter(row, step, source)
            follows = track is not None and same_episode and position[2] == track.position[2] + 1
            if follows and track is not None and self._serial[track.slot] == track.serial:
                self._link(track.slot, row, is_row=True)
            elif not follows and step.step_index > 0:
                self._counters["gaps"] += 1
            if final_slot is not None:
                self._enter(final_slot, None, is_demo)
                self._link(row, final_slot, is_row=False)
            elif step.is_last:
                self._counters["no_final_obs"] += 1
            if step.onset:
                self._mark_before(row)
        self._tracks[source, step.actor_id] = _Track(position, row, int(self._serial[row]), step.is_last)
        return True

    def _prepare(self, obs: Observation) -> Observation:
        prepared = obs if self._transform is None else self._transform(obs)
        self._frames.validate(prepared)
        return prepared

    def _check_actions(self, step: Step) -> None:
        for name in ("action_executed", "action_policy", "action_human", "authority"):
            if getattr(step, name).shape != (self._action_dim,):
                raise SpecError(f"{name} has shape {getattr(step, name).shape}; expected ({self._action_dim},).")
        if not np.isfinite(step.action_executed).all():
            raise SpecError(f"action_executed is {step.action_executed}; what was sent to a robot is never NaN.")

    def _take_slot(self, is_demo: bool, pending: int = 0) -> int:
        """Return a slot nobody refers to, evicting the oldest if need be; `pending` were taken for the same step."""
        crowded = is_demo and len(self._age[True]) + pending >= self._capacity // 2
        if not crowded and self._free < self._capacity:
            self._free += 1
            return self._free - 1
        with self._gather_lock, self._lock:
            slot = self._age[crowded].popleft()
            self._evict(slot)
            return slot

    def _evict(self, slot: int) -> None:
        """Forget what is in `slot`; the row before it loses its successor."""
        before, after = int(self._previous[slot]), int(self._columns["next_slot"][slot])
        for row in (slot, before):
            if row >= 0:
                for pool in self._pools.values():
                    pool.discard(row)
                self._columns["next_slot"][row] = self._columns["next_row"][row] = -1
        if after >= 0:
            self._previous[after] = -1
        self._serial[slot] = -1
        self._episodes.forget(slot)
        self._counters["evicted"] += 1

    def _enter(self, slot: int, step: Step | None, is_demo: bool) -> None:
        """Make `slot` known; a final observation has no step."""
        self._previous[slot] = self._columns["next_slot"][slot] = self._columns["next_row"][slot] = -1
        self._age[is_demo].append(slot)
        # Tells a slot that was used again from its former self; a final observation is never continued.
        self._serial[slot] = self._counters["added"] if step is not None else -1
        if step is not None:
            write_columns(self._columns, slot, step)
            if self._weight is not None:
                self._weight[slot] = 1.0
            self._counters["added"] += 1

    def _link(self, row: int, successor: int, is_row: bool) -> None:
        """Make `row` ready for sampling: its next observation lies in `successor`."""
        columns = self._columns
        columns["next_slot"][row] = successor
        self._previous[successor] = row
        if is_row:
            columns["next_row"][row] = successor
            columns["handover"][row] = columns["is_human"][row] != columns["is_human"][successor]
        self._offer(row)

    def _offer(self, row: int) -> None:
        """Put `row`, whose successor is there, into its pools; one of a discarded episode into none."""
        columns = self._columns
        if columns["verdict"][row] == _DISCARD:
            return
        if columns["segment"][row] == Segment.DEMO:
            self._pools["demo"].add(row)
        else:
            self._pools["online"].add(row)
            if columns["is_human"][row]:
                self._pools["intervention"].add(row)

    def _mark_before(self, onset: int) -> None:
        """Tell the policy's steps before an intervention how many steps away it was."""
        row, distance = int(self._previous[onset]), 1
        while row >= 0 and distance <= _ONSET_HORIZON and not self._columns["is_human"][row]:
            self._columns["steps_to_onset"][row] = min(distance, NO_ONSET)
            row, distance = int(self._previous[row]), distance + 1

    # Episodes --------------------------------------------------------------------------------------------------

    def judge(self, verdicts: Mapping[EpisodeKey, Verdict]) -> None:
        """See these episodes of the run's own log in this light from the next batch on, NONE as recorded again.

        Their steps may be here, come later or never; see `Verdict` and `ColumnView` for what changes. The facts stay.
        """
        with self._lock:
            for key, verdict in verdicts.items():
                for row in self._episodes.judge(key, verdict).tolist():
                    if verdict is Verdict.DISCARD:
                        for pool in self._pools.values():
                            pool.discard(row)
                    elif self._columns["next_slot"][row] >= 0:
                        self._offer(row)

    def newest_episode(self) -> EpisodeRows | None:
        """Return the newest episode that has ended, demonstrations apart; None before the first."""
        with self._lock:
            return self._episodes.newest()

    def observations(self, rows: Array, names: Collection[str]) -> Batch:
        """Return the stored arrays `names` of some rows as `obs/<name>`, (n, ...), their first variants."""
        found = self.empty_batch(len(rows), {"obs": names})
        with self._gather_lock:
            self._frames.gather(self._frames.first(rows, names), {name: found[f"obs/{name}"] for name in names})
        return found

    # Sampling --------------------------------------------------------------------------------------------------

    def set_weights(self, rows: Array, weights: Array) -> None:
        """Draw `rows` in proportion to `weights` (>= 0) from now on, within each pool; every row begins with 1."""
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ConfigError("sampling weights must be finite and >= 0.")
        with self._lock:
            if self._weight is None:
                self._weight = np.ones(self._capacity, np.float32)
            self._weight[rows] = weights
            for pool in self._pools.values():
                pool.forget_weights()

    def rewrite(self, name: str, make: Callable[[Mapping[str, Array]], Array], chunk: int = 1) -> None:
        """Replace array `name` of all stored observations by `make(arrays of up to chunk of them)`, (n, *full_shape).

        Give a `chunk` above 1 only where `make` rounds alike for one and for many: see `FrameStore.rewrite`.
        """
        if chunk < 1:
            raise ConfigError(f"cannot rewrite {chunk} observations at a time; give at least 1.")
        with self._gather_lock, self._lock:
            self._frames.rewrite(name, self._free, make, chunk)

    def empty_batch(self, batch_size: int, reads: Mapping[str, Collection[str]] | None = None) -> Batch:
        """Return the observation arrays of a batch, for `sample(out=...)` to fill again and again.

        `reads` names the arrays wanted of `obs`, `next_obs` and `end`, the episode's last observation; what is not
        wanted is not read. The default is all of `obs` and `next_obs`.
        """
        arrays: Batch = {}
        if reads is None:
            reads = {"obs": self._frames.names, "next_obs": self._frames.names}
        for prefix, names in reads.items():
            arrays |= {f"{prefix}/{name}": a for name, a in self._frames.empty_batch(batch_size, names).items()}
        return arrays

    def sample(
        self,
        rng: np.random.Generator,
        fractions: Mapping[str, float],
        batch_size: int,
        n_step: int,
        gamma: float,
        reward_view: RewardView,
        aux_view: Callable[[Columns], Mapping[str, Array]] | None = None,
        out: Batch | None = None,
        parts: int = 1,
    ) -> Batch:
        """Draw a batch (see `Batch`), uniformly or by weight within each pool, ordered by pool.

        Of arrays with variants each row gets one, drawn for `obs`, `next_obs` and `end` independently.

        With `parts` > 1 the batch is that many minibatches one after the other, each with its share of every pool.
        Equal generator, equal contents: equal batch. Raises `StorageError` when the pools asked for are empty.
        `out`, from `empty_batch`, receives the observations; without it new arrays are made.
        """
        if batch_size < 1 or parts < 1 or batch_size % parts:
            raise ConfigError(f"cannot draw {batch_size} rows as {parts} equal minibatches.")
        target = self.empty_batch(batch_size) if out is None else out
        with self._gather_lock:
            with self._lock:
                rows, pool = self._draw(rng, fractions, batch_size, parts)
                batch, next_slots = self._facts(rows, n_step, gamma, reward_view)
                if aux_view is not None:
                    batch |= aux_view(self.columns(rows))
            batch |= {"pool": pool, "row": rows}
            wants_end = any(key.startswith("end/") for key in target)
            ends = self._ends(rows) if wants_end else rows
            for prefix, slots in (("obs", rows), ("next_obs", next_slots), ("end", ends)):
                wanted = [name for name in self._frames.names if f"{prefix}/{name}" in target]
                places = self._frames.draw(rng, slots, wanted)
                self._frames.gather(places, {name: target[f"{prefix}/{name}"] for name in wanted})
        if wants_end:
            batch["end_known"] = (ends >= 0).astype(np.float32)
        return {key: target[key] for key in target if key.startswith(("obs/", "next_obs/", "end/"))} | batch

    def sample_view(
        self,
        view: View,
        rng: np.random.Generator,
        batch_size: int,
        gamma: float,
        step: int,
        out: Batch | None = None,
        parts: int = 1,
    ) -> Batch:
        """Draw the batch that `view` (a method) wants after `step` environment steps, its weights included."""
        shares = view.share(self.sizes, step)
        batch = self.sample(rng, shares, batch_size, view.n_step, gamma, view.reward, view.aux, out, parts)
        batch["critic_weight"], batch["actor_weight"] = view.weights(batch)
        return batch

    def _draw(
        self, rng: np.random.Generator, fractions: Mapping[str, float], batch_size: int, parts: int
    ) -> tuple[Array, Array]:
        counts = share_out(fractions, self.sizes, batch_size, rng)
        drawn: list[Array] = []
        for name, count in counts.items():
            pool = self._pools[name]
            if count and self._weight is not None:
                drawn.append(pool.draw_weighted(rng, count, self._weight))
            elif count:
                drawn.append(pool.draw(rng, count))
        rows = np.concatenate(drawn)
        pools = np.repeat(np.arange(len(POOLS), dtype=np.uint8), list(counts.values()))
        # Dealt like cards: row i goes to minibatch i modulo `parts`, and the minibatches then follow one another.
        order = np.arange(batch_size).reshape(-1, parts).T.ravel()
        return rows[order], pools[order]

    def _facts(self, rows: Array, n_step: int, gamma: float, reward_view: RewardView) -> tuple[Batch, Array]:
        """Return everything of the batch but observations, and the slots of the next observations."""
        total, discount, last = self._chain(rows, n_step, gamma, reward_view)
        columns = self.columns(rows)
        executed, human = columns["action_executed"], columns["action_human"]
        is_human = columns["is_human"]
        is_demo = columns["segment"] == Segment.DEMO
        bad_example = is_demo & (columns["verdict"] == _FAIL)
        imitate = is_human & ~columns["release_tail"] & ~bad_example  # nobody: nothing to imitate
        ones = np.ones(len(rows), np.float32)
        batch = {
            "action": executed,
            "action_human": np.where(np.isnan(human), executed, human),
            "reward": total.astype(np.float32),
            "discount": discount.astype(np.float32),
            "is_human": is_human.astype(np.float32),
            "imitate": imitate.astype(np.float32),
            "critic_weight": ones,
            "actor_weight": ones.copy(),
        }
        return batch, self._columns["next_slot"][last]

    def _ends(self, rows: Array) -> Array:
        """Return where the episodes of `rows` ended; -1 where one did not succeed, not yet, or has lost steps.

        Needs no `_lock`, which it would hold too long: without eviction a step only ever gains a successor.
        """
        columns, last = self._columns, rows
        while ((following := columns["next_row"][last]) >= 0).any():
            last = np.where(following >= 0, following, last)
        return np.where(self.columns(last)["success"], columns["next_slot"][last], -1)

    def _chain(self, rows: Array, n_step: int, gamma: float, reward_view: RewardView) -> tuple[Array, Array, Array]:
        """Sum up to `n_step` rewards from `rows` on; return sums, bootstrap factors and the last row of each sum."""
        next_row, next_slot = self._columns["next_row"], self._columns["next_slot"]
        total, discount, scale = np.zeros(len(rows)), np.zeros(len(rows)), 1.0
        current, going = rows, np.ones(len(rows), bool)
        for hop in range(n_step):
            reward, mask, cut = reward_view(self.columns(current))
            total += np.where(going, scale * reward, 0.0)
            scale *= gamma
            discount = np.where(going, scale * mask, discount)
            if hop + 1 < n_step:
                following = next_row[current]
                # A successor whose own successor has not come yet cannot end a sum: there is nothing to bootstrap from.
                going = going & ~cut & (mask > 0) & (following >= 0) & (next_slot[following] >= 0)
                current = np.where(going, following, current)
        return total, discount, current
