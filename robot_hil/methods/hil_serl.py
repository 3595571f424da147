"""HIL-SERL (Luo et al. 2024): as RLPD; interventions count as demonstrations and stay in the online half too."""

from dataclasses import dataclass

from robot_hil.methods.base import Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class HilSerl(Method):
    """Of 256 rows, 128 uniform over demonstrations and interventions together, 128 uniform over every online step.

    One-step targets, nothing cut at a hand-over. Unlike the original a time-out bootstraps, and there are four critic
    updates per step; the original prescribes none, its learner runs as fast as it can.
    """


METHOD = Published(
    title="corrections count as demonstrations, half of each batch; a critic of its own for the gripper",
    source="Luo et al. 2024, arXiv 2410.21845",
    family="reinforcement",
    view=HilSerl(),
    algorithm="hil_serl",
    learner={"gamma": 0.97, "clone_updates": 0, "critic_warmup": 0, "rounds_per_step": 2.0},
    needs=("rewards",),
)
