"""The loop: every executed step is recorded once, with the right labels, whatever ends the episode."""

import threading

import numpy as np
import pytest
from actor.parts import A, NoisyPolicy, PointArm, ScriptedPerson, WalkEnv, cartesian, limits
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.actor.seeding import Role, Stream, episode_seed
from robot_hil.clock import MonotonicClock, VirtualClock
from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.data.step import Authority, Segment
from robot_hil.data.teleop import EventKind, SampleStatus
from robot_hil.errors import ConfigError, SafetyError, SpecError

HUMAN = np.array([1.0, -0.5, 0.25, 0.0], np.float32)
ENGAGED = {"engaged": True, "action": HUMAN}
FREE = {"engaged": False, "action": None}


class Rig:
    """A loop on a virtual clock, and the steps that came out of it."""

    def __init__(
        self, script=None, *, env=None, policy=None, gate=None, throttle=None, clock=None, spec=None, **config
    ):
        self.clock = clock or VirtualClock()
        self.env = env or WalkEnv()
        self.steps = []
        self.person = None if script is None else ScriptedPerson(self.clock, script)
        if self.person:
            self.person.start()
        self.arbiter = Arbiter(ArbiterConfig(action_dim=A, release_tail_s=0.1))
        self.loop = ControlLoop(
            self.env,
            policy or NoisyPolicy(),
            self.arbiter,
            self.steps.append,
            LoopConfig(**({"control_hz": 20.0, "run_seed": 7, "task": "walk"} | config)),
            teleop=self.person,
            clock=self.clock,
            gate=gate,
            throttle=throttle,
            spec=spec,
        )

    def run(self, stream=Stream.TRAIN, episode_id=0):
        return self.loop.run_episode(stream, episode_id)

    def check(self):
        """The recorded steps are the executed ones, each once, linked to one another and ended once."""
        assert [s.step_index for s in self.steps] == list(range(len(self.steps)))
        assert np.array_equal([s.action_executed for s in self.steps], self.env.executed)
        assert [s.is_last for s in self.steps] == [False] * (len(self.steps) - 1) + [True]
        assert [s.final_obs is not None for s in self.steps] == [s.is_last for s in self.steps]
        observed = [s.obs["k"].item() for s in self.steps] + [self.steps[-1].final_obs["k"].item()]
        assert observed == list(range(len(self.steps) + 1))
        onsets = [s.intervention_id for s in self.steps if s.onset]
        offsets = [s.intervention_id for s in self.steps if s.offset]
        assert onsets == offsets == list(range(len(onsets)))
        assert not any(s.terminated and s.truncated for s in self.steps)


def test_autonomous_episode():
    rig = Rig()
    result = rig.run()
    rig.check()
    assert result.success
    assert not result.truncated
    assert result.episode_return == 1.0
    assert (result.human_steps, result.interventions) == (0, 0)
    assert (result.policy_version_first, result.policy_version_last) == (3, 3)
    assert result.steps == len(rig.steps)
    assert result.duration_s == pytest.approx(result.steps * 0.05)
    assert result.deadline_misses == 0
    assert result.lateness_p99_s == 0
    last = rig.steps[-1]
    assert last.terminated
    assert last.success
    assert last.reward == {"env": 1.0}
    assert all(np.isnan(s.action_human).all() and np.isnan(s.t_human) for s in rig.steps)
    assert all(s.segment is Segment.NONE and s.task == "walk" for s in rig.steps)
    assert [s.t_obs for s in rig.steps] == pytest.approx(np.arange(result.steps) * 0.05)


def test_takeover_is_labelled_and_the_offset_is_on_the_last_tail_step():
    rig = Rig({3: ENGAGED, 5: FREE})
    result = rig.run()
    rig.check()
    assert result.interventions == 1
    assert result.human_steps == 2
    part = rig.steps[2:8]
    assert [s.intervention_id for s in part] == [-1, 0, 0, 0, -1, -1]
    assert [s.onset for s in part] == [False, True, False, False, False, False]
    assert [s.offset for s in part] == [False, False, False, True, False, False]
    assert [s.release_tail for s in part] == [False, False, False, True, False, False]
    assert [s.segment for s in part] == [Segment.NONE] + [Segment.CORRECTION] * 3 + [Segment.NONE] * 2
    taken = rig.steps[3]
    assert np.array_equal(taken.action_human, HUMAN)
    assert np.array_equal(taken.action_executed, HUMAN)
    assert np.isfinite(taken.action_policy).all()
    assert taken.t_human == taken.t_obs
    assert taken.device == "script"


def test_intervention_open_at_the_end_of_an_episode_is_closed_there():
    rig = Rig({3: ENGAGED})
    rig.run()
    rig.check()
    assert rig.steps[-1].offset


def test_demonstration():
    rig = Rig({0: ENGAGED})
    result = rig.run(Stream.DEMO)
    rig.check()
    assert result.success
    assert result.human_steps == result.steps
    assert result.interventions == 0
    assert (result.policy_version_first, result.policy_version_last) == (-1, -1)
    for step in rig.steps:
        assert step.segment is Segment.DEMO
        assert np.isnan(step.action_policy).all()
        assert (step.authority == Authority.HUMAN).all()
        assert step.intervention_id == -1


@pytest.mark.parametrize("stream", [Stream.EVAL, Stream.CHECK])
def test_alone_the_policy_is_deterministic_and_nobody_takes_over(stream):
    rig = Rig({1: ENGAGED})
    result = rig.run(stream)
    rig.check()
    assert result.human_steps == 0
    assert all((s.action_executed == 0.5).all() for s in rig.steps)


@pytest.mark.parametrize(
    ("event", "terminated", "success", "reward"),
    [(EventKind.SUCCESS, True, True, 1.0), (EventKind.FAIL, True, False, 0.0), (EventKind.RESET, False, False, None)],
)
def test_verdict_of_the_person_ends_the_episode(event, terminated, success, reward):
    rig = Rig({4: event})
    result = rig.run()
    rig.check()
    assert result.steps == 5
    last = rig.steps[-1]
    assert (last.terminated, last.truncated) == (terminated, not terminated)
    assert last.reward.get("human") == reward
    assert result.success is success
    assert not last.success  # the environment's own flag says nothing of the person


def test_success_flag_of_the_environment_is_kept_apart_from_the_reward():
    class Flagged(WalkEnv):
        def step(self, action):
            obs, reward, terminated, truncated, info = super().step(action)
            return obs, reward, terminated, truncated, info | {"success": self.k == 3}

    rig = Rig(env=Flagged())
    assert rig.run().success
    assert [s.step_index for s in rig.steps if s.success] == [2]


def test_verdict_at_the_time_out_terminates():
    rig = Rig({3: EventKind.FAIL}, env=WalkEnv(horizon=4))
    rig.run()
    rig.check()
    assert rig.steps[-1].terminated


def test_time_out_truncates():
    rig = Rig(env=WalkEnv(horizon=4))
    result = rig.run()
    rig.check()
    assert result.truncated
    assert not result.success


def test_stop_request_finishes_the_step_and_truncates():
    rig = Rig()
    rig.env.on_step = lambda k: rig.loop.request_stop() if k == 2 else None
    assert not rig.loop.stop_requested
    assert rig.run().truncated
    rig.check()
    assert len(rig.steps) == 3
    assert rig.loop.stop_requested


@pytest.mark.parametrize("error", [SafetyError("the gate is latched"), ValueError("bug"), KeyboardInterrupt()])
@pytest.mark.parametrize("engaged", [False, True])
def test_exception_closes_the_episode_and_is_never_swallowed(error, engaged):
    def fail(k):
        if k == 3:
            raise error

    rig = Rig({1: ENGAGED} if engaged else None, env=WalkEnv(on_step=fail))
    with pytest.raises(type(error)):
        rig.run()
    rig.check()
    assert len(rig.steps) == 3
    assert rig.steps[-1].truncated
    assert rig.steps[-1].offset is engaged


def test_exception_in_the_first_step_leaves_nothing_half_recorded():
    def fail(k):
        raise SafetyError("refused")

    rig = Rig(env=WalkEnv(on_step=fail))
    with pytest.raises(SafetyError):
        rig.run()
    assert rig.steps == []


def test_estop_stops_the_gate_before_anything_is_sent_and_ends_the_loop():
    clock = VirtualClock()
    arm = PointArm(clock)
    gate = SafetyGate(arm, limits(), clock)
    gate.connect()
    rig = Rig({1: ENGAGED, 4: EventKind.ESTOP}, gate=gate, clock=clock)
    with pytest.raises(SafetyError, match="e-stop by script"):
        rig.run()
    rig.check()
    assert len(rig.steps) == 4
    assert rig.steps[-1].truncated
    assert rig.steps[-1].offset
    assert gate.mode is GateState.STOP
    with pytest.raises(SafetyError):  # latched: no reset either
        rig.run(episode_id=1)
    assert len(rig.env.seeds) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_arm_is_stopped_at_the_end_of_an_episode_without_a_latch(fails):
    def fail(k):
        if fails and k == 3:
            raise ValueError("bug")

    clock = VirtualClock()
    arm = PointArm(clock)
    gate = SafetyGate(arm, limits(), clock)
    gate.connect()
    try:
        Rig(gate=gate, clock=clock, env=WalkEnv(on_step=fail)).run()
    except ValueError:
        assert fails
    assert arm.stops == 1
    assert gate.mode is GateState.RUN


def test_watchdog_of_the_gate_is_asked_every_period():
    clock = VirtualClock()
    gate = SafetyGate(PointArm(clock), limits(max_command_age=0.04), clock)
    gate.connect()
    gate.command(cartesian((0.5, 0, 0.3)))
    Rig(gate=gate, clock=clock).run()
    assert gate.mode is GateState.HOLD


def test_lost_device_holds_and_the_next_reset_waits_for_a_person():
    rig = Rig(
        {2: ENGAGED, 4: {"status": SampleStatus.LOST}}, env=WalkEnv(horizon=10), desk=DeskConfig(hold_timeout_s=3.0)
    )
    result = rig.run()
    rig.check()
    assert result.truncated
    assert [bool((s.authority == Authority.HOLD).all()) for s in rig.steps] == [False] * 4 + [True] * 6
    assert rig.steps[3].offset
    assert rig.loop.last_decision.state is ArbiterState.HOLD
    with pytest.raises(SafetyError, match=r"nobody resumed within 3.0 s: .*lost"):
        rig.run(episode_id=1)
    assert len(rig.env.seeds) == 1
    rig.person.script = {rig.person.tick + 2: FREE | {"status": SampleStatus.OK}, rig.person.tick + 4: EventKind.RESUME}
    rig.steps.clear()
    rig.env.executed.clear()
    assert rig.run(episode_id=1).steps == 10
    assert all((s.authority == Authority.POLICY).all() for s in rig.steps)


@pytest.mark.parametrize("script", [{}, {0: EventKind.PAUSE}])
def test_after_a_stop_request_nothing_moves_not_even_a_reset(script):
    rig = Rig(script, env=WalkEnv(horizon=2))
    rig.run()
    rig.loop.request_stop()
    result = rig.run(episode_id=1)
    assert (result.steps, result.truncated) == (0, True)
    assert len(rig.env.seeds) == 1


def test_nan_of_the_policy_is_recorded_and_not_executed():
    class Broken(NoisyPolicy):
        def act(self, obs, deterministic=False):
            return super().act(obs, deterministic) * (np.nan if obs["k"] == 3 else 1)

    rig = Rig(policy=Broken(), env=WalkEnv(horizon=6))
    rig.run()
    rig.check()
    assert np.isnan(rig.steps[3].action_policy).all()
    assert all((s.action_executed == 0).all() for s in rig.steps[3:])


def test_episodes_repeat_exactly_whatever_ran_before():
    def actions(*episodes):
        rig = Rig()
        for stream, number in episodes:
            rig.steps.clear()
            rig.run(stream, number)
        return rig.env.seeds[-1], [s.action_executed.tolist() for s in rig.steps]

    assert actions((Stream.TRAIN, 5)) == actions((Stream.TRAIN, 4), (Stream.EVAL, 5), (Stream.TRAIN, 5))
    assert actions((Stream.TRAIN, 5)) != actions((Stream.TRAIN, 6))


def test_device_that_wants_to_know_is_told_each_proposal_before_its_sample():
    class Watcher(ScriptedPerson):
        proposals = ()

        def observe_proposal(self, action):
            assert len(self.proposals) == self.tick + 1
            self.proposals += (action.tolist(),)

    clock = VirtualClock()
    watcher = Watcher(clock, {})
    watcher.start()
    steps = []
    config = LoopConfig(control_hz=20.0)
    arbiter = Arbiter(ArbiterConfig(action_dim=A))
    loop = ControlLoop(WalkEnv(), NoisyPolicy(), arbiter, steps.append, config, teleop=watcher, clock=clock)
    loop.run_episode(Stream.TRAIN, 0)
    assert list(watcher.proposals) == [s.action_policy.tolist() for s in steps]


def test_throttle_is_asked_between_steps_and_makes_the_actor_wait():
    asked = []

    def throttle():
        asked.append(len(asked))
        return len(asked) % 3 != 0

    result = Rig(throttle=throttle).run()
    assert len(asked) == 3 * (result.steps - 1)


def test_throttled_actor_can_be_stopped():
    rig = Rig(throttle=lambda: True)
    threading.Timer(0.05, rig.loop.request_stop).start()
    rig.run()
    rig.check()
    assert rig.steps[-1].truncated


def test_real_time_loop_runs_and_keeps_its_clock():
    result = Rig(realtime=True, control_hz=200.0, clock=MonotonicClock()).run()
    assert result.duration_s >= result.steps / 200.0 - 1e-6
    assert result.lateness_p99_s >= 0


@pytest.mark.parametrize(
    "arguments", [{"control_hz": 0.0}, {"control_hz": float("nan")}, {"realtime": True, "throttle": lambda: False}]
)
def test_settings_that_cannot_work_are_refused(arguments):
    with pytest.raises(ConfigError):
        Rig(**arguments)


def test_demonstrations_need_a_device_and_other_episodes_a_policy():
    with pytest.raises(ConfigError, match="device"):
        Rig().run(Stream.DEMO)
    rig = Rig({})
    rig.loop._policy = None
    with pytest.raises(ConfigError, match="policy"):
        rig.run(Stream.EVAL)


def test_observation_that_does_not_match_the_specification_is_refused_before_anything_moves():
    spec = EnvSpec(
        env_id="walk",
        observation={"x": ArraySpec(shape=(2,)), "k": ArraySpec(shape=(1,))},
        action=ArraySpec(shape=(A,), low=-1, high=1),
        control_hz=20.0,
        max_episode_steps=50,
    )
    rig = Rig(spec=spec)
    with pytest.raises(SpecError, match="'x'"):
        rig.run()
    assert rig.env.executed == []


entries = st.sampled_from(
    [ENGAGED, FREE, {"status": SampleStatus.LOST}, {"status": SampleStatus.OK}, *EventKind, {"action": None}]
)


@settings(max_examples=100)
@given(st.dictionaries(st.integers(0, 25), entries, max_size=10), st.sampled_from(Stream), st.integers(0, 30))
def test_whatever_happens_executed_steps_are_recorded_once(script, stream, fails_at):
    def fail(k):
        if k == fails_at:
            raise RuntimeError("broken")

    rig = Rig(script, env=WalkEnv(horizon=25, on_step=fail))
    try:
        result = rig.run(stream)
    except (SafetyError, RuntimeError):
        pass
    else:
        assert result.steps == len(rig.steps)
        assert result.interventions == sum(s.onset for s in rig.steps)
    if rig.steps:
        rig.check()
    assert len(rig.steps) == len(rig.env.executed)
    for step in rig.steps:
        executed_policy = step.authority == Authority.POLICY
        assert np.array_equal(step.action_executed[executed_policy], step.action_policy[executed_policy])
        executed_human = step.authority == Authority.HUMAN
        assert np.array_equal(step.action_executed[executed_human], step.action_human[executed_human])


def test_seeds_of_streams_and_roles_never_meet():
    seeds = {
        (stream, role, k): episode_seed(11, stream, k, role) for stream in Stream for role in Role for k in range(300)
    }
    assert all(0 <= seed < 2**31 for seed in seeds.values())
    by_stream = [{seed for key, seed in seeds.items() if key[0] is stream} for stream in Stream]
    assert sum(map(len, by_stream)) == len(set().union(*by_stream))
    assert len(set(seeds.values())) == len(seeds)
    assert episode_seed(11, Stream.TRAIN, 0) == seeds[Stream.TRAIN, Role.ENV, 0]
    with pytest.raises(ConfigError):
        episode_seed(-1, Stream.TRAIN, 0)
