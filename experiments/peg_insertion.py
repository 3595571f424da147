"""peg_insertion from two cameras."""

from robot_hil.experiments.base import Experiment, PersonConfig
from robot_hil.learner.learner import LearnerConfig
from robot_hil.policies.config import AnchoredConfig

EXPERIMENT = Experiment(
    name="peg_insertion",
    env_id="robot_hil/PegInsertion-v0",
    observation="pixels",
    person=PersonConfig(expert="peg_insertion"),
    agent=AnchoredConfig(utd=1, tau=0.01),
    learner=LearnerConfig(batch_size=128, capacity=40_000),
)
