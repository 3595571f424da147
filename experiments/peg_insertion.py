"""The arm puts a square peg into a hole, seen by two cameras.

`robot-hil train peg_insertion --seed 0`; figures in docs/results.md.
"""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="peg_insertion",
    env_id="robot_hil/PegInsertion-v0",
    observation="pixels",
    person=PersonConfig(expert="peg_insertion", profile="competent", patience_steps=12),
    agent=AnchoredConfig(
        exploration=0.08,
        value_range=(-1.0, 1.0),
        utd=2,
        goal_only=True,
        goal_features=("tip x - centre", "tip y - centre", "yaw of peg"),
    ),
    method=Anchored(n_step=5, demo_share=0.15, reaction_cost=0.5, reaction_steps=10),
    learner=LearnerConfig(capacity=40_000, clone_updates=1000, clone_batch_size=128),
    goal=Goal(max_env_steps=15000),
    demos=50,
)
