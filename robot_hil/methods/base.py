"""A method of intervention learning: which data, with which weights and rewards. The defaults are plain RLPD."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError

if TYPE_CHECKING:
    from robot_hil.methods.log import Log

Columns = Mapping[str, Array]
"""Facts of n rows by name, (n, ...): the fields of a Step, `reward/<source>` (NaN where it did not speak), `is_human`,
`handover` (control passes between policy and person after this row) and `steps_to_onset` of the next intervention."""

SOURCES = ("human", "classifier", "progress", "env")
"""Who may speak about reward: a person, a success classifier, a critic of progress, the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Turns recorded facts into training data; holds no state, so that any recorded run can train any method.

    Half of each batch comes from people (demonstrations and interventions, drawn as one pool), half from everything
    the robot did; a person's word on reward stands above a model's, and that above the environment's; every row counts
    the same.
    """

    surveys: ClassVar[bool] = False
    """Whether `survey` has anything to say."""

    n_step: int = 1
    """Most rewards summed before bootstrapping, >= 1."""
    cut_at_handover: bool = False
    """An n-step sum stops where control passes between policy and person."""
    online_share: float = 0.5
    """Part of each batch drawn from the online pool, in [0, 1]."""
    reward_sources: tuple[str, ...] = SOURCES
    """Whose word on reward counts: of each row the first source in this order that spoke; who is left out never."""

    def __post_init__(self) -> None:
        if self.n_step < 1:
            raise ConfigError(f"n_step is {self.n_step}; it must be at least 1.")
        if not 0 <= self.online_share <= 1:
            raise ConfigError(f"online_share is {self.online_share}; it must lie in [0, 1].")
        known = set(self.reward_sources) <= set(SOURCES)
        if not known or not self.reward_sources or len(set(self.reward_sources)) != len(self.reward_sources):
            raise ConfigError(
                f"reward_sources are {self.reward_sources}; give some of {', '.join(SOURCES)}, each once, the one that "
                "stands above the others first."
            )

    def share(self, pools: Mapping[str, int], step: int) -> Mapping[str, float]:
        """Return the share of a batch by pool, given the pools' sizes and the count of environment steps."""
        demo, intervention = pools["demo"], pools["intervention"]
        part = demo / max(1, demo + intervention)
        prior = 1.0 - self.online_share
        return {"demo": prior * part, "intervention": prior * (1.0 - part), "online": self.online_share}

    def reward(self, columns: Columns) -> tuple[Array, Array, Array]:
        """Return reward float32 (n,); mask float32 (n,), 0 where the task ended; cut bool (n,).

        The first of `reward_sources` that spoke about a row counts; where none did the reward is 0.
        """
        reward = np.zeros(len(columns["terminated"]), np.float32)
        for source in reversed(self.reward_sources):
            said = columns[f"reward/{source}"]
            reward = np.where(np.isnan(said), reward, said)
        mask = 1.0 - columns["terminated"].astype(np.float32)
        cut = columns["handover"] if self.cut_at_handover else np.zeros(len(reward), bool)
        return reward, mask, cut

    def aux(self, columns: Columns) -> Mapping[str, Array]:
        """Return further batch entries, (n, ...) each; an entry of the batch with the same name is replaced.

        The batch already has `imitate`: 1 where a person drove and had not let go, demonstrations included, else 0; and
        `demonstrated`: 1 in demonstrations.
        """
        return {}

    def survey(self, log: "Log") -> Mapping[str, Array]:
        """Return what only the whole log tells, e.g. returns or shares of classes: names -> (n, ...), float32.

        Asked for now and then as the log grows, where `surveys` says so. Every entry becomes one of the batches before
        `weights` is asked, except `draw` (n,), >= 0: how often a row is drawn in proportion to others of its pool.
        A row newer than the last survey has 0 in all entries, and `draw` 1; the entry `surveyed`, 1 or 0, tells it.
        """
        return {}

    def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
        """Return the weight of every row in the critic's and the actor's loss, float32 (B,) each."""
        ones = np.ones(len(batch["reward"]), np.float32)
        return ones, ones
