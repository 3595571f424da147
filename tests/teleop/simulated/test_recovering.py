"""The person who recovers and corrects, on the toy peg with two slots: labels, order, and the end of the episode."""

import numpy as np
import pytest

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.seeding import Stream
from robot_hil.clock import VirtualClock
from robot_hil.data.step import Segment
from robot_hil.envs.base import scale_of, tool_of
from robot_hil.envs.toy.peg_slot import make_env
from robot_hil.errors import ConfigError
from robot_hil.teleop.simulated.expert_peg_slot import CLEAR, PegSlotExpert
from robot_hil.teleop.simulated.expert_reach_pillar import ReachPillarExpert
from robot_hil.teleop.simulated.gates import ImminentGate, ProgressGate
from robot_hil.teleop.simulated.profile import PROFILES
from robot_hil.teleop.simulated.recovering import RecoveringPerson


class Blind:
    """Goes down, wherever it is."""

    version = 0

    def act(self, obs, deterministic=False):
        return np.array([0.0, -0.5], np.float32)


def episode(seed, *, rewinds=False, gate=None, slots=2):
    clock = VirtualClock()
    env = make_env(slots=slots)
    person = RecoveringPerson(
        PegSlotExpert(), gate or ProgressGate(patience=25), PROFILES["careful"], env.privileged, clock, rewinds=rewinds
    )
    person.start()
    steps = []
    loop = ControlLoop(
        env,
        Blind(),
        Arbiter(ArbiterConfig(action_dim=2, release_tail_s=0.0)),
        steps.append,
        LoopConfig(control_hz=10.0, run_seed=seed, desk=DeskConfig(recovery=True)),
        teleop=person,
        clock=clock,
        rewind=Rewind(scale_of(env), tool_of(env)),
    )
    loop.run_episode(Stream.TRAIN, 0)
    return steps


@pytest.mark.parametrize("rewinds", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_a_jammed_peg_is_lifted_then_put_in_and_the_episode_ends_there(seed, rewinds):
    steps = episode(seed, rewinds=rewinds)
    kinds = [step.segment for step in steps]
    back = Segment.REWIND if rewinds else Segment.RECOVERY
    first, second = kinds.index(back), kinds.index(Segment.CORRECTION)
    assert set(kinds[:first]) == {Segment.NONE}
    assert set(kinds[first:second]) == {back}
    assert set(kinds[second:]) == {Segment.CORRECTION}
    last = steps[-1]
    assert (last.truncated, last.terminated, last.offset) == (True, False, True)
    names = make_env(slots=2).env_spec.observation["state"].names
    assert last.final_obs["state"][names.index("slots done")] == 1.0
    height = [step.obs["state"][1] / 10 for step in steps]
    assert height[first] < 0.01
    assert height[second] >= CLEAR


def test_the_last_slot_ends_the_task_itself():
    steps = episode(1, slots=1, gate=ImminentGate(PegSlotExpert()))
    assert steps[-1].terminated
    assert steps[-1].success
    assert steps[-1].segment is Segment.CORRECTION


def test_an_expert_without_a_way_back_is_refused():
    with pytest.raises(ConfigError, match="knows no way back"):
        RecoveringPerson(ReachPillarExpert(), ProgressGate(), PROFILES["careful"], dict, VirtualClock())
