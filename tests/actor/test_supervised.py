"""A supervised policy slows down, stands and calls, as its reliability falls; a person's driving ends that."""

from types import SimpleNamespace

import numpy as np
import pytest
from actor.parts import A

from robot_hil.actor.arbiter import ArbiterState
from robot_hil.actor.supervised import SupervisedPolicy
from robot_hil.help.autonomy import Autonomy, AutonomyConfig, Change, Level
from robot_hil.protocols import EpisodeAware

PERIOD = 0.1
SURE, UNSURE, LOST = 1.0, 0.02, 0.001
PLAIN = AutonomyConfig(smooth_s=0.0)
APPROVING = AutonomyConfig(smooth_s=0.0, approve_s=1.0)


class Full:
    version = 7

    def act(self, obs, deterministic=False):
        return np.ones(A, np.float32)


class Said:
    """Says what the test told it, and remembers what it was shown."""

    def __init__(self):
        self.now = SURE
        self.shown = []

    def begin_episode(self):
        self.shown = []

    def reliability(self, obs, executed, driven=False):
        self.shown.append(None if executed is None else executed.tolist())
        self.driven = driven
        return self.now, "all is strange"


class Rig:
    """A robot's loop as far as the policy sees it."""

    def __init__(self, config=PLAIN, **options):
        self.t, self.changes, self.said = 0.0, [], Said()
        self.decision = SimpleNamespace(state=ArbiterState.POLICY, action=np.full(A, 0.25, np.float32))
        slowed = np.array([True] * (A - 1) + [False])
        self.policy = SupervisedPolicy(
            Full(), self.said, Autonomy(config, PERIOD), slowed,
            decided=lambda: self.decision, now=lambda: self.t, on_change=self.changes.append, **options,
        )  # fmt: skip
        self.policy.begin_episode(0)

    def act(self, reliability, periods=1, state=ArbiterState.POLICY):
        self.said.now, self.decision.state = reliability, state
        for _ in range(periods):
            action = self.policy.act({})
            self.t += PERIOD
        return action.tolist()


@pytest.fixture
def rig():
    return Rig()


def test_a_sure_policy_acts_as_it_wants(rig):
    assert isinstance(rig.policy, EpisodeAware)
    assert rig.act(SURE, 5) == [1.0] * A
    assert rig.policy.version == 7
    assert not rig.changes


def test_an_unsure_one_moves_slowly_but_grips_as_it_wants(rig):
    assert rig.act(UNSURE, 3) == [0.5] * (A - 1) + [1.0]
    assert [change.level for change in rig.changes] == [Level.SLOWED]
    assert rig.act(SURE, 25) == [1.0] * A


def test_a_lost_one_stands_and_calls_until_a_person_drove_to_where_it_is_sure(rig):
    assert rig.act(LOST) == [0.0] * A
    assert rig.policy.calling
    assert rig.act(SURE, 50) == [0.0] * A  # standing looks reliable; that proves nothing
    rig.act(LOST, 5, ArbiterState.HUMAN)
    assert rig.policy.calling
    rig.act(SURE, 2, ArbiterState.HUMAN)
    assert rig.policy.calling
    rig.act(SURE, 1, ArbiterState.HUMAN)
    assert not rig.policy.calling
    assert rig.act(LOST, 49) == [0.5] * (A - 1) + [1.0]
    assert rig.act(LOST, 2) == [0.0] * A
    assert [change.cause for change in rig.changes] == ["all is strange", "a person drove", "all is strange"]
    assert isinstance(rig.changes[0], Change)


def test_who_drives_an_operated_robot_is_not_held_up():
    reasons = []
    rig = Rig(hold=reasons.append)
    rig.act(LOST)
    rig.act(LOST, 5, ArbiterState.HUMAN)
    assert len(reasons) == 1
    rig.act(LOST)
    assert len(reasons) == 2


def test_an_operated_robot_is_held_and_goes_on_when_a_person_resumes_it():
    reasons = []
    rig = Rig(hold=reasons.append)
    rig.act(LOST)
    assert reasons == ["the robot asks for help: all is strange; resume, then drive; left alone it goes on slowly"]
    assert rig.act(LOST) == [0.5] * (A - 1) + [1.0]
    assert len(reasons) == 1


def test_it_judges_by_what_was_executed_in_this_episode(rig):
    rig.act(SURE, 2)
    assert rig.said.shown == [None, [0.25] * A]
    rig.policy.begin_episode(1)
    rig.act(SURE)
    assert rig.said.shown == [None]


def test_a_policy_that_is_tested_is_not_supervised(rig):
    rig.said.now = LOST
    assert rig.policy.act({}, deterministic=True).tolist() == [1.0] * A
    assert not rig.said.shown


def test_an_unsure_one_moves_while_somebody_approves_of_what_it_would_do():
    answers, shown = iter([False, True, True] + [False] * 30), []

    def approves(proposal):
        shown.append(proposal.tolist())
        return next(answers)

    rig = Rig(APPROVING, approves=approves)
    assert rig.act(UNSURE, 12) == [0.5] * (A - 1) + [1.0]
    assert not shown
    assert rig.act(UNSURE) == [0.0] * A
    assert rig.policy.autonomy.level is Level.APPROVED
    assert rig.policy.calling
    assert rig.act(UNSURE) == [0.0] * A
    assert rig.act(UNSURE) == [0.5] * (A - 1) + [1.0]
    assert not rig.policy.calling
    assert rig.act(UNSURE, 9) == [0.5] * (A - 1) + [1.0]
    assert rig.act(UNSURE, 2) == [0.0] * A
    assert shown[0] == [1.0] * A


def test_at_an_operated_robot_each_resume_approves_for_a_second():
    reasons = []
    rig = Rig(APPROVING, hold=reasons.append)
    rig.act(LOST)
    assert reasons == [
        "the robot asks for help: all is strange; resume, then drive; left alone each resume approves 1 s"
    ]
    assert rig.act(LOST, 10) == [0.5] * (A - 1) + [1.0]
    assert len(reasons) == 1
    assert rig.act(LOST) == [0.0] * A
    assert len(reasons) == 2
    assert [change.level for change in rig.changes] == [Level.HELD, Level.APPROVED]


def test_it_says_whether_a_person_drove(rig):
    rig.act(SURE, 2, ArbiterState.HUMAN)
    assert rig.said.driven
    rig.act(SURE)
    assert not rig.said.driven
