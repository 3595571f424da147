"""The person who adds to the policy: pulls by what is missing where that matters, and leaves alone what goes well."""

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


def at(x, z):
    """Return the environment with the tip at (x, z), the slot at 0 [m]."""
    env = make_env()
    env.reset(seed=1)
    state = env.snapshot()
    state["scene"] |= {"x": x, "z": z, "slots": (0.0,)}
    env.reset(options={"state": state})
    return env


def pull(env, proposal, **options):
    one = AddingPerson(
        PegSlotExpert(), AlwaysGate(), STEADY, env.privileged, VirtualClock(), gain=options.pop("gain", 0.3), **options
    )
    one.start()
    one.begin_episode(0)
    if proposal is not None:
        one.observe_proposal(np.array(proposal, np.float32))
    return one.latest().action.tolist()


@pytest.mark.parametrize("gain", [0.3, 1.0])
@pytest.mark.parametrize("proposal", [(0.0, 0.0), (0.3, 0.2), (-0.9, 0.0)])
def test_what_is_missing_is_pulled(gain, proposal):
    env = at(0.1, 0.2)
    wanted = PegSlotExpert().action(env.privileged(), STEADY.speed)
    assert pull(env, proposal, gain=gain) == pytest.approx(np.clip((wanted - proposal) / gain, -1, 1), abs=1e-5)


def test_a_policy_that_goes_well_is_left_alone():
    assert pull(at(0.0, 0.2), (0.0, -0.5)) == [0.0, 0.0]
    assert pull(at(0.0, -0.03), (1.0, -0.5)) == [0.0, 0.0]  # the sides of the slot hold the peg


def test_an_axis_that_goes_the_right_way_slowly_is_left_alone():
    sideways, down = pull(at(0.008, 0.06), (0.0, -0.3))  # beside the slot, and about to jam
    assert sideways == pytest.approx(-0.2 / 0.3, abs=1e-5)
    assert down == 0.0


def test_a_narrow_escape_is_no_escape():
    env, proposal = at(0.0035, 0.06), (0.0, -0.3)
    assert pull(env, proposal, margin=0.0) == [0.0, 0.0]
    assert pull(env, proposal, margin=0.3)[0] == 0.0  # no more than 0.1 of full scale off, which nobody minds
    assert pull(at(0.0035, 0.06), (0.2, -0.3), margin=0.3)[0] < 0.0


def test_trouble_farther_off_is_seen_by_who_looks_farther():
    env, proposal = at(0.008, 0.15), (0.0, -0.3)
    assert pull(env, proposal, foresight=5) == [0.0, 0.0]
    assert pull(env, proposal, foresight=20)[0] < 0.0


def test_without_a_policy_it_drives():
    env = make_env()
    env.reset(seed=1)
    assert pull(env, None) == pytest.approx(PegSlotExpert().action(env.privileged(), STEADY.speed))


@pytest.mark.parametrize("options", [{"gain": 0.0}, {"margin": -1.0}, {"foresight": 0}])
def test_numbers_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        pull(make_env(), None, **options)
