"""A critic of progress as the judge of one episode after another."""

from collections import deque

import numpy as np

from robot_hil.data.reward import Judgement
from robot_hil.data.specs import Array, Observation
from robot_hil.policies.reward import integration, rules
from robot_hil.policies.reward.progress import ProgressCritic


class ProgressJudge:
    """A `RewardModel` that rewards each frame's progress; `confirmed` comes from the critic's `done`.

    Every frame is compared with the one `stride_s` before it, whose own value it goes on from. What is summed is the
    logarithm of what remains, so that steps back cancel steps ahead; the reward is the change of the value, which
    telescopes: an episode earns what it ends with, at most 1, and going to and fro earns nothing.
    """

    def __init__(self, critic: ProgressCritic, goal: Array | None = None) -> None:
        self._critic, self._goal = critic, goal
        self._confirmation = rules.Confirmation(critic.config.done_frames)
        self._before: deque[tuple[Array, float]] = deque(maxlen=critic.stride)
        self._value = 0.0

    @property
    def version(self) -> int:
        """See `RewardModel.version`."""
        return self._critic.version

    def begin_episode(self) -> None:
        """See `RewardModel.begin_episode`."""
        self._confirmation.reset()
        self._before.clear()
        self._value = 0.0

    def judge(self, obs: Observation) -> Judgement:
        """See `RewardModel.judge`."""
        critic = self._critic
        encoded = critic.encode([obs])
        remaining, doubt = 0.0, 0.0
        if self._before:
            earlier, remaining = self._before[0]
            deltas = critic.compare(earlier, encoded, self._goal)
            remaining += float(integration.log_remaining(deltas.mean(0))[0])
            doubt = float(min(1.0, deltas.std(0)[0]))
        self._before.append((encoded, remaining))
        value = float(integration.potential(np.array(remaining)))
        gained, self._value = value - self._value, value
        done = float(critic.done(encoded, self._goal)[0])
        hit = done >= critic.threshold
        return Judgement(
            probability=done, confirmed=self._confirmation.see(hit), reward=gained, stage=int(hit), doubt=doubt
        )
