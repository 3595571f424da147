"""A Step: the raw facts of one control period. The actor records facts; the learner derives opinions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from robot_hil.data.specs import Array, Observation


class Authority(IntEnum):
    """Who had authority over one action dimension."""

    POLICY = 0
    HUMAN = 1
    BLENDED = 2
    HOLD = 3


_HUMAN = frozenset((Authority.HUMAN, Authority.BLENDED))


class Segment(IntEnum):
    """What kind of stretch a step belongs to."""

    NONE = 0
    DEMO = 1
    CORRECTION = 2
    RECOVERY = 3
    REWIND = 4
    GUIDED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One control period: observation, three actions, authority, reward by source, identity, times.

    The observation after this step is the `obs` of the step with the same `episode_id` and
    `step_index + 1`; the last step of an episode carries it itself in `final_obs`. A step whose
    successor never came (the actor died) has no next observation and cannot be used for learning.
    """

    obs: Observation
    """What was seen before acting."""
    action_policy: Array
    """What the policy proposed, float32 (A,) in [-1, 1]; NaN where no policy was asked (demonstrations)."""
    action_human: Array
    """What the person commanded, float32 (A,), unmodified; NaN where absent."""
    action_executed: Array
    """What was sent to the robot, float32 (A,) in [-1, 1]; never NaN."""
    authority: Array
    """`Authority` of each action dimension, uint8 (A,)."""
    reward: Mapping[str, float]
    """Reward by source: `env`, `human`, `classifier`, `progress`; only the sources that spoke."""
    terminated: bool
    """The task ended here (success or failure): no bootstrap."""
    truncated: bool
    """The episode was cut here (time-out, stop): bootstraps."""
    success: bool
    """The environment's own success flag, reported separately from the reward."""
    episode_id: int
    """Number of the episode within (run, actor); keeps counting over restarts."""
    step_index: int
    """Number of the step within its episode, from 0."""
    segment: Segment = Segment.NONE
    intervention_id: int = -1
    """Number of the intervention within the episode; -1 outside any."""
    onset: bool = False
    """First step of an intervention."""
    offset: bool = False
    """Last step of an intervention."""
    release_tail: bool = False
    """Human had already let go, hand-over still pending: good for TD, weight 0 for imitation."""
    final_obs: Observation | None = None
    """Observation after the last step of an episode, else None."""
    actor_id: str = "actor"
    epoch: int = 0
    """Start count of the actor process, from its spool; fences restarts."""
    seq: int = -1
    """Sequence number within (actor_id, epoch), from 0; -1 before it is logged."""
    policy_version: int = -1
    """Version of the weights that proposed `action_policy`; -1 for none."""
    operator: str = ""
    device: str = ""
    task: str = ""
    """Instruction in words."""
    t_obs: float = 0.0
    """Monotonic time of the observation [s]."""
    t_cmd: float = 0.0
    """Monotonic time when the command was sent [s]."""
    t_human: float = float("nan")
    """Monotonic time of the human sample [s]; NaN when absent."""
    perturbation: str = ""
    """Name of a perturbation event in this step, else empty."""
    words: str = ""
    """The correction in words that the person's command obeys in this step, else empty."""
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    """Optional scalars for people, e.g. value estimate; no learner may depend on them."""

    @property
    def is_last(self) -> bool:
        """True for the last step of an episode."""
        return self.terminated or self.truncated

    @property
    def is_human(self) -> bool:
        """True when the person had authority over at least one dimension."""
        return not _HUMAN.isdisjoint(self.authority.tolist())  # np.isin takes 30 us, a third of a loop's overhead
