"""Recovery and correction: stages in order, whatever is pressed; nothing after the correction is stored; ways back."""

import numpy as np
import pytest
from actor.parts import A, NoisyPolicy, PointArm, ScriptedPerson, WalkEnv, limits
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, Decision, TailDriver
from robot_hil.actor.desk import DeskConfig
from robot_hil.actor.loop import ControlLoop, LoopConfig
from robot_hil.actor.recovery import RecoveryCorrection, Stage
from robot_hil.actor.rewind import Rewind
from robot_hil.actor.safety import SafetyGate
from robot_hil.actor.seeding import Stream
from robot_hil.clock import VirtualClock
from robot_hil.data import rotation
from robot_hil.data.robot import ActionScale, CartesianTarget, ToolState
from robot_hil.data.step import Authority, Segment
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent
from robot_hil.errors import ConfigError, SafetyError

PULL = np.array([-0.5, 0.0, 0.0, 0.0], np.float32)
DRIVES = {"engaged": True, "action": PULL, "rewind": False}
BACK = {"engaged": True, "action": None, "rewind": True}
FREE = {"engaged": False, "action": None, "rewind": False}
ORDER = [Stage.AUTONOMOUS, Stage.RECOVERY, Stage.CORRECTION, Stage.OVER]


def decision(state: ArbiterState, intervention: int) -> Decision:
    return Decision(
        action=np.zeros(A, np.float32), authority=np.zeros(A, np.uint8), state=state, intervention_id=intervention,
        onset=False, closes_previous=False, release_tail=False, reason="",
    )  # fmt: skip


class AnyOrder(RuleBasedStateMachine):
    """Takeovers, buttons, holds and ways back in any order."""

    def __init__(self):
        super().__init__()
        self.episode = RecoveryCorrection()
        self.segments = []

    @rule()
    def new_episode(self):
        self.episode.begin_episode()
        self.segments.clear()

    @rule(
        state=st.sampled_from([ArbiterState.HUMAN] * 3 + list(ArbiterState)),
        rewound=st.booleans(),
        kinds=st.lists(st.sampled_from([EventKind.NEXT] * 2 + list(EventKind)), max_size=3),
    )
    def period(self, state, rewound, kinds):
        held = state in (ArbiterState.HOLD, ArbiterState.ESTOP)
        driven = state is ArbiterState.HUMAN
        before = self.episode.stage
        events = [TeleopEvent(kind=kind, t=0.0) for kind in kinds]
        segment = self.episode.follow(decision(state, 0 if driven else -1), rewound and driven, events)
        after = self.episode.stage
        self.segments.append(segment)
        if held or before is Stage.OVER:
            assert after is before
            assert segment is Segment.NONE
        back = before is Stage.CORRECTION and after is Stage.RECOVERY
        assert ORDER.index(after) >= ORDER.index(before) or (back and rewound)
        if after is Stage.OVER and before is not Stage.OVER:
            assert EventKind.NEXT in kinds
        if before is Stage.AUTONOMOUS and not driven:
            assert after is Stage.AUTONOMOUS
        assert (segment is Segment.NONE) == (not driven or after is Stage.OVER)

    @invariant()
    def a_correction_follows_a_recovery(self):
        assert Segment.DEMO not in self.segments
        assert self.episode.stage is not Stage.AUTONOMOUS or not any(self.segments)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=40, stateful_step_count=20)


class Rig:
    """A loop in which who takes over recovers and corrects, on a line."""

    def __init__(self, script, *, recovery=True, env=None, gate=None, clock=None):
        self.clock = clock or VirtualClock()
        self.env = env or WalkEnv(horizon=30)
        self.steps = []
        self.person = ScriptedPerson(self.clock, script)
        self.person.start()
        config = ArbiterConfig(action_dim=A, release_tail_s=0.0, tail_driver=TailDriver.POLICY)
        self.arbiter = Arbiter(config)
        scale = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.1, gripper_m=0.1)
        self.loop = ControlLoop(
            self.env,
            NoisyPolicy(),
            self.arbiter,
            self.steps.append,
            LoopConfig(control_hz=10.0, run_seed=3, desk=DeskConfig(recovery=recovery)),
            teleop=self.person,
            clock=self.clock,
            gate=gate,
            rewind=Rewind(scale, self.tool),
        )

    def tool(self):
        return ToolState(
            pos_base=np.array([self.env.x, 0.0, 0.0]), quat_base=np.array([1.0, 0.0, 0.0, 0.0]), gripper_width=0.0,
            joint_pos=np.zeros(7),
        )  # fmt: skip

    def run(self, stream=Stream.TRAIN):
        return self.loop.run_episode(stream, 0)

    def segments(self):
        return [step.segment.name for step in self.steps]


def test_the_episode_ends_truncated_with_the_last_step_of_the_correction():
    rig = Rig({2: DRIVES, 5: EventKind.NEXT, 8: EventKind.NEXT})
    result = rig.run()
    assert rig.segments() == ["NONE"] * 2 + ["RECOVERY"] * 3 + ["CORRECTION"] * 3
    last = rig.steps[-1]
    assert (last.truncated, last.terminated, last.offset) == (True, False, True)
    assert last.final_obs is not None
    assert last.final_obs["k"].item() == 8
    assert len(rig.env.executed) == 8
    assert result.truncated
    assert (result.steps, result.human_steps, result.interventions) == (8, 6, 1)


def test_who_lets_go_leaves_the_arm_standing_and_goes_on_in_the_same_intervention():
    rig = Rig({2: DRIVES, 4: FREE, 7: DRIVES, 8: EventKind.NEXT, 9: EventKind.NEXT})
    rig.run()
    assert rig.segments() == ["NONE"] * 2 + ["RECOVERY"] * 6 + ["CORRECTION"]
    assert [step.onset for step in rig.steps] == [k == 2 for k in range(9)]
    for step in rig.steps[4:7]:
        assert (step.authority == Authority.HOLD).all()
        assert step.release_tail
        assert not step.action_executed.any()


def test_the_policy_never_drives_again_after_a_loss_and_a_resume():
    lost = {"status": SampleStatus.LOST, **FREE}
    script = {2: DRIVES, 4: lost, 5: {"status": SampleStatus.OK}, 6: EventKind.RESUME, 9: DRIVES, 11: EventKind.NEXT}
    rig = Rig(script | {13: EventKind.NEXT})
    rig.run()
    assert not any((step.authority == Authority.POLICY).any() for step in rig.steps[2:])
    assert [step.intervention_id for step in rig.steps] == [-1, -1, 0, 0] + [-1] * 5 + [1] * 4
    assert rig.segments()[4:] == ["NONE"] * 5 + ["RECOVERY"] * 2 + ["CORRECTION"] * 2


def test_buttons_before_a_takeover_and_in_a_demonstration_say_nothing():
    rig = Rig({1: EventKind.NEXT, 3: EventKind.NEXT})
    rig.run()
    assert rig.steps[-1].terminated
    assert set(rig.segments()) == {"NONE"}
    rig = Rig({0: DRIVES | {"action": -PULL}, 3: EventKind.NEXT, 5: EventKind.NEXT})
    rig.run(Stream.DEMO)
    assert set(rig.segments()) == {"DEMO"}
    assert len(rig.steps) > 6


def test_the_way_back_is_the_way_out_at_half_the_speed():
    rig = Rig({6: BACK, 14: DRIVES, 15: EventKind.NEXT, 16: EventKind.NEXT})
    rig.run()
    x = [step.obs["x"].item() for step in rig.steps] + [rig.steps[-1].final_obs["x"].item()]
    assert x[8] == pytest.approx(x[5], abs=1e-5)
    assert x[14] == pytest.approx(x[2], abs=1e-5)
    assert rig.segments() == ["NONE"] * 6 + ["REWIND"] * 8 + ["RECOVERY", "CORRECTION"]
    assert all(np.isnan(step.action_human).all() for step in rig.steps[:14])
    assert all((step.authority == Authority.HUMAN).all() for step in rig.steps[6:])


def test_at_the_beginning_of_the_way_the_arm_stands():
    rig = Rig({2: BACK, 12: EventKind.RESET}, recovery=False)
    rig.run()
    assert rig.steps[11].obs["x"].item() == pytest.approx(rig.steps[0].obs["x"].item(), abs=1e-5)
    assert not rig.steps[11].action_executed.any()


def test_letting_go_ends_the_way_back_in_the_same_period():
    rig = Rig({6: BACK, 8: FREE}, recovery=False)
    rig.run()
    assert rig.segments()[:9] == ["NONE"] * 6 + ["REWIND"] * 2 + ["NONE"]
    assert (rig.steps[8].authority == Authority.POLICY).all()


@pytest.mark.parametrize("status", [SampleStatus.LOST, SampleStatus.DISCONNECTED, SampleStatus.ESTIMATED])
def test_a_lost_device_holds_on_the_way_back(status):
    rig = Rig({6: BACK, 8: {"status": status}, 12: EventKind.RESET}, recovery=False)
    rig.run()
    assert rig.arbiter.state is ArbiterState.HOLD
    for step in rig.steps[8:]:
        assert (step.authority == Authority.HOLD).all()
        assert not step.action_executed.any()


class GatedWalk(WalkEnv):
    """The line walked by an arm behind a safety gate."""

    def __init__(self, gate):
        super().__init__(horizon=30)
        self.gate = gate

    def step(self, action):
        self.gate.command(
            CartesianTarget(
                pos_base=np.array([0.4 + self.x + float(action[0]) / 10, 0.0, 0.3]),
                quat_base=np.array([1.0, 0.0, 0.0, 0.0]),
                gripper_width=0.04,
            )
        )
        return super().step(action)


@pytest.mark.parametrize("trouble", ["fault", "force"])
def test_a_fault_or_force_stops_the_way_back(trouble):
    clock = VirtualClock()
    arm = PointArm(clock)
    gate = SafetyGate(arm, limits(), clock)
    gate.connect()
    env = GatedWalk(gate)
    rig = Rig({4: BACK}, env=env, gate=gate, clock=clock)

    def break_down(k):
        if k == 6:
            arm.fault = "collision" if trouble == "fault" else ""
            arm.wrench[2] = 0.0 if trouble == "fault" else 99.0

    env.on_step = break_down
    with pytest.raises(SafetyError):
        rig.run()
    assert rig.steps[-1].truncated
    assert rig.segments() == ["NONE"] * 4 + ["REWIND"] * 3
    assert len(arm.sent) == 7


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.1, 1), *[st.floats(-1, 1)] * 6), min_size=1, max_size=12),
    st.integers(1, 30),
    st.sampled_from([0.25, 0.5, 1.0]),
)
def test_a_way_of_any_motions_leads_back_along_itself(motions, periods, share):
    axes = ("x", "y", "z", "rx", "ry", "rz", "gripper")
    scale = ActionScale(axes=axes, linear_m=0.02, angular_rad=0.05, gripper_m=0.01)
    arm = Follower(scale)
    rewind = Rewind(scale, arm.tool, share)
    rewind.begin_episode()
    way = [arm.tool()]
    for motion in motions:
        arm.move(motion)
        rewind.note(False)
        rewind.note(False)  # standing still is no part of it
        way.append(arm.tool())
    for k in range(1, periods + 1):
        action = rewind.action()
        assert action.dtype == np.float32
        assert (np.abs(action) <= 1).all()
        arm.move(action.tolist())
        rewind.note(True)
        at = max(0.0, len(motions) - k * share)
        assert rewind.left == at
        if at == int(at):
            assert arm.tool().pos_base == pytest.approx(way[int(at)].pos_base, abs=1e-6)
            assert np.abs(arm.tool().quat_base @ way[int(at)].quat_base) == pytest.approx(1.0, abs=1e-6)
            assert arm.tool().gripper_width == pytest.approx(way[int(at)].gripper_width, abs=1e-6)


class Follower:
    """A tool that is where it was told to be."""

    def __init__(self, scale):
        self.scale, self.pos, self.quat, self.width = scale, np.zeros(3), (1.0, 0.0, 0.0, 0.0), 0.04

    def tool(self):
        return ToolState(
            pos_base=self.pos.copy(), quat_base=np.array(self.quat), gripper_width=self.width, joint_pos=np.zeros(7)
        )

    def move(self, action):
        self.pos = self.pos + self.scale.linear_m * np.array(action[:3])
        turn = [self.scale.angular_rad * value for value in action[3:6]]
        self.quat = rotation.multiply(rotation.from_rotvec(turn), self.quat)
        self.width += self.scale.gripper_m * action[6]


def test_a_share_of_the_speed_that_means_nothing_is_refused():
    with pytest.raises(ConfigError, match="share"):
        Rewind(ActionScale(axes=("x",), linear_m=0.1), lambda: None, 0.0)
