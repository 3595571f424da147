"""The arbiter: lost is never released, NaN never executed, labels pair up; whatever comes in whatever order."""

from dataclasses import replace

import numpy as np
import pytest
from actor.parts import A
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, TailDriver
from robot_hil.actor.sharing import Mode
from robot_hil.data.step import Authority
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError, SafetyError

DT = 0.05
POLICY = np.full(A, 0.5, np.float32)
HUMAN = np.full(A, -0.8, np.float32)
NAN = np.full(A, np.nan, np.float32)
HAND = (False, False, False, True)


class Driver:
    """An arbiter with a clock: each call is one period."""

    def __init__(self, **config):
        self.arbiter = Arbiter(ArbiterConfig(action_dim=A, **config))
        self.t = 0.0

    def __call__(self, engaged=False, *events, proposal=POLICY, action=HUMAN, **sample):
        self.t += DT
        action = action if engaged else None
        given_sample = TeleopSample(
            **({"status": SampleStatus.OK, "t": self.t, "engaged": engaged, "action": action, "device": "d"} | sample)
        )
        edges = [TeleopEvent(kind=kind, t=self.t, source="d") for kind in events]
        return self.arbiter.update(self.t, proposal, given_sample, edges)

    def lose(self):
        return self(status=SampleStatus.DISCONNECTED)


def is_hold(decision):
    return (decision.action == 0).all() and (decision.authority == Authority.HOLD).all()


def test_policy_drives_while_nobody_engages():
    decision = Driver()()
    assert decision.state is ArbiterState.POLICY
    assert np.array_equal(decision.action, POLICY)
    assert (decision.authority == Authority.POLICY).all()
    assert decision.intervention_id == -1


def test_takeover_release_tail_and_hand_back():
    drive = Driver(release_tail_s=0.15)
    drive()
    first, second = drive(True), drive(True)
    assert np.array_equal(first.action, HUMAN)
    assert (first.authority == Authority.HUMAN).all()
    assert (first.onset, second.onset) == (True, False)
    assert first.intervention_id == second.intervention_id == 0
    tail = [drive(), drive()]
    assert all(d.state is ArbiterState.RELEASING and d.release_tail and is_hold(d) for d in tail)
    assert all(d.intervention_id == 0 and not d.closes_previous for d in tail)
    back = drive()
    assert back.state is ArbiterState.POLICY
    assert back.closes_previous
    assert back.intervention_id == -1
    assert drive(True).intervention_id == 1


def test_engaging_in_the_tail_continues_the_intervention():
    drive = Driver()
    drive(True)
    drive()
    again = drive(True)
    assert again.state is ArbiterState.HUMAN
    assert (again.intervention_id, again.onset, again.closes_previous) == (0, False, False)


def test_policy_may_drive_the_tail():
    drive = Driver(tail_driver=TailDriver.POLICY)
    drive(True)
    decision = drive()
    assert decision.release_tail
    assert (decision.authority == Authority.POLICY).all()


def test_a_takeover_lasts_at_least_min_hold():
    drive = Driver(release_tail_s=0.0, min_hold_s=0.3)
    states = [drive(k == 0).state for k in range(8)]
    assert states == [ArbiterState.HUMAN] + [ArbiterState.RELEASING] * 5 + [ArbiterState.POLICY] * 2


def test_engage_delay_stands_still_and_a_flicker_starts_no_intervention():
    drive = Driver(engage_s=0.1)
    first = drive(True)
    assert first.state is ArbiterState.ENGAGING
    assert is_hold(first)
    assert drive().state is ArbiterState.POLICY
    assert [drive(True).onset for _ in range(4)] == [False, False, True, False]


def test_dead_man_pressed_without_a_command_holds():
    drive = Driver()
    assert drive(True, action=None).state is ArbiterState.ENGAGING
    drive(True)
    still = drive(True, action=None)
    assert still.state is ArbiterState.HUMAN
    assert still.intervention_id == 0
    assert is_hold(still)


def test_mask_splits_the_dimensions():
    drive = Driver(mode=Mode.MASKED)
    mask = np.array([True, False, True, False])
    decision = drive(True, mask=mask)
    assert np.array_equal(decision.action, np.where(mask, HUMAN, POLICY))
    assert decision.authority.tolist() == [Authority.HUMAN, Authority.POLICY] * 2
    alone = drive(True, mask=mask, proposal=None)
    assert alone.authority.tolist() == [Authority.HUMAN, Authority.HOLD] * 2


@pytest.mark.parametrize("status", [SampleStatus.ESTIMATED, SampleStatus.LOST, SampleStatus.DISCONNECTED])
@pytest.mark.parametrize("before", [[], [True], [True, False]])
def test_lost_is_not_released(status, before):
    drive = Driver()
    for engaged in [False, *before]:
        drive(engaged)
    lost = drive(status=status)
    assert lost.state is ArbiterState.HOLD
    assert is_hold(lost)
    assert lost.closes_previous == bool(before)
    assert status.value in lost.reason
    assert drive().state is ArbiterState.HOLD  # the device is back, but nobody resumed
    assert "let go" in drive(True, EventKind.RESUME).reason
    assert drive(True).state is ArbiterState.HOLD
    resumed = drive(False, EventKind.RESUME)
    assert resumed.state is ArbiterState.POLICY
    assert resumed.reason == ""


def test_resume_is_refused_while_the_device_is_lost():
    drive = Driver()
    drive(True)
    drive.lose()
    refused = drive(False, EventKind.RESUME, status=SampleStatus.LOST)
    assert refused.state is ArbiterState.HOLD
    assert "cannot resume" in refused.reason


@pytest.mark.parametrize("age", [0.21, -0.21, 1e9])
def test_stale_samples_hold(age):
    drive = Driver()
    drive(True)
    assert drive(True, t=drive.t + DT - age).state is ArbiterState.HOLD


@pytest.mark.parametrize("action", [NAN, np.full(A, np.inf, np.float32), np.zeros(A + 1, np.float32)])
def test_broken_human_command_holds(action):
    drive = Driver()
    drive(True)
    assert is_hold(drive(True, action=action))
    assert drive.arbiter.state is ArbiterState.HOLD


def test_optional_device_that_never_worked_blocks_nothing_and_drives_nothing():
    drive = Driver()
    decision = drive(True, status=SampleStatus.DISCONNECTED)
    assert decision.state is ArbiterState.POLICY
    assert np.array_equal(decision.action, POLICY)


def test_required_device_holds_until_it_works():
    drive = Driver(device_required=True)
    assert drive.lose().state is ArbiterState.HOLD
    assert drive(False, EventKind.RESUME).state is ArbiterState.POLICY


@pytest.mark.parametrize("proposal", [NAN, np.array([0, 0, np.inf, 0]), np.zeros(A - 1)])
def test_broken_proposal_holds(proposal):
    drive = Driver()
    decision = drive(proposal=proposal)
    assert decision.state is ArbiterState.HOLD
    assert is_hold(decision)
    assert "policy proposed" in decision.reason
    assert drive().state is ArbiterState.HOLD
    assert drive(False, EventKind.RESUME).state is ArbiterState.POLICY


def test_broken_proposal_does_not_take_the_arm_from_the_person():
    drive = Driver(release_tail_s=0.0)
    drive(True)
    assert np.array_equal(drive(True, proposal=NAN).action, HUMAN)
    assert drive(False, proposal=NAN).state is ArbiterState.HOLD


def test_broken_proposal_in_residual_closes_the_intervention():
    drive = Driver(mode=Mode.RESIDUAL)
    drive(True)
    decision = drive(True, proposal=NAN)
    assert is_hold(decision)
    assert (decision.closes_previous, decision.intervention_id) == (True, -1)


def test_proposal_out_of_range_is_clipped():
    assert (Driver()(proposal=POLICY * 10).action == 1).all()


def test_pause_and_resume():
    drive = Driver()
    drive()
    assert is_hold(drive(False, EventKind.PAUSE))
    assert is_hold(drive())
    assert drive(False, EventKind.RESUME).state is ArbiterState.POLICY


def test_estop_latches_over_everything_but_a_reason():
    drive = Driver()
    stopped = drive(True, EventKind.ESTOP, EventKind.RESUME)
    assert stopped.state is ArbiterState.ESTOP
    assert is_hold(stopped)
    drive.arbiter.begin_episode()
    assert drive(False, EventKind.RESUME, EventKind.PAUSE).state is ArbiterState.ESTOP
    with pytest.raises(SafetyError, match="reason"):
        drive.arbiter.clear_estop("")
    drive.arbiter.clear_estop("cell checked")
    assert is_hold(drive())
    assert drive(False, EventKind.RESUME).state is ArbiterState.POLICY


def test_new_episode_counts_interventions_from_zero():
    drive = Driver()
    drive(True)
    drive.arbiter.begin_episode()
    again = drive(True)
    assert (again.intervention_id, again.onset, again.closes_previous) == (0, True, False)


def test_without_a_policy_the_arm_waits_for_the_person():
    drive = Driver()
    assert is_hold(drive(proposal=None))
    assert np.array_equal(drive(True, proposal=None).action, HUMAN)


@pytest.mark.parametrize(
    "config", [{"release_tail_s": -1.0}, {"min_hold_s": float("nan")}, {"max_sample_age_s": 0.0}, {"action_dim": 0}]
)
def test_times_that_mean_nothing_are_refused(config):
    with pytest.raises(ConfigError):
        ArbiterConfig(**({"action_dim": A} | config))


def test_decisions_do_not_share_memory():
    drive = Driver()
    first = drive(False, EventKind.PAUSE)
    first.action[:] = 1
    first.authority[:] = 0
    assert is_hold(drive())


class AnyOrder(RuleBasedStateMachine):
    """Samples, losses, events, broken proposals and episodes in any order."""

    @initialize(
        mode=st.sampled_from(Mode), tail=st.sampled_from(TailDriver), times=st.tuples(*[st.sampled_from([0, 0.1])] * 3)
    )
    def start(self, mode, tail, times):
        engage_s, min_hold_s, release_tail_s = times
        config = {"mode": mode, "hand": HAND, "tail_driver": tail, "engage_s": engage_s, "min_hold_s": min_hold_s}
        self.drive = Driver(release_tail_s=release_tail_s, **config)
        self.seen = False
        self.stopped = False
        self.new_episode()

    @rule()
    def new_episode(self):
        self.drive.arbiter.begin_episode()
        self.labels = []

    @rule(
        status=st.sampled_from([SampleStatus.OK] * 6 + list(SampleStatus)),
        age=st.sampled_from([0.0] * 6 + [0.1, 0.5]),
        engaged=st.booleans(),
        action=st.sampled_from([HUMAN] * 6 + [NAN, None]),
        mask=st.sampled_from([None, np.array([True, False, False, True])]),
        proposal=st.sampled_from([POLICY] * 6 + [NAN, POLICY * np.inf, None]),
        events=st.lists(st.sampled_from([EventKind.RESUME] * 4 + list(EventKind)), max_size=2),
    )
    def period(self, status, age, engaged, action, mask, proposal, events):
        before = self.drive.arbiter.state
        sample = {"status": status, "t": self.drive.t + DT - age, "mask": mask}
        decision = self.drive(engaged, *events, proposal=proposal, action=action, **sample)
        works = status is SampleStatus.OK and age <= 0.2 and not (engaged and action is NAN)
        self.seen |= works
        self.stopped |= EventKind.ESTOP in events
        driven = np.isin(decision.authority, (Authority.POLICY, Authority.HUMAN, Authority.BLENDED)).any()
        if self.seen and not works:
            assert not driven
            assert decision.state in (ArbiterState.HOLD, ArbiterState.ESTOP)
        if self.stopped:
            assert decision.state is ArbiterState.ESTOP
        if before is ArbiterState.HOLD and EventKind.RESUME not in events:
            assert not driven
        if not driven:
            assert is_hold(decision)
        by_policy = np.isin(decision.authority, (Authority.POLICY, Authority.BLENDED)).any()
        assert not (by_policy and (proposal is None or not np.isfinite(proposal).all()))
        assert np.isfinite(decision.action).all()
        assert (np.abs(decision.action) <= 1).all()
        assert decision.action.dtype == np.float32
        assert (decision.reason != "") == (decision.state in (ArbiterState.HOLD, ArbiterState.ESTOP))
        if decision.closes_previous:
            assert self.labels[-1].intervention_id >= 0
            self.labels[-1] = replace(self.labels[-1], reason="offset")
        self.labels.append(replace(decision, reason=""))

    @rule()
    def clear(self):
        self.drive.arbiter.clear_estop("checked")
        self.stopped = False

    @invariant()
    def labels_pair_up(self):
        last = -1
        for k, label in enumerate(self.labels):
            number = label.intervention_id
            previous = self.labels[k - 1] if k else None
            continued = previous is not None and previous.intervention_id == number
            if number >= 0:
                assert label.onset != continued
                assert number >= last
                if label.onset:
                    assert number > last
                last = number
            else:
                assert not label.onset
                assert not label.release_tail
            if previous is not None and previous.intervention_id >= 0:
                assert (previous.reason == "offset") == (number != previous.intervention_id)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.floats(-1e6, 1e6), st.floats(0, 10))
def test_lost_while_deflected_gives_zero_in_the_same_period(start, gap):
    drive = Driver()
    drive.t = start
    drive(True)
    drive.t += gap
    assert is_hold(drive.lose())
