"""Updates per environment step, held in both directions."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from robot_hil.errors import ConfigError, StorageError
from robot_hil.learner.governor import UpdateGovernor


def test_nothing_is_due_in_the_warm_up():
    governor = UpdateGovernor(4, start_after=100, slack=10)
    governor.record_steps(100)
    assert governor.updates_due() == 0
    governor.record_steps()
    assert governor.updates_due() == 4


def test_slack_of_zero_alternates():
    governor = UpdateGovernor(2, start_after=0, slack=0)
    for _ in range(5):
        assert (governor.step_budget(), governor.updates_due()) == (1, 0)
        governor.record_steps()
        assert (governor.step_budget(), governor.updates_due()) == (0, 2)
        governor.record_updates(2)
    assert governor.ratio == 2


def test_ratio_below_one():
    governor = UpdateGovernor(0.25, start_after=0, slack=0)
    assert governor.step_budget() == 4
    governor.record_steps(3)
    assert governor.updates_due() == 0
    governor.record_steps()
    assert (governor.step_budget(), governor.updates_due()) == (0, 1)


def test_decimal_ratios_are_exact():
    governor = UpdateGovernor(0.29, start_after=0, slack=0)
    governor.record_steps(100)
    assert governor.updates_due() == 29


def test_a_real_robot_never_waits_and_what_cannot_be_made_up_is_counted():
    governor = UpdateGovernor(4, start_after=0, slack=0, real_time=True, max_backlog=100)
    governor.record_steps(1_000)
    assert governor.step_budget() is None
    assert governor.updates_due() == 100
    assert governor.deficit == 3_900
    governor.record_updates(100)
    governor.record_steps(10)
    assert governor.updates_due() == 40


def test_resume_owes_the_same():
    governor = UpdateGovernor(4, start_after=10, slack=5)
    governor.record_steps(20)
    governor.record_updates(7)
    resumed = UpdateGovernor(4, start_after=10, slack=5)
    resumed.load(governor.state())
    assert (resumed.updates_due(), resumed.step_budget()) == (governor.updates_due(), governor.step_budget())
    assert resumed.state() == governor.state()


def test_resume_with_another_ratio_owes_nothing():
    governor = UpdateGovernor(4, start_after=0, slack=0)
    governor.record_steps(100)
    resumed = UpdateGovernor(1, start_after=0, slack=0)
    resumed.load(governor.state())
    assert resumed.updates_due() == 0
    resumed.record_steps()
    assert resumed.updates_due() == 1


@pytest.mark.parametrize(
    ("utd", "start_after", "slack", "named"),
    [
        (0, 0, 0, "per step are 0"),
        (float("nan"), 0, 0, "nan"),
        (1e-9, 0, 0, "1e-09"),
        (1, -1, 0, "-1"),
        (1, 0, -2, "-2"),
    ],
)
def test_what_cannot_work_is_refused(utd, start_after, slack, named):
    with pytest.raises(ConfigError, match=named):
        UpdateGovernor(utd, start_after, slack)


def test_bad_reports_and_states_are_refused():
    governor = UpdateGovernor(1, 0, 0)
    with pytest.raises(ConfigError, match="-1"):
        governor.record_steps(-1)
    with pytest.raises(StorageError, match="not the state"):
        governor.load({"steps": 1})
    with pytest.raises(StorageError, match="not the state"):
        governor.load(governor.state() | {"updates": "many"})


class GovernorMachine(RuleBasedStateMachine):
    """A learner and a simulated actor that obey the governor, in any order of events."""

    @initialize(utd=st.sampled_from([0.1, 0.3, 0.5, 1, 1.7, 4, 20]), start=st.integers(0, 9), slack=st.integers(0, 9))
    def begin(self, utd, start, slack):
        self.governor = UpdateGovernor(utd, start, slack)
        self.utd, self.start, self.slack = Fraction(str(utd)), start, slack
        self.steps = self.updates = 0

    def owed(self, steps):
        return floor(self.utd * max(0, steps - self.start))

    @rule(wish=st.integers(1, 30))
    def act(self, wish):
        made = min(wish, self.governor.step_budget())
        self.governor.record_steps(made)
        self.steps += made

    @rule(wish=st.integers(1, 30))
    def learn(self, wish):
        made = min(wish, self.governor.updates_due())
        self.governor.record_updates(made)
        self.updates += made

    @rule()
    def restart(self):
        state = self.governor.state()
        self.governor = UpdateGovernor(float(self.utd), self.start, self.slack)
        self.governor.load(state)

    @precondition(lambda self: hasattr(self, "governor"))
    @invariant()
    def ratio_is_held(self):
        due, budget = self.governor.updates_due(), self.governor.step_budget()
        assert due == self.owed(self.steps) - self.updates >= 0
        # The actor may go on exactly while everything owed up to `slack` steps ago has been done.
        may_step = self.owed(self.steps - self.slack) <= self.updates
        assert (budget > 0) == may_step
        assert self.owed(self.steps + budget - 1 - self.slack) <= self.updates or budget == 0
        assert self.owed(self.steps + budget - self.slack) > self.updates
        assert due > 0 or budget > 0, "both sides wait"


TestGovernorMachine = GovernorMachine.TestCase
TestGovernorMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
