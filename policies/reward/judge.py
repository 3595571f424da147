"""A trained classifier as the judge of one episode after another."""

from collections import deque

import numpy as np

from robot_hil.data.reward import Judgement
from robot_hil.data.specs import Observation
from robot_hil.policies.reward import rules
from robot_hil.policies.reward.model import TrainedReward


class ClassifierJudge:
    """A `RewardModel`: scores each frame, confirms over several, corrects for the error rates that were measured."""

    def __init__(self, model: TrainedReward) -> None:
        """Raise `ConfigError` for a model whose measured error rates leave nothing to say."""
        self._model, report, config = model, model.report, model.config
        rates = report.confirmed_false_positive.value, report.confirmed_false_negative.value
        self._rewards = [rules.corrected(said, *rates, clip=config.clip_reward) for said in (False, True)]
        self._confirmation = rules.Confirmation(config.confirm_frames)
        self._stages: deque[int] = deque(maxlen=config.confirm_frames)
        self._reached = 0.0

    @property
    def version(self) -> int:
        """See `RewardModel.version`."""
        return self._model.version

    def begin_episode(self) -> None:
        """See `RewardModel.begin_episode`."""
        self._confirmation.reset()
        self._stages.clear()
        self._reached = 0.0

    def judge(self, obs: Observation) -> Judgement:
        """See `RewardModel.judge`."""
        model = self._model
        members = model.look([obs])[:, 0]
        success = members[:, model.setup.success][:, None]
        score = float(rules.combine(success, model.config.rule, model.config.caution)[0])
        confirmed = self._confirmation.see(score >= model.threshold)
        stage = int(np.argmax(members.mean(0)))
        return Judgement(
            probability=score,
            confirmed=confirmed,
            reward=self._staged(stage, confirmed) if model.config.stage_rewards else self._rewards[confirmed],
            stage=stage,
            doubt=float(rules.disagreement(success)[0]),
        )

    def _staged(self, stage: int, confirmed: bool) -> float:
        """Return what the stages confirmed by now are worth more than before; the last takes a confirmed success."""
        last = len(self._model.classes) - 1
        self._stages.append(min(stage, last - 1))
        whole = len(self._stages) == self._stages.maxlen
        reached = rules.staged(last if confirmed else min(self._stages) if whole else 0, last + 1)
        gained, self._reached = reached - self._reached, reached
        return gained
