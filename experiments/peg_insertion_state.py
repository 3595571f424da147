"""peg_insertion from full state."""

from robot_hil.experiments.base import Experiment, PersonConfig

EXPERIMENT = Experiment(
    name="peg_insertion_state",
    env_id="robot_hil/PegInsertion-v0",
    observation="state",
    person=PersonConfig(expert="peg_insertion"),
)
