"""Meta-World's pick-place: `robot-hil train mw_pick_place`; needs the extra `suites`: docs/suites.md."""

from robot_hil.experiments.base import Experiment, Goal, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="mw_pick_place",
    env_id="robot_hil/MetaWorldPickPlace-v0",
    observation="state",
    person=PersonConfig(expert="metaworld", profile="competent"),
    agent=AnchoredConfig(utd=2),
    method=Anchored(n_step=5),
    learner=LearnerConfig(clone_updates=1000),
    goal=Goal(max_env_steps=8000),
)
