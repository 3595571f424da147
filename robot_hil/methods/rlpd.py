"""RLPD (Ball et al. 2023): half of each batch from prior human data, half from everything online."""

from dataclasses import dataclass

from robot_hil.methods.base import Method
from robot_hil.methods.published import Published


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlpd(Method):
    """The defaults of `Method`, under their published name."""


METHOD = Published(
    title="half of each batch from people, half from all trials; ten critics, two of which make the target",
    source="Ball et al. 2023, arXiv 2302.02948",
    family="reinforcement",
    view=Rlpd(),
    algorithm="hil_serl",
    agent={"ensemble": 10, "subset": 2},
    learner={"gamma": 0.99, "clone_updates": 0, "critic_warmup": 0, "rounds_per_step": 2.0},
    needs=("rewards",),
)
