"""The person who adds to the policy: pulls by what is missing, and leaves a policy alone that is right."""

from dataclasses import replace

import numpy as np
import pytest

from robot_hil.clock import VirtualClock
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.adding import AddingPerson
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.gates import AlwaysGate
from robot_hil.teleop.simulated.profile import CAREFUL

STEADY = replace(CAREFUL, noise=0.0, smoothing=0.0, slew=2.0, blunder_rate=0.0, dwell_steps=0)


def person(env, gain=0.3):
    made = AddingPerson(PegSlotExpert(), AlwaysGate(), STEADY, env.privileged, VirtualClock(), gain=gain)
    made.start()
    made.begin_episode(0)
    return made


@pytest.mark.parametrize("gain", [0.3, 1.0])
def test_what_is_missing_is_pulled(gain):
    env = make_env()
    env.reset(seed=1)
    wanted = PegSlotExpert().action(env.privileged(), STEADY.speed)
    one = person(env, gain)
    for proposal in (np.zeros(2, np.float32), wanted, wanted + np.float32(0.1), -wanted):
        one.observe_proposal(proposal)
        pulled = one.latest().action
        assert pulled == pytest.approx(np.clip((wanted - proposal) / gain, -1, 1), abs=1e-5)


def test_without_a_policy_it_drives():
    env = make_env()
    env.reset(seed=1)
    assert person(env).latest().action == pytest.approx(PegSlotExpert().action(env.privileged(), STEADY.speed))


def test_a_gain_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="gain"):
        person(make_env(), 0.0)
