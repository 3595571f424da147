"""The arm picks up a cube, seen by two cameras.

`robot-hil train pick_cube --seed 0`; figures in docs/results.md.
"""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="pick_cube",
    env_id="robot_hil/PickCube-v0",
    observation="pixels",
    person=PersonConfig(expert="pick_cube"),
    agent=AnchoredConfig(actor_rate=1e-4, tau=0.01, anchor_half_life=700, caution=1.5),
    method=Anchored(n_step=5),
    learner=LearnerConfig(capacity=40_000, clone_updates=500, clone_batch_size=128),
    goal=Goal(max_env_steps=3500, max_train_s=230.0),
)
