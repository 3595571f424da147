"""What an episode leaves behind in numbers, and the labels of its steps."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from robot_hil.actor.seeding import Stream
from robot_hil.data.specs import Array
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopSample


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeResult:
    """One episode in numbers."""

    episode_id: int
    stream: Stream
    steps: int
    success: bool
    """The person's verdict when given, else the reward model's where one judges, else the environment's."""
    episode_return: float
    """Sum of rewards, of each step whose word stands first: the person's, the reward model's, the environment's."""
    human_steps: int
    interventions: int
    policy_version_first: int
    policy_version_last: int
    duration_s: float
    """Time on the loop's clock, reset excluded: robot time, also when simulated faster."""
    deadline_misses: int
    lateness_p99_s: float
    truncated: bool
    """Cut by time, a person, a stop request or an error; also when it never began."""


@dataclass(slots=True)
class Tally:
    """Running totals of the episode under way, and its newest step, which is not yet emitted."""

    pending: Step | None = None
    steps: int = 0
    success: bool = False
    episode_return: float = 0.0
    human_steps: int = 0
    interventions: int = 0
    version_first: int = -1
    version_last: int = -1
    truncated: bool = True

    def count(self, step: Step, verdict: EventKind | None) -> None:
        """Add `step`, now pending, and the person's `verdict` on the episode, SUCCESS or FAIL, if any."""
        self.pending = step
        if self.steps == 0:
            self.version_first = step.policy_version
        self.version_last = step.policy_version
        self.truncated = step.truncated
        self.steps += 1
        self.success = (self.success or step.success) if verdict is None else verdict is EventKind.SUCCESS
        self.episode_return += reward_of(step.reward)
        self.human_steps += step.is_human
        self.interventions += step.onset

    def amend(self, step: Step, success: bool) -> None:
        """The pending step is `step`, now that a reward model and perhaps a person have spoken about where it led."""
        assert self.pending is not None
        self.episode_return += reward_of(step.reward) - reward_of(self.pending.reward)
        self.pending, self.success, self.truncated = step, success, step.truncated


def reward_of(rewards: Mapping[str, float]) -> float:
    """Return the word on reward that counts for people: of the first source that spoke."""
    spoke = (source for source in ("human", "classifier", "progress") if source in rewards)
    return rewards[next(spoke, "env")]


def human_action(sample: TeleopSample, action_dim: int) -> Array:
    """Return what the person commanded, unmodified, float32 (A,); NaN where and when nothing was."""
    human = np.full(action_dim, np.nan, np.float32)
    if sample.engaged and sample.status is SampleStatus.OK and sample.action is not None:
        action, mask = np.asarray(sample.action, np.float32), sample.mask
        if action.shape == human.shape and (mask is None or mask.shape == human.shape):
            human[:] = action if mask is None else np.where(mask, action, np.nan)
    return human


def recorded_proposal(proposal: Array | None, action_dim: int) -> Array:
    """Return the policy's proposal as recorded, float32 (A,); NaN when none was asked or it had another shape."""
    if proposal is None or np.shape(proposal) != (action_dim,):
        return np.full(action_dim, np.nan, np.float32)
    return np.asarray(proposal, np.float32)
