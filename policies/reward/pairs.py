"""The critic of progress: which of two frames of an episode is nearer to the goal, and by how much."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.policies.base import Group, Trainer
from robot_hil.policies.nets.mlp import MlpSpec, init_mlp, mlp
from robot_hil.policies.ops import A, Batch, Ops, Params
from robot_hil.policies.reward.integration import LARGEST
from robot_hil.policies.reward.network import ENCODER, Ensemble, shifted

PAIR, DONE = "pair", "done"
_BEND = 0.1
"""Error from which Huber's loss grows linearly: a person dawdles, and labels by time are wrong there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairCritic:
    """Delta of progress for pairs of frames, and whether a single frame is the goal; antisymmetric by construction.

    c(i, j) = tanh(f(i, j) - f(j, i)): what is gained one way is lost on the way back, whatever f has learnt, and a
    frame compared with itself is no progress.
    """

    ensemble: Ensemble
    hidden: tuple[int, ...]
    goal: int
    """Numbers in a goal, e.g. an instruction's embedding; 0 where there is one task."""
    rate: float
    shift: int

    @property
    def groups(self) -> dict[str, Group]:
        """What is trained by which optimiser."""
        # not the bias of the last layer: it cancels, and Adam would make steps of its rounding errors
        names = (f"{ENCODER}/", f"{PAIR}/dense", f"{PAIR}/out/kernel", f"{DONE}/")
        return {"progress": Group(names=names, rate=self.rate)}

    @property
    def counters(self) -> tuple[str, ...]:
        """Nothing is counted."""
        return ()

    def init(self, rng: np.random.Generator) -> dict[str, Array]:
        """Return fresh parameters."""
        params = self.ensemble.init(rng)
        members = self.ensemble.members
        return (
            params | init_mlp(PAIR, self._pair, rng, members=members) | init_mlp(DONE, self._done, rng, members=members)
        )

    @property
    def _pair(self) -> MlpSpec:
        return MlpSpec(inputs=2 * self.ensemble.encoded + self.goal, outputs=1, hidden=self.hidden)

    @property
    def _done(self) -> MlpSpec:
        return MlpSpec(inputs=self.ensemble.encoded + self.goal, outputs=1, hidden=self.hidden)

    def encode(self, nn: Ops, params: Params, frames: Batch) -> A:
        """Return (K, n, encoded)."""
        return self.ensemble.encode(nn, params, frames)

    def compare(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return deltas (K, n) for encodings `before` and `after` (K, n, encoded) and `goal` (n, g)."""
        before, after = batch["before"], batch["after"]
        ways = [self._score(nn, params, PAIR, (a, b), batch["goal"]) for a, b in ((before, after), (after, before))]
        return nn.tanh(ways[0] - ways[1])

    def finished(self, nn: Ops, params: Params, batch: Batch) -> A:
        """Return log-odds (K, n) that encodings `after` (K, n, encoded) are the goal."""
        return self._score(nn, params, DONE, (batch["after"],), batch["goal"])

    def update(self, nn: Ops, trainer: Trainer, batch: Batch) -> dict[str, A]:
        """Take one step on E episodes of n frames each, and all their pairs.

        Args:
            nn: Operations.
            trainer: What is trained.
            batch: Frames (E * n, ...), `offset` (E * n, 2), `goal` (E, g), `delta` (E, n, n) with `delta[e, i, j]` the
                progress from i to j, `done` and its weight `done_weight` (E, n).
        """
        frames = shifted(nn, batch, self.shift)
        loss, parts = trainer.minimise("progress", partial(self._loss, nn, frames))
        return {"loss": loss / self.ensemble.members, **parts}

    def _loss(self, nn: Ops, batch: Batch, params: Params) -> tuple[A, dict[str, A]]:
        episodes, count = batch["done"].shape
        members, size = self.ensemble.members, self.ensemble.encoded
        encoded = self.encode(nn, params, batch).reshape(members, episodes, count, size)
        square = (members, episodes, count, count, size)
        before = nn.broadcast_to(encoded[:, :, :, None], square).reshape(members, -1, size)
        after = nn.broadcast_to(encoded[:, :, None], square).reshape(members, -1, size)
        goals = self._goals(nn, batch["goal"], count**2)
        score = self._score(nn, params, PAIR, (before, after), goals).reshape(members, episodes, count, count)
        error = nn.tanh(score - nn.transpose(score, (0, 1, 3, 2))) - batch["delta"]
        size_of = abs(error)
        huber = nn.where(size_of < _BEND, 0.5 * error**2, _BEND * (size_of - 0.5 * _BEND))
        odds = self._score(
            nn, params, DONE, (encoded.reshape(members, -1, size),), self._goals(nn, batch["goal"], count)
        )
        odds = odds.reshape(members, episodes, count)
        entropy = nn.mean((nn.softplus(odds) - odds * batch["done"]) * batch["done_weight"])
        progress = nn.mean(huber) / _BEND
        return members * (10.0 * progress + entropy), {"progress": progress, "done": entropy}

    def _goals(self, nn: Ops, goal: A, times: int) -> A:
        """Repeat each episode's goal (E, g) for all that is asked about it, (E * times, g)."""
        episodes = len(goal)
        return nn.broadcast_to(goal[:, None], (episodes, times, self.goal)).reshape(episodes * times, self.goal)

    def _score(self, nn: Ops, params: Params, head: str, encoded: tuple[A, ...], goal: A) -> A:
        parts = list(encoded)
        if self.goal:
            parts.append(nn.broadcast_to(goal[None], (self.ensemble.members, *goal.shape)))
        joined = parts[0] if len(parts) == 1 else nn.concat(parts, -1)
        return mlp(nn, params, head, self._pair if head == PAIR else self._done, joined)[..., 0]


def labels(steps: Array, goal_step: int) -> Array:
    """Return the deltas between all pairs of frames of an episode that reached its goal, (n, n), antisymmetric.

    Progress is time: from i < j it is (j - i) / (T - i), the share of what remained at i, and from j back to i minus
    that (Zhai et al. 2025). Clipped to +-0.99, so that the goal is near, never certain.

    Args:
        steps: (n,) places of the frames in their episode; those after `goal_step` count as it.
        goal_step: T, the first frame of success.
    """
    at = np.minimum(steps, goal_step).astype(np.float64)
    first, second = np.minimum(at[:, None], at[None]), np.maximum(at[:, None], at[None])
    share = np.divide(second - first, goal_step - first, out=np.zeros_like(first), where=goal_step > first)
    made: Array = np.sign(at[None] - at[:, None]) * np.minimum(share, LARGEST)
    return made
