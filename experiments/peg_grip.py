"""A toy: a peg fetched and put into a slot.

`robot-hil train peg_grip --seed 0`; the task in docs/testbeds.md.
"""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="peg_grip",
    env_id="robot_hil/PegGrip2D-v0",
    observation="state",
    person=PersonConfig(expert="peg_grip", profile="competent", patience_steps=12),
    # Far from the slot the critics hardly tell actions apart: what people did must go on deciding between them.
    agent=AnchoredConfig(utd=2, anchor_half_life=3000, value_range=(-1.0, 1.0)),
    # A hand that closed beside the peg must open, rise and begin anew; without the cost it waits to be rescued.
    method=Anchored(n_step=5, reaction_cost=0.5, reaction_steps=10),
    learner=LearnerConfig(clone_updates=1000),
    goal=Goal(max_env_steps=6000),
)
