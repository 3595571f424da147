"""The arm picks up a cube whose place it is told.

`robot-hil train pick_cube_state --seed 0`; figures in docs/results.md.
"""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="pick_cube_state",
    env_id="robot_hil/PickCube-v0",
    observation="state",
    person=PersonConfig(expert="pick_cube"),
    agent=AnchoredConfig(utd=2, actor_rate=1e-4, tau=0.01, anchor_half_life=1000),
    method=Anchored(n_step=5),
    learner=LearnerConfig(clone_updates=1000),
    goal=Goal(max_env_steps=3000),
)
