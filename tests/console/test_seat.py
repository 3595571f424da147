"""The pilot's seat in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.clock import VirtualClock
from robot_hil.console.seat import Seat

LEASE_S = 2.0


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(100.0)


@pytest.fixture
def seat(clock: VirtualClock) -> Seat:
    return Seat(clock, LEASE_S)


def test_the_first_who_wants_it_has_it(seat) -> None:
    seat.join("watcher", wants=False)
    assert seat.holder is None
    seat.join("ada", wants=True)
    seat.join("bob", wants=True)
    assert seat.holder == "ada"


def test_it_goes_to_who_waits_when_it_is_left_or_given_back(seat) -> None:
    for name in ("ada", "bob", "eve"):
        seat.join(name, wants=True)
    seat.leave("ada")
    assert seat.holder == "bob"
    seat.ask("bob", want=False, take=False)
    assert seat.holder == "eve"
    seat.leave("eve")
    assert seat.holder is None
    seat.ask("bob", want=True, take=False)
    assert seat.holder == "bob"


def test_taking_it_moves_the_former_to_the_end_of_the_line(seat) -> None:
    for name in ("ada", "bob", "eve"):
        seat.join(name, wants=True)
    seat.ask("eve", want=True, take=False)
    assert seat.holder == "ada"
    seat.ask("eve", want=True, take=True)
    assert seat.holder == "eve"
    seat.leave("eve")
    assert seat.holder == "bob"
    seat.leave("bob")
    assert seat.holder == "ada"


def test_silence_loses_it_and_a_sign_of_life_regains_it_when_it_is_free(seat, clock) -> None:
    seat.join("ada", wants=True)
    clock.advance(LEASE_S)
    seat.tick()
    assert seat.holder == "ada"
    clock.advance(0.1)
    seat.tick()
    assert seat.holder is None
    seat.heard("ada")
    assert seat.holder == "ada"


def test_it_never_goes_to_a_silent_page(seat, clock) -> None:
    seat.join("ada", wants=True)
    seat.join("bob", wants=True)
    clock.advance(LEASE_S + 1)
    seat.heard("ada")
    seat.leave("ada")
    assert seat.holder is None
    seat.tick()
    assert seat.holder is None
    seat.heard("bob")
    assert seat.holder == "bob"


def test_strangers_change_nothing(seat) -> None:
    seat.ask("nobody", want=True, take=True)
    seat.heard("nobody")
    seat.leave("nobody")
    assert seat.holder is None


_step = st.tuples(
    st.sampled_from(["join", "watch", "heard", "want", "take", "give", "leave", "tick", "wait"]),
    st.sampled_from("abc"),
)


@given(st.lists(_step, max_size=60))
def test_whoever_holds_it_is_there_and_was_heard(steps: list[tuple[str, str]]) -> None:
    clock = VirtualClock()
    seat, there = Seat(clock, LEASE_S), set()
    for what, page in steps:
        match what:
            case "join" | "watch":
                seat.join(page, wants=what == "join")
                there.add(page)
            case "heard":
                seat.heard(page)
            case "want" | "take" | "give":
                seat.heard(page)
                seat.ask(page, want=what != "give", take=what == "take")
            case "leave":
                seat.leave(page)
                there.discard(page)
            case "wait":
                clock.advance(0.7)
        seat.tick()
        assert seat.holder is None or seat.holder in there
        before = seat.holder
        clock.advance(0)
        seat.tick()
        assert seat.holder == before
    clock.advance(LEASE_S + 0.1)
    seat.tick()
    assert seat.holder is None
