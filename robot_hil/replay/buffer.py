"""Replay buffer: observations stored once, transitions refer to them by number, three pools to draw from."""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from robot_hil.data.labels import EpisodeKey, Verdict
from robot_hil.data.specs import Array, ArraySpec, Observation
from robot_hil.data.step import Step
from robot_hil.errors import ConfigError
from robot_hil.replay.columns import Columns
from robot_hil.replay.draw import draw_rows, facts_of, followed
from robot_hil.replay.episodes import EpisodeRows
from robot_hil.replay.frames import Frames, HostFrames, places, validate
from robot_hil.replay.ledger import Ledger
from robot_hil.replay.sampling import Batch, RewardView, View


class ReplayBuffer:
    """Steps in, batches out; one thread may add while others sample.

    A step is written into a slot: its observation into the frames, its facts into the ledger. Row and slot are the
    same number. The observation that ends an episode takes a slot of its own that is no row. See `Ledger` for who
    follows whom and who leaves.

    Threads: `_lock` guards the ledger, and the frames of steps that are entered in it. Gathering a batch's images takes
    milliseconds and needs no more than that nobody overwrites these slots meanwhile: they are pinned, and a step that
    would take a pinned slot waits for that batch, and the next batch for it. `_adding` lets one group in at a time.
    """

    def __init__(
        self,
        observation: Mapping[str, ArraySpec],
        action_dim: int,
        capacity: int,
        transform: Callable[[Observation], Observation] | None = None,
        frames: Callable[[Mapping[str, ArraySpec], int], Frames] = HostFrames,
    ) -> None:
        """Make room for `capacity` observations as `transform` returns them, or as they come without one.

        `frames` decides where they are kept, and of which library a batch's observations are arrays.
        """
        if capacity < 4:
            raise ConfigError(f"replay capacity is {capacity}; give at least 4, usually 20,000 or more.")
        self._specs = dict(observation)
        self._capacity = capacity
        self._transform = transform
        self._frames = frames(self._specs, capacity)
        self._ledger = Ledger(capacity, action_dim)
        self._weight: Array | None = None
        self._adding = threading.Lock()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._pins = np.zeros(capacity, np.uint8)
        self._readers = 0
        self._writer_waits = False

    @property
    def capacity(self) -> int:
        """Number of observations that fit."""
        return self._capacity

    @property
    def sizes(self) -> dict[str, int]:
        """Rows that can be sampled now, by pool."""
        return {name: len(pool) for name, pool in self._ledger.pools.items()}

    @property
    def counters(self) -> dict[str, int]:
        """Steps added, refused (twice or too late), gaps in numbering, slots evicted, ends without `final_obs`."""
        return dict(self._ledger.counters)

    @property
    def bytes_per_slot(self) -> int:
        """Memory of one observation with its facts."""
        return self._frames.slot_bytes + self._ledger.row_bytes + self._pins.itemsize

    def columns(self, rows: Array) -> Columns:
        """Return the facts of `rows`, as they are now."""
        return self._ledger.facts.view(rows)

    def rows(self, pool: str) -> Array:
        """Return a copy of the rows in `pool` that can be sampled, int32 (n,)."""
        with self._lock:
            return self._ledger.pools[pool].rows.copy()

    # Adding ----------------------------------------------------------------------------------------------------

    def add(self, step: Step, source: str = "") -> bool:
        """Store `step`; return False when it came twice or too late, which is counted and changes nothing.

        `source` tells apart logs in which the same actor counts from the start again, e.g. demonstrations
        of another run. A step that does not match the specification raises `SpecError` and changes nothing.
        """
        return self.add_all((step,), source)[0]

    def add_all(self, steps: Sequence[Step], source: str = "") -> list[bool]:
        """Store steps as `add` would one after the other, in two thirds of the time; return which were stored.

        If one does not match the specification none is stored. No batch begins meanwhile: give some tens at a time.
        """
        with self._adding:
            ready = [self._ready(step, source) for step in steps]
            stored: list[bool] = []
            writes: list[tuple[int, Observation]] = []
            with self._lock:
                for step, record, seen in ready:
                    slots = self._ledger.enter(step, source, record, self._free)
                    stored.append(bool(slots))
                    writes += zip(slots, seen, strict=False)  # none for one that is refused
                for slot, obs in writes:
                    self._frames.write(slot, obs)
                if self._weight is not None:
                    self._weight[[slot for slot, _ in writes]] = 1.0
        return stored

    def _ready(self, step: Step, source: str) -> tuple[Step, bytes, list[Observation]]:
        """Return a step with its record and what goes into its slots, of one that will be refused neither."""
        if self._ledger.is_late(step, source):
            return step, b"", []
        seen = [self._prepare(step.obs)]
        if step.final_obs is not None:
            seen.append(self._prepare(step.final_obs))
        return step, self._ledger.facts.pack(step), seen

    def _prepare(self, obs: Observation) -> Observation:
        prepared = obs if self._transform is None else self._transform(obs)
        validate(self._specs, prepared)
        return prepared

    def _free(self, slot: int) -> None:
        """Wait, `_lock` held, until nobody reads `slot`."""
        if self._pins[slot]:
            self._wait_while(lambda: bool(self._pins[slot]))

    def _wait_while(self, read: Callable[[], bool]) -> None:
        """Wait, `_lock` held, until readers have finished; new ones come later, or someone may wait forever."""
        if read():
            self._writer_waits = True
            self._changed.wait_for(lambda: not read())
            self._writer_waits = False
            self._changed.notify_all()

    # Episodes --------------------------------------------------------------------------------------------------

    def judge(self, verdicts: Mapping[EpisodeKey, Verdict]) -> None:
        """See these episodes of the run's own log in this light from the next batch on, NONE as recorded again.

        Their steps may be here, come later or never; see `Verdict` and `ColumnView` for what changes. The facts stay.
        """
        with self._lock:
            self._ledger.judge(verdicts)

    def newest_episode(self) -> EpisodeRows | None:
        """Return the newest episode that has ended, demonstrations apart; None before the first."""
        with self._lock:
            return self._ledger.newest_episode()

    def observations(self, rows: Array, names: Collection[str]) -> Batch:
        """Return the stored arrays `names` of some rows as `obs/<name>`, (n, ...), their first variants."""
        out = self.empty_batch(len(rows), {"obs": names})
        with self._reading():
            pinned = self._pin(rows)
        with self._until_unpinned(pinned):
            return self._frames.gather(places(self._specs, {"obs": rows}, out, None), out)

    def rewrite(self, name: str, make: Callable[[Mapping[str, Array]], Array], chunk: int = 1) -> None:
        """Replace array `name` of all stored observations by `make(arrays of up to chunk of them)`, (n, *full_shape).

        Give a `chunk` above 1 only where `make` rounds alike for one and for many, or where it does not matter: a
        convolution may not, and what was computed when a frame came in must come out the same, bit by bit, when a
        resumed run computes it again.
        """
        if chunk < 1:
            raise ConfigError(f"cannot rewrite {chunk} observations at a time; give at least 1.")
        with self._adding, self._lock:
            self._wait_while(lambda: self._readers > 0)
            self._frames.rewrite(name, self._ledger.used, make, chunk)

    # Sampling --------------------------------------------------------------------------------------------------

    def set_weights(self, rows: Array, weights: Array) -> None:
        """Draw `rows` in proportion to `weights` (>= 0) from now on, within each pool; every row begins with 1."""
        if not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ConfigError("sampling weights must be finite and >= 0.")
        with self._lock:
            if self._weight is None:
                self._weight = np.ones(self._capacity, np.float32)
            self._weight[rows] = weights
            for pool in self._ledger.pools.values():
                pool.forget_weights()

    def empty_batch(self, batch_size: int, reads: Mapping[str, Collection[str]] | None = None) -> Batch:
        """Return the observation arrays of a batch, for `sample(out=...)` to fill again and again.

        `reads` names the arrays wanted of `obs`, `next_obs` and `end`, the episode's last observation; what is not
        wanted is not read. The default is all of `obs` and `next_obs`. Frames of a library that cannot fill arrays
        give empty ones here: they only say what is wanted.
        """
        if reads is None:
            reads = {"obs": tuple(self._specs), "next_obs": tuple(self._specs)}
        return {
            f"{prefix}/{name}": self._frames.empty(batch_size, name)
            for prefix, names in reads.items()
            for name in self._specs
            if name in names
        }

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
        window: int = 1,
    ) -> Batch:
        """Draw a batch (see `Batch`), uniformly or by weight within each pool, ordered by pool.

        Of arrays with variants each row gets one, drawn for `obs`, `next_obs` and `end` independently.
        With `parts` > 1 the batch is that many minibatches one after the other, each with its share of every pool.
        With `window` > 1 it holds runs of that many steps, of which the first is drawn; see `followed`.
        Equal generator, equal contents: equal batch. Raises `StorageError` when the pools asked for are empty.
        `out`, from `empty_batch`, receives the observations; without it new arrays are made.
        """
        if min(batch_size, parts, window) < 1 or batch_size % (parts * window):
            raise ConfigError(f"cannot draw {batch_size} rows as {parts} equal minibatches of runs of {window} steps.")
        target = self.empty_batch(batch_size) if out is None else out
        ledger = self._ledger
        with self._reading():
            rows, pool = draw_rows(ledger.pools, self._weight, rng, fractions, batch_size // window, parts)
            within = None
            if window > 1:
                rows, within = followed(ledger.facts, rows, window)
                pool = np.repeat(pool, window)
            batch, next_slots = facts_of(ledger.facts, rows, n_step, gamma, reward_view, aux_view)
            batch |= {"pool": pool, "row": rows} | ({} if within is None else {"within": within})
            slots = {"obs": rows, "next_obs": next_slots}
            if any(key.startswith("end/") for key in target):
                ends = ledger.ends(rows)
                slots["end"] = np.maximum(ends, 0)
                batch["end_known"] = (ends >= 0).astype(np.float32)
            pinned = self._pin(*slots.values())
        with self._until_unpinned(pinned):
            return self._frames.gather(places(self._specs, slots, target, rng), target) | batch

    def sample_view(
        self,
        view: View,
        rng: np.random.Generator,
        batch_size: int,
        gamma: float,
        step: int,
        out: Batch | None = None,
        parts: int = 1,
        window: int = 1,
        notes: Callable[[Array], Mapping[str, Array]] | None = None,
    ) -> Batch:
        """Draw the batch that `view` (a method) wants after `step` environment steps, its weights included.

        `notes` gives further entries for the rows drawn, before the view is asked for weights.
        """
        shares = view.share(self.sizes, step)
        batch = self.sample(rng, shares, batch_size, view.n_step, gamma, view.reward, view.aux, out, parts, window)
        if notes is not None:
            batch |= notes(batch["row"])
        batch["critic_weight"], batch["actor_weight"] = view.weights(batch)
        return batch

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold `_lock`, after a writer that waits."""
        with self._lock:
            self._changed.wait_for(lambda: not self._writer_waits)
            yield

    def _pin(self, *slots: Array) -> Array:
        """Keep steps from overwriting `slots` until they are unpinned; `_lock` must be held."""
        pinned = np.concatenate(slots)
        self._pins[pinned] += 1
        self._readers += 1
        return pinned

    @contextmanager
    def _until_unpinned(self, pinned: Array) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._pins[pinned] -= 1
                self._readers -= 1
                self._changed.notify_all()
