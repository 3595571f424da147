"""What a person overrode: the part that actor-critics share whose critics compare it with what the person did."""

from abc import ABC, abstractmethod

from robot_hil.policies.algorithms.anchored import AnchoredRlpd
from robot_hil.policies.base import Trainer
from robot_hil.policies.ops import A, Batch, Ops, Params


class Overridden(AnchoredRlpd, ABC):
    """Adds to each critic's loss  E[ I unlike(Q(s, a_h), Q(s, a_pi)) ].

    I (`overridden`) marks where the person did a_h (`action`) and the policy had proposed a_pi (`action_policy`). A
    subclass says what `_unlike` a preference for a_h is.
    """

    @abstractmethod
    def _unlike(self, nn: Ops, human: A, policy: A) -> A:
        """Return the loss (members, B) of rows with these values (members, B) each, where they were overridden."""

    def _critic_extra(
        self, nn: Ops, trainer: Trainer, params: Params, batch: Batch, features: A
    ) -> tuple[A, dict[str, A]]:
        human, policy = (self._q(nn, params, "critic", features, batch[name]) for name in ("action", "action_policy"))
        loss = nn.sum(nn.mean(batch["overridden"] * self._unlike(nn, human, policy), -1))
        return loss, {"overridden_loss": loss / self.config.ensemble}
