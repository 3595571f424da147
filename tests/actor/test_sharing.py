"""Shared authority: what is added is bounded and fades, what is masked changes no bit, modes change in between."""

import numpy as np
import pytest
from actor.parts import A
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState, TailDriver
from robot_hil.actor.sharing import Mode, hand_of, modes_of
from robot_hil.data.specs import Array
from robot_hil.data.step import Authority
from robot_hil.data.teleop import EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError

HAND = (False, False, False, True)
OWN = {Mode.ARM: ~np.array(HAND), Mode.HAND: np.array(HAND)}
DT = 0.1
POLICY = np.array([0.5, -0.25, 0.125, 1.0], np.float32)
HUMAN = np.array([-1.0, 0.5, 0.0, -1.0], np.float32)
commands = st.lists(st.floats(-1, 1, width=32), min_size=A, max_size=A).map(lambda v: np.array(v, np.float32))


class Person:
    """One who sits at an arbiter; each call is one period."""

    def __init__(self, mode: Mode, **config: object) -> None:
        self.arbiter = Arbiter(ArbiterConfig(action_dim=A, mode=mode, hand=HAND, **config))  # type: ignore[arg-type]
        self.t = 0.0

    def __call__(
        self,
        action: Array | None = None,
        *,
        proposal: Array | None = POLICY,
        mask: Array | None = None,
        ask: str | None = None,
        tail_s: float | None = None,
    ):
        self.t += DT
        sample = TeleopSample(
            status=SampleStatus.OK, t=self.t, engaged=action is not None, action=action, mask=mask, tail_s=tail_s
        )
        events = [] if ask is None else [TeleopEvent(kind=EventKind.MODE, t=self.t, value=ask)]
        return self.arbiter.update(self.t, proposal, sample, events)


@given(commands, commands, st.floats(0.01, 3), st.floats(0.01, 1))
def test_a_residual_is_bounded_and_added_to_the_policy(human, proposal, gain, most):
    decision = Person(Mode.RESIDUAL, residual_gain=gain, residual_max=most)(human, proposal=proposal)
    added = np.clip(np.float32(gain) * human, -np.float32(most), np.float32(most))
    assert np.array_equal(decision.action, np.clip(proposal + added, -1, 1))
    assert decision.authority.tolist() == [Authority.BLENDED] * A


@given(commands)
def test_a_residual_of_zero_leaves_the_policy_bit_by_bit(proposal):
    decision = Person(Mode.RESIDUAL)(np.zeros(A, np.float32), proposal=proposal)
    assert np.array_equal(decision.action, proposal)


def test_a_residual_fades_when_the_person_lets_go():
    person = Person(Mode.RESIDUAL, release_tail_s=0.4)
    added = person(HUMAN, proposal=np.zeros(A, np.float32)).action
    shares = []
    for _ in range(5):
        decision = person(proposal=np.zeros(A, np.float32))
        shares.append(decision.action[0] / added[0])
    assert shares == pytest.approx([0.75, 0.5, 0.25, 0.0, 0.0], abs=1e-6)
    assert (decision.authority == Authority.POLICY).all()


@pytest.mark.parametrize("tail", TailDriver)
def test_without_a_release_tail_a_residual_ends_at_once(tail):
    person = Person(Mode.RESIDUAL, tail_driver=tail)
    person(HUMAN, tail_s=0.0)
    decision = person()
    assert np.array_equal(decision.action, POLICY)
    assert decision.state is ArbiterState.POLICY


@pytest.mark.parametrize("mode", [Mode.ARM, Mode.HAND])
@given(human=commands, other=commands, proposal=commands)
def test_what_the_person_does_in_dimensions_of_the_policy_changes_nothing(mode, human, other, proposal):
    own = OWN[mode]
    one = Person(mode)(human, proposal=proposal)
    two = Person(mode)(np.where(own, human, other), proposal=proposal)
    assert one.action.tobytes() == two.action.tobytes() == np.where(own, human, proposal).tobytes()
    assert one.authority.tolist() == np.where(own, int(Authority.HUMAN), int(Authority.POLICY)).tolist()


@pytest.mark.parametrize("mode", [Mode.ARM, Mode.HAND])
def test_a_demonstration_is_driven_whole(mode):
    decision = Person(mode)(HUMAN, proposal=None)
    assert np.array_equal(decision.action, HUMAN)
    assert (decision.authority == Authority.HUMAN).all()


def test_a_device_of_some_dimensions_has_only_those_of_the_arm():
    decision = Person(Mode.ARM)(HUMAN, mask=np.array([True, False, False, True]))
    assert decision.authority.tolist() == [Authority.HUMAN] + [Authority.POLICY] * 3


def test_a_device_that_drives_nothing_of_the_hand_leaves_it_all_to_the_policy():
    decision = Person(Mode.HAND)(HUMAN, mask=~np.array(HAND))
    assert np.array_equal(decision.action, POLICY)
    assert (decision.authority == Authority.POLICY).all()


def test_the_pedal_goes_through_the_modes_and_counts_once_the_person_has_let_go():
    person = Person(Mode.TAKEOVER, release_tail_s=0.0)
    person(HUMAN)
    assert np.array_equal(person(HUMAN, ask="").action, HUMAN)
    assert person.arbiter.mode is Mode.TAKEOVER
    person()
    seen = [person.arbiter.mode]
    for _ in range(4):
        person(ask="")
        seen.append(person.arbiter.mode)
    assert seen == [Mode.RESIDUAL, Mode.ARM, Mode.HAND, Mode.TAKEOVER, Mode.RESIDUAL]
    person(ask="hand")
    assert person(HUMAN).authority.tolist() == [Authority.POLICY] * 3 + [Authority.HUMAN]


@pytest.mark.parametrize("name", ["masked", "anything"])
def test_a_mode_that_is_not_offered_changes_nothing(name):
    person = Person(Mode.RESIDUAL)
    person(ask=name)
    assert person.arbiter.mode is Mode.RESIDUAL


def test_modes_need_what_they_divide():
    assert hand_of(("x", "rz", "gripper")) == (False, False, True)
    assert modes_of((True, True), Mode.MASKED) == (Mode.MASKED, Mode.TAKEOVER, Mode.RESIDUAL)
    with pytest.raises(ConfigError, match="an arm and a hand"):
        ArbiterConfig(action_dim=2, mode=Mode.ARM)
    with pytest.raises(ConfigError, match="3 dimensions"):
        ArbiterConfig(action_dim=2, hand=(False, True, True))
    with pytest.raises(ConfigError, match="residual_max"):
        ArbiterConfig(action_dim=2, residual_max=1.5)
