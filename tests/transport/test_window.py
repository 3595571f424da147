"""The send window: everything is sent in order, never too much at once, and again after a lost connection."""

from hypothesis import given, settings
from hypothesis import strategies as st

from robot_hil.transport.window import SendWindow


def test_oldest_epochs_go_first_and_the_window_bounds_what_flies() -> None:
    window = SendWindow(4)
    window.add_epoch(1, 7, 10)
    window.add_epoch(2, 0, 0)
    window.extend(2, 5)
    assert window.waiting == 8
    assert window.upcoming() == (1, 7, 3)
    window.note_sent(1, 10, 3)
    assert window.upcoming() == (2, 0, 1)
    window.note_sent(2, 1, 1)
    assert window.upcoming() is None
    window.acknowledge({1: 10, 9: 4})
    assert window.upcoming() == (2, 1, 3)
    assert window.held == {1: (10, 10), 2: (0, 5)}
    window.forget_done(2)
    assert window.held == {2: (0, 5)}
    assert (window.confirmed, window.sent, window.repeated, window.waiting) == (3, 4, 0, 5)


def test_numbers_that_are_gone_are_passed_over() -> None:
    window = SendWindow(10)
    window.add_epoch(1, 0, 6)
    window.note_sent(1, 4, 2)  # 0 and 3; 1 and 2 were damaged
    assert window.upcoming() == (1, 4, 2)
    window.acknowledge({1: 0}, rewind=True)
    window.note_sent(1, 4, 2)
    assert (window.sent, window.repeated) == (4, 4)


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(("put", "send", "ack", "lost", "old ack")), st.integers(1, 5)), max_size=60),
)
@settings(max_examples=150)
def test_whatever_happens_every_step_arrives_in_order(size: int, events) -> None:
    window = SendWindow(size)
    window.add_epoch(1, 0, 0)
    put = taken = known = 0
    flying: list[tuple[int, int]] = []

    def send() -> None:
        upcoming = window.upcoming()
        if upcoming is not None:
            _, start, room = upcoming
            assert start == (flying[-1][1] if flying else taken) or not flying
            assert sum(end - begin for begin, end in flying) + room <= size + (taken - known)
            flying.append((start, start + room))
            window.note_sent(1, start + room, room)

    for kind, count in [*events, *[("ack", 0), ("lost", 0), ("send", 0), ("ack", 0)] * (put + 70)]:
        if kind == "put":
            put += count
            window.extend(1, put)
        elif kind == "send":
            send()
        elif kind == "ack":
            for begin, end in flying:
                assert begin <= taken
                taken = max(taken, end)
            flying.clear()
            known = taken
            window.acknowledge({1: known})
        elif kind == "lost":
            flying.clear()
            known = taken
            window.acknowledge({1: known}, rewind=True)
        else:
            window.acknowledge({1: max(0, known - count)})
        assert window.waiting == put - known
    assert taken == put == window.confirmed
    assert window.sent == put + window.repeated
