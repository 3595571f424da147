"""What a progress critic learns from: episodes, and batches of a few frames of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from robot_hil.data.specs import Array, Observation
from robot_hil.errors import ConfigError
from robot_hil.policies.reward.config import ProgressConfig
from robot_hil.policies.reward.inputs import FrameInputs, Prepared
from robot_hil.policies.reward.pairs import labels
from robot_hil.policies.reward.split import split_episodes


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeFrames:
    """One recorded episode."""

    observations: Sequence[Observation]
    success: Array
    """Bool (n,), of every observation. Without any it is a failure: the critic learns that nothing came of it."""
    goal: Array | None = None
    """What was to be done, float32 (g,), e.g. an instruction's embedding; None where there is one task."""

    def __post_init__(self) -> None:
        if len(self.observations) != len(self.success) or len(self.success) < 2:
            raise ConfigError(
                f"an episode has {len(self.observations)} observations and {len(self.success)} success flags; "
                "give one for each, and at least two."
            )


def set_aside(episodes: Sequence[EpisodeFrames], share: float, seed: int) -> tuple[list[int], list[int]]:
    """Return which episodes to train with and which to calibrate with, some of either kind."""
    rows = [(("", 0, i), int(episode.success.any())) for i, episode in enumerate(episodes)]
    aside = {key[2] for key in split_episodes(rows, share, seed)}
    return [i for i in range(len(episodes)) if i not in aside], sorted(aside)


class Practice:
    """Prepared episodes, from which batches are drawn."""

    def __init__(self, episodes: Sequence[EpisodeFrames], inputs: FrameInputs, config: ProgressConfig) -> None:
        if not any(episode.success.any() for episode in episodes):
            raise ConfigError("no episode reaches success; a critic of progress needs demonstrations that do.")
        self._config = config
        self._prepared = [inputs.batch(episode.observations) for episode in episodes]
        self._success = [np.asarray(episode.success, bool) for episode in episodes]
        none = np.zeros(0, np.float32)
        self._goals = [none if episode.goal is None else np.asarray(episode.goal, np.float32) for episode in episodes]
        sizes = {goal.shape for goal in self._goals}
        if len(sizes) > 1 or len(self._goals[0].shape) != 1:
            raise ConfigError(f"goals have the shapes {sorted(sizes)}; give vectors of one length, or none at all.")
        self._won = [i for i, success in enumerate(self._success) if success.any()]
        self._lost = [i for i, success in enumerate(self._success) if not success.any()]

    @property
    def goal(self) -> int:
        """Numbers in a goal."""
        return len(self._goals[0])

    @property
    def vectors(self) -> Array:
        """All frames' vectors, (n, v)."""
        return np.concatenate([prepared["vectors"] for prepared in self._prepared])

    def draw(self, rng: np.random.Generator) -> Prepared:
        """Return a batch for `PairCritic.update`: some frames of a few episodes, a share of them failures."""
        config = self._config
        count, per = config.episodes, config.frames
        chosen = [self._episode(rng) for _ in range(count)]
        frames = [self._frames(episode, per, rng) for episode in chosen]
        goals = np.stack([self._goals[episode] for episode in chosen])
        delta = np.zeros((count, per, per), np.float32)
        done = np.zeros((count, per), np.float32)
        for i, (episode, at) in enumerate(zip(chosen, frames, strict=True)):
            other = self._other_goal(episode, rng)
            if other is not None:
                goals[i] = other  # towards another goal none of this is progress, and nothing of it done
            elif self._success[episode].any():
                delta[i] = labels(at, int(self._success[episode].argmax()))
                done[i] = self._success[episode][at]
        share = float(np.clip(done.mean(), 0.05, 0.95))
        return {
            **{
                name: np.concatenate([self._prepared[e][name][at] for e, at in zip(chosen, frames, strict=True)])
                for name in ("images", "vectors")
            },
            "offset": rng.integers(0, 2 * config.shift + 1, (count * per, 2), dtype=np.int32),
            "goal": goals,
            "delta": delta,
            "done": done,
            "done_weight": np.where(done > 0, 0.5 / share, 0.5 / (1.0 - share)).astype(np.float32),
        }

    def _episode(self, rng: np.random.Generator) -> int:
        lost = self._lost and rng.random() < self._config.negatives
        return int(rng.choice(self._lost if lost else self._won))

    def _frames(self, episode: int, count: int, rng: np.random.Generator) -> Array:
        """Return places in time order: half spread over the episode, half from one stretch, as they are compared."""
        length = len(self._success[episode])
        spread = rng.integers(0, length, count - count // 2)
        begin = int(rng.integers(0, length))
        near = np.minimum(begin + rng.integers(0, 2 * self._config.stretch, count // 2), length - 1)
        return np.sort(np.concatenate([spread, near]))

    def _other_goal(self, episode: int, rng: np.random.Generator) -> Array | None:
        """Return the goal of another task, now and then."""
        if not self.goal or rng.random() >= self._config.negatives:
            return None
        others = [goal for goal in self._goals if not np.array_equal(goal, self._goals[episode])]
        return others[int(rng.integers(len(others)))] if others else None
