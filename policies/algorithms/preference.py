"""Preference at take-over: an actor-critic that is told of two actions in one state which a person preferred."""

from dataclasses import dataclass

from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.overridden import Overridden
from robot_hil.policies.base import Trainer
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.ops import A, Batch, Ops, Params


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceConfig(AnchoredConfig):
    """Numbers of `Preference`; each of its two terms is off at weight 0."""

    algorithm = "preference"
    ranking: float = 0.1
    """Weight of the critics' term."""
    ranking_scale: float = 0.1
    """Difference of values T at which the preference is expected with odds of e to one."""
    preference: float = 1.0
    """Weight of the actor's term."""
    preference_scale: float = 0.2
    """Standard deviation, in units of the action, by which the actor's density is judged."""

    def __post_init__(self) -> None:
        AnchoredConfig.__post_init__(self)
        if min(self.ranking, self.preference) < 0 or min(self.ranking_scale, self.preference_scale) <= 0:
            raise ConfigError(
                f"ranking is {self.ranking} and preference {self.preference}, both must be >= 0; ranking_scale is "
                f"{self.ranking_scale} and preference_scale {self.preference_scale}, both must be > 0."
            )


class Preference(Overridden):
    """Anchored RLPD with Bradley and Terry's likelihood of preferring a_h to the overridden a_pi (I marks such rows).

    Each critic's loss gains ranking E[ -I log sigma((Q(s, a_h) - Q(s, a_pi)) / T) ] (Christiano et al. 2017,
    arXiv 1706.03741, of two actions), the actor's preference E[ -I log sigma(log pi(a_h|s) - log pi(a_pi|s)) ]
    (Rafailov et al. 2023, arXiv 2305.18290, without a reference policy, as Cai et al. 2025, arXiv 2510.01545). There pi
    is the Gaussian around mu(s), so that the difference is (|mu - a_pi|^2 - |mu - a_h|^2) / (2 scale^2).
    """

    config: PreferenceConfig

    def _unlike(self, nn: Ops, human: A, policy: A) -> A:
        return self.config.ranking * nn.softplus((policy - human) / self.config.ranking_scale)

    def _actor_loss(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A, noise: A
    ) -> tuple[A, dict[str, A]]:
        c = self.config
        total, metrics = super()._actor_loss(nn, trainer, params, batch, features, noise)
        mean = nn.tanh(self._raw(nn, params, features))
        far = [nn.sum((mean - batch[name]) ** 2, -1) for name in ("action", "action_policy")]
        unlikely = nn.softplus((far[0] - far[1]) / (2 * c.preference_scale**2))
        loss = nn.mean(batch["overridden"] * unlikely)
        return total + c.preference * loss, metrics | {"preference_loss": loss}


CONFIG, ALGORITHM = PreferenceConfig, Preference
