"""Success told from images: labelled frames, and what a model of them says. Facts are labels; rewards are opinions."""

from dataclasses import dataclass
from typing import Protocol

from robot_hil.data.labels import EpisodeKey
from robot_hil.data.specs import Observation

BINARY = ("failure", "success")
THREE_WAY = ("running", "success", "failure")
"""Classes of the usual heads; a multi-stage head has one per stage in order, the last of which is success."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFrame:
    """One observation that a person, a key or a recorded episode said something about."""

    obs: Observation
    """As the environment gave it: all cameras, and vectors."""
    label: int
    """Index into the classes of the data set."""
    episode: EpisodeKey
    """The episode it comes from: train and test sets are split by this, never within one."""
    step_index: int
    source: str
    """Who said so: `key`, `log`, `review`, `false_positive` (a hard negative)."""
    operator: str = ""
    t: float = 0.0
    """When it was said, seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a model thinks of one observation, after the frames before it in the episode."""

    probability: float
    """Calibrated, conservative probability of success in [0, 1], over the ensemble."""
    confirmed: bool
    """Whether success has been seen in as many frames running as the model asks for: it ends the episode."""
    reward: float
    """Corrected for the model's measured error rates, or the progress made, whichever the model gives."""
    stage: int = 0
    """Most probable class."""
    doubt: float = 0.0
    """Disagreement of the members in [0, 1]: what a person should look at first."""


class RewardModel(Protocol):
    """Judges one episode after another; an actor holds one, its newest version is read from disk between episodes."""

    @property
    def version(self) -> int:
        """Counts trainings of this model."""
        ...

    def begin_episode(self) -> None:
        """Forget the frames before."""
        ...

    def judge(self, obs: Observation) -> Judgement:
        """Judge the next observation of the episode; raises `SpecError` for one it was not made for."""
        ...
