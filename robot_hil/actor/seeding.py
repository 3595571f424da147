"""Seeds derived from (run, stream, episode, role), so that a run resumed between episodes continues exactly."""

from enum import IntEnum

import numpy as np

from robot_hil.errors import ConfigError

_BITS = 29  # two bits above them hold the stream; below 2**31, which every environment's seed accepts


class Stream(IntEnum):
    """What an episode is for; no two streams ever share a seed."""

    TRAIN = 0
    DEMO = 1
    EVAL = 2
    CHECK = 3

    @property
    def autonomous(self) -> bool:
        """The policy alone, without exploring: nobody helps and nothing is learnt from it."""
        return self in (Stream.EVAL, Stream.CHECK)


class Role(IntEnum):
    """Who draws from the seed; different roles of one episode are independent."""

    ENV = 0
    POLICY = 1
    PERSON = 2
    ADVERSARY = 3


def episode_seed(run_seed: int, stream: Stream, episode_id: int, role: Role = Role.ENV) -> int:
    """Return a seed in [0, 2**31); equal arguments give equal seeds on every machine."""
    if run_seed < 0 or episode_id < 0:
        raise ConfigError(f"run seed {run_seed} and episode {episode_id} must not be negative.")
    sequence = np.random.SeedSequence(run_seed, spawn_key=(stream, episode_id, role))
    return int(stream) << _BITS | int(sequence.generate_state(1)[0]) >> (32 - _BITS)
