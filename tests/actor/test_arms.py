"""Two arms: taking over one leaves the other alone; loss and stops concern both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.actor.arms import ArmsArbiter, FreeArm, arms_of
from robot_hil.actor.sharing import Mode
from robot_hil.data.step import Authority
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError

ARMS = {"left": slice(0, 2), "right": slice(2, 5)}
CONFIG = ArbiterConfig(action_dim=5, release_tail_s=0.0)
PROPOSAL = np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32)
PULL = np.full(5, -1.0, np.float32)
LEFT = np.array([True, True, False, False, False])


def sample(t: float, mask: np.ndarray | None = LEFT, *, engaged: bool = True, **more: object) -> TeleopSample:
    values = {"status": SampleStatus.OK, "t": t, "engaged": engaged, "action": PULL if engaged else None, "mask": mask}
    return TeleopSample(**(values | more))  # type: ignore[arg-type]


def test_touching_the_left_arm_leaves_the_right_to_its_policy():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    decision = arbiter.update(0.0, PROPOSAL, sample(0.0))
    assert decision.action.tolist() == [-1, -1, *PROPOSAL[2:].tolist()]
    assert decision.authority.tolist() == [Authority.HUMAN] * 2 + [Authority.POLICY] * 3
    assert arbiter.states == {"left": ArbiterState.HUMAN, "right": ArbiterState.POLICY}
    assert decision.state is ArbiterState.HUMAN
    assert (decision.onset, decision.intervention_id) == (True, 0)


def test_the_free_arm_can_be_made_to_hold():
    arbiter = ArmsArbiter(CONFIG, ARMS, FreeArm.HOLD)
    decision = arbiter.update(0.0, PROPOSAL, sample(0.0))
    assert decision.action.tolist() == [-1, -1, 0, 0, 0]
    assert decision.authority.tolist() == [Authority.HUMAN] * 2 + [Authority.HOLD] * 3
    decision = arbiter.update(0.1, PROPOSAL, sample(0.1, engaged=False))
    assert decision.action.tolist() == PROPOSAL.tolist()


def test_the_right_arm_keeps_its_mode_in_residual_control():
    config = ArbiterConfig(action_dim=5, mode=Mode.RESIDUAL, residual_gain=1.0, residual_max=1.0)
    arbiter = ArmsArbiter(config, ARMS)
    decision = arbiter.update(0.0, PROPOSAL, sample(0.0))
    assert decision.authority.tolist() == [Authority.BLENDED] * 2 + [Authority.POLICY] * 3
    assert decision.action[:2].tolist() == pytest.approx([-0.9, -0.8])


def test_one_intervention_spans_both_arms():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    ids = []
    for i, mask in enumerate([LEFT, None, ~LEFT, None]):
        ids.append(arbiter.update(0.1 * i, PROPOSAL, sample(0.1 * i, mask)).intervention_id)
    end = arbiter.update(0.5, PROPOSAL, sample(0.5, engaged=False))
    assert ids == [0] * 4
    assert (end.intervention_id, end.closes_previous) == (-1, True)
    assert arbiter.update(0.6, PROPOSAL, sample(0.6, ~LEFT)).intervention_id == 1


def test_loss_holds_both_arms_until_resumed():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    arbiter.update(0.0, PROPOSAL, sample(0.0))
    lost = arbiter.update(0.1, PROPOSAL, sample(0.1, engaged=False, status=SampleStatus.LOST))
    assert set(arbiter.states.values()) == {ArbiterState.HOLD}
    assert not lost.action.any()
    resume = [TeleopEvent(kind=EventKind.RESUME, t=0.2)]
    assert arbiter.update(0.2, PROPOSAL, sample(0.2, engaged=False), resume).state is ArbiterState.POLICY


def test_estop_stops_both_and_clears_in_two_steps():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    arbiter.update(0.0, PROPOSAL, sample(0.0, engaged=False), [TeleopEvent(kind=EventKind.ESTOP, t=0.0)])
    assert set(arbiter.states.values()) == {ArbiterState.ESTOP}
    clear = [TeleopEvent(kind=EventKind.CLEAR, t=0.1, reason="safe")]
    assert arbiter.update(0.1, PROPOSAL, sample(0.1, engaged=False), clear).state is ArbiterState.HOLD
    arbiter.emergency_stop("again")
    arbiter.clear_estop("safe")
    assert arbiter.state is ArbiterState.HOLD


def test_a_requested_hold_concerns_both():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    arbiter.update(0.0, PROPOSAL, sample(0.0))
    arbiter.request_hold("unplugged")
    assert arbiter.hold_requested
    assert arbiter.state is ArbiterState.HOLD
    assert arbiter.update(0.1, PROPOSAL, sample(0.1)).reason == "unplugged"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, "left", "right"]),
            st.booleans(),
            st.sampled_from([SampleStatus.OK] * 5 + [SampleStatus.LOST]),
            st.sampled_from([None, None, None, EventKind.RESUME, EventKind.PAUSE]),
        ),
        max_size=25,
    )
)
def test_each_arm_does_what_its_own_arbiter_would(moves):
    both = ArmsArbiter(CONFIG, ARMS)
    alone = {name: Arbiter(ArbiterConfig(action_dim=p.stop - p.start, release_tail_s=0.0)) for name, p in ARMS.items()}
    for i, (arm, engaged, status, kind) in enumerate(moves):
        t = 0.1 * i
        events = [] if kind is None else [TeleopEvent(kind=kind, t=t)]
        mask = None if arm is None else np.array([arm == "left"] * 2 + [arm == "right"] * 3)
        decision = both.update(t, PROPOSAL, sample(t, mask, engaged=engaged, status=status), events)
        for name, part in ARMS.items():
            mine = sample(t, None, engaged=engaged and arm in (None, name), status=status)
            mine = TeleopSample(
                status=mine.status, t=t, engaged=mine.engaged, action=PULL[part] if mine.engaged else None
            )
            expected = alone[name].update(t, PROPOSAL[part], mine, events)
            assert decision.action[part].tolist() == expected.action.tolist()
            assert decision.authority[part].tolist() == expected.authority.tolist()


def test_malformed_input_moves_nothing():
    arbiter = ArmsArbiter(CONFIG, ARMS)
    arbiter.update(0.0, PROPOSAL, sample(0.0))
    decision = arbiter.update(0.1, PROPOSAL, sample(0.1, action=np.zeros(3, np.float32)))
    assert decision.state is ArbiterState.HOLD
    assert not decision.action.any()


def test_arms_are_read_from_names():
    assert arms_of(("left.x", "right.x", "right.gripper")) == {"left": slice(0, 1), "right": slice(1, 3)}
    with pytest.raises(ConfigError, match="next to each other"):
        arms_of(("left.x", "right.x", "left.y"))
    with pytest.raises(ConfigError, match="some dimensions"):
        arms_of(("left.x", "x"))
    with pytest.raises(ConfigError, match="share out"):
        ArmsArbiter(CONFIG, {"left": slice(0, 2)})
