"""The arm puts a square peg into a hole whose place it is told.

`robot-hil train peg_insertion_state --seed 0`; figures in docs/results.md.
"""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="peg_insertion_state",
    env_id="robot_hil/PegInsertion-v0",
    observation="state",
    person=PersonConfig(expert="peg_insertion", profile="competent", patience_steps=12),
    agent=AnchoredConfig(utd=2, exploration=0.08, value_range=(-1.0, 1.0)),
    method=Anchored(n_step=5, demo_share=0.15, reaction_cost=0.5, reaction_steps=10),
    learner=LearnerConfig(clone_updates=1000),
    goal=Goal(max_env_steps=4000),
)
