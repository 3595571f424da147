"""A small specification with an image, for tests and for the processes that they start."""

from robot_hil.data.specs import ArraySpec, EnvSpec

SPEC = EnvSpec(
    env_id="test/Small-v0",
    observation={"front": ArraySpec(shape=(8, 8, 3), dtype="uint8"), "state": ArraySpec(shape=(5,))},
    action=ArraySpec(shape=(7,), low=-1.0, high=1.0),
    control_hz=10.0,
    max_episode_steps=50,
    task="do it",
)
