"""pick_cube from full state."""

from robot_hil.experiments.base import Experiment, PersonConfig

EXPERIMENT = Experiment(
    name="pick_cube_state",
    env_id="robot_hil/PickCube-v0",
    observation="state",
    person=PersonConfig(expert="pick_cube"),
)
