"""What a person says about an episode when it is over: it corrects what the learner makes of it, never the facts."""

from dataclasses import dataclass
from enum import StrEnum

EpisodeKey = tuple[str, int, int]
"""Actor, epoch and episode id: how an episode is known everywhere in a run."""


class Verdict(StrEnum):
    """What an episode was. The newest verdict on an episode counts."""

    NONE = "none"
    """As recorded; takes an earlier verdict back."""
    SUCCESS = "success"
    """It ended with reward 1, and nothing follows."""
    FAIL = "fail"
    """It ended with reward 0, and nothing follows; a demonstration is not imitated any more."""
    DISCARD = "discard"
    """Nothing is learnt from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One verdict of one person, a row of `labels.jsonl`."""

    actor_id: str
    epoch: int
    episode_id: int
    verdict: Verdict
    reason: str = ""
    operator: str = ""
    t: float = 0.0
    """When it was said, seconds since 1970."""

    @property
    def key(self) -> EpisodeKey:
        """The episode that it is about."""
        return self.actor_id, self.epoch, self.episode_id
