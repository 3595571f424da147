"""The adversary: scripts repeat, steps keep what was done, an episode can be played again from its steps alone."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.actor.adversary import Adversary, Disturbable, Drawn, Recorded, Schedule
from robot_hil.actor.arbiter import Arbiter, ArbiterConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.seeding import Stream
from robot_hil.clock import VirtualClock
from robot_hil.data.disturbance import Disturbance, read, written
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.envs.toy import peg_grip, peg_slot, reach_pillar
from robot_hil.errors import ConfigError, SpecError

numbers = st.floats(-1, 1)
disturbances = st.builds(
    Disturbance, kind=st.sampled_from(["object", "goal", "gripper", "slip"]), x=numbers, y=numbers, z=numbers
)


@given(st.lists(disturbances, max_size=4))
def test_what_a_step_keeps_says_everything(done):
    assert read(written(done)) == tuple(done)


@pytest.mark.parametrize("text", ["object x", "object x=a", "object w=1", "x=1", "a;", "object x=nan"])
def test_what_is_no_disturbance_is_refused(text):
    with pytest.raises(SpecError, match="no disturbance"):
        read(text)


class Wander:
    """A policy of small steps anywhere."""

    version = 0

    def __init__(self, size: int) -> None:
        self.size, self.rng = size, np.random.default_rng(0)

    def begin_episode(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def act(self, obs, deterministic=False):
        return self.rng.uniform(-0.6, 0.6, self.size).astype(np.float32)


def run(env, script, *, episode=0, events=()):
    steps, log = [], []
    adversary = Adversary(env, script, log.append)
    size = env.env_spec.action.shape[0]
    loop = ControlLoop(
        env, Wander(size), Arbiter(ArbiterConfig(action_dim=size)), steps.append,
        LoopConfig(control_hz=10.0, run_seed=5), clock=VirtualClock(), adversary=adversary,
    )  # fmt: skip
    loop.run_episode(Stream.TRAIN, episode)
    return steps, log


SCHEDULE = Schedule(kinds=("object", "gripper", "goal", "slip"), rate=0.5, pause_steps=3)


@pytest.mark.parametrize("make", [lambda: peg_slot.make_env(slots=2), peg_grip.make_env, reach_pillar.make_env])
def test_an_episode_is_played_again_from_its_steps(make):
    env = make()
    kinds = tuple(kind for kind in SCHEDULE.kinds if kind in env.disturbances)
    schedule = Schedule(kinds=kinds, rate=0.5, pause_steps=3)
    steps, log = run(env, Drawn(schedule))
    again, done = run(make(), Recorded(steps))
    assert 1 <= len(log) <= schedule.most
    assert [record.disturbance for record in done] == [record.disturbance for record in log]
    assert json.dumps([r.after for r in done]) == json.dumps([r.after for r in log])
    assert [r.step for r in log] == [s.step_index for s in steps if s.perturbation]
    assert [s.perturbation for s in again] == [s.perturbation for s in steps]
    for one, other in zip(steps, again, strict=True):
        assert one.obs["state"].tobytes() == other.obs["state"].tobytes()


def test_equal_seeds_give_equal_scripts_and_a_button_changes_no_luck():
    one, other = Drawn(SCHEDULE), Drawn(SCHEDULE)
    for script in (one, other):
        script.begin_episode(7, 0)
    plans = []
    for step in range(60):
        if step % 5 == 0:
            one.like("object")
        plans.append(one.plan(step))
        assert other.plan(step) == plans[-1]
    assert any(plans)


@given(st.integers(0, 2**31 - 1), st.integers(0, 40))
def test_a_schedule_is_kept(seed, episode):
    schedule = Schedule(kinds=("object",), rate=0.5, most=4, first_step=6, pause_steps=5, ramp_episodes=20)
    script = Drawn(schedule)
    script.begin_episode(seed, episode)
    struck = [step for step in range(200) for _ in script.plan(step)]
    assert len(struck) <= 4
    assert all(step >= 6 for step in struck)
    assert all(b - a > 5 for a, b in pairwise(struck))
    largest = 0.01 + schedule.level(episode) * 0.03
    for value in (script.like("object").x, script.like("object").z):
        assert 0.01 <= abs(value) <= largest + 1e-12


def test_a_curriculum_begins_seldom_and_small():
    schedule = Schedule(kinds=("object",), ramp_episodes=10)
    assert schedule.level(0) == pytest.approx(0.1)
    assert schedule.level(9) == schedule.level(50) == 1.0
    assert Schedule(kinds=()).level(0) == 1.0


def test_a_button_disturbs_and_one_for_what_the_world_knows_not_does_nothing():
    env = peg_slot.make_env()
    env.reset(seed=0)
    assert isinstance(env, Disturbable)
    adversary = Adversary(env, Drawn(Schedule(kinds=(), rate=0.0)))
    adversary.begin_episode(3, 0)
    before = env.snapshot()["scene"]["slots"]
    events = [TeleopEvent(kind=EventKind.DISTURB, t=0.0, value=kind) for kind in ("slip", "object")]
    (done,) = read(adversary.strike(0, events))
    assert done.kind == "object"
    assert env.snapshot()["scene"]["slots"][0] - before[0] == pytest.approx(done.x)
    assert adversary.strike(1, []) == ""


def test_at_a_real_robot_it_is_only_noted():
    adversary = Adversary(None, Drawn(SCHEDULE))
    event = TeleopEvent(kind=EventKind.DISTURB, t=0.0, value="object")
    assert [adversary.strike(step, [event] if step == 3 else []) for step in range(5)] == ["", "", "", "object", ""]


@pytest.mark.parametrize("wrong", [{"rate": 1.1}, {"most": 0}, {"low_m": 0.1}, {"pause_steps": -1}])
def test_numbers_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError):
        Schedule(kinds=("object",), **wrong)
