"""Behaviour cloning: batches of what people did, and of nothing else."""

from dataclasses import dataclass

from robot_hil.methods.base import Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Bc(Method):
    """Demonstrations and interventions as one pool; with the latter it is DAgger's aggregation (Ross et al. 2011)."""

    online_share: float = 0.0


METHOD = Published(
    title="imitates everything that people did, demonstrations and corrections alike",
    source="Pomerleau 1988; Ross et al. 2011, arXiv 1011.0686",
    family="imitation",
    view=Bc(),
    algorithm="bc",
    learner={"critic_warmup": 0},
    needs=("demonstrations",),
)
