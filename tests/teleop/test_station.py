"""The station: one pilot among several devices, loss that stays loss, edges in order."""

from dataclasses import replace

import numpy as np
import pytest
from contracts import TeleopContract
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.clock import VirtualClock
from robot_hil.data.teleop import DeviceInfo, EventKind, SampleStatus, TeleopEvent, TeleopSample
from robot_hil.errors import ConfigError
from robot_hil.teleop.station import MAX_AGE_S, Station

ON, OFF = np.array([1, 0], np.float32), None


class Stick:
    """A device whose state the test sets."""

    def __init__(self, name: str, clock: VirtualClock) -> None:
        self.name, self.clock = name, clock
        self.status = SampleStatus.OK
        self.pulled = self.running = False
        self.age = 0.0
        self.events: list[TeleopEvent] = []
        self.asked = 0
        self.pulses: list[str] = []

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def latest(self) -> TeleopSample:
        self.asked += 1
        if not self.running:
            return TeleopSample(status=SampleStatus.DISCONNECTED, t=self.clock.now(), device=self.name)
        works = self.status is SampleStatus.OK
        return TeleopSample(
            status=self.status,
            t=self.clock.now() - self.age,
            engaged=self.pulled and works,
            action=ON if self.pulled and works else OFF,
            device=self.name,
            problem="" if works else f"{self.name} is unplugged",
        )

    def drain_events(self) -> list[TeleopEvent]:
        events, self.events = self.events, []
        return events

    def info(self) -> DeviceInfo:
        return DeviceInfo(name=self.name, kind="stick", status=self.status, age_s=self.age)

    def pulse(self, hand: str, strength: float, seconds: float) -> None:
        self.pulses.append(hand)


class Desk:
    def __init__(self) -> None:
        self.clock = VirtualClock(10.0)
        self.a, self.b, self.robot = (Stick(name, self.clock) for name in ("a", "b", "simulated"))
        self.station = Station([self.a, self.b], self.clock, assistants=[self.robot])
        self.station.start()

    def drives(self) -> str:
        sample = self.station.latest()
        return sample.device if sample.engaged else ""


@pytest.fixture
def desk() -> Desk:
    return Desk()


class TestContract(TeleopContract):
    action_dim = 2

    def make_device(self):
        clock = VirtualClock()
        return Station([Stick("a", clock), Stick("b", clock)], clock)


def test_whoever_engages_first_drives_until_letting_go(desk):
    assert desk.drives() == ""
    desk.b.pulled = True
    assert desk.drives() == "b"
    desk.a.pulled = True
    assert desk.drives() == "b"
    desk.b.pulled = False
    desk.station.latest()
    desk.a.pulled = False
    assert desk.drives() == ""
    desk.a.pulled = True
    assert desk.drives() == "a"


def test_who_pulled_while_another_drove_must_let_go_first(desk):
    desk.a.pulled = desk.b.pulled = True
    assert desk.drives() == "a"
    desk.a.pulled = False
    assert desk.drives() == ""
    assert desk.drives() == ""
    desk.b.pulled = False
    desk.drives()
    desk.b.pulled = True
    assert desk.drives() == "b"


def test_a_person_takes_over_from_an_assistant_and_it_goes_on_afterwards(desk):
    desk.robot.pulled = True
    assert desk.drives() == "simulated"
    desk.a.pulled = True
    assert desk.drives() == "a"
    desk.a.pulled = False
    assert desk.drives() == "simulated"


def test_each_device_is_asked_once_per_period(desk):
    desk.robot.pulled = desk.a.pulled = True
    before = [device.asked for device in (desk.a, desk.b, desk.robot)]
    desk.station.latest()
    desk.station.latest()
    assert [device.asked for device in (desk.a, desk.b, desk.robot)] == [n + 2 for n in before]


@pytest.mark.parametrize("status", [SampleStatus.LOST, SampleStatus.DISCONNECTED, SampleStatus.ESTIMATED])
def test_a_lost_pilot_stays_lost_until_it_is_let_go(desk, status):
    desk.a.pulled = True
    desk.drives()
    desk.a.status = status
    sample = desk.station.latest()
    assert (sample.status, sample.engaged, sample.action) == (status, False, None)
    assert "unplugged" in sample.problem
    desk.a.status = SampleStatus.OK
    assert desk.station.latest().status is SampleStatus.LOST
    assert desk.station.pilot == "a"
    desk.a.pulled = False
    assert desk.station.latest().status is SampleStatus.OK
    assert desk.station.pilot == ""


def test_a_pilot_that_falls_silent_is_lost(desk):
    desk.a.pulled = True
    desk.drives()
    desk.a.age = MAX_AGE_S + 0.001
    sample = desk.station.latest()
    assert sample.status is SampleStatus.LOST
    assert "a" in sample.problem


def test_the_guard_sees_a_dying_pilot_without_asking_for_samples(desk):
    desk.a.pulled = True
    desk.drives()
    assert desk.station.trouble(desk.clock.now()) == ""
    desk.a.age = MAX_AGE_S + 0.001
    assert "a" in desk.station.trouble(desk.clock.now())
    desk.a.age, desk.a.status = 0.0, SampleStatus.LOST
    assert desk.station.trouble(desk.clock.now())
    desk.a.status = SampleStatus.OK
    desk.b.status = SampleStatus.LOST
    assert desk.station.trouble(desk.clock.now()) == ""


def test_with_another_device_a_person_may_go_on_without_the_lost_one(desk):
    desk.a.pulled = True
    desk.drives()
    desk.a.status = SampleStatus.DISCONNECTED
    desk.station.latest()
    desk.b.events.append(TeleopEvent(kind=EventKind.RESUME, t=10.0))
    assert desk.station.latest().status is SampleStatus.OK
    assert desk.station.pilot == ""
    desk.b.pulled = True
    assert desk.drives() == "b"


def test_a_held_device_does_not_excuse_the_lost_one(desk):
    desk.a.pulled = True
    desk.drives()
    desk.a.status = SampleStatus.DISCONNECTED
    desk.b.pulled = True
    desk.station.post(TeleopEvent(kind=EventKind.RESUME, t=10.0))
    assert desk.station.latest().status is SampleStatus.DISCONNECTED


def test_idle_devices_come_and_go_but_one_must_work(desk):
    desk.a.status = SampleStatus.DISCONNECTED
    assert desk.station.latest().status is SampleStatus.OK
    desk.b.status = SampleStatus.LOST
    assert desk.station.latest().status is SampleStatus.OK, "the assistant works"
    desk.robot.status = SampleStatus.LOST
    sample = desk.station.latest()
    assert sample.status is SampleStatus.LOST
    assert "unplugged" in sample.problem


def test_edges_of_everybody_arrive_once_and_in_order(desk):
    events = [TeleopEvent(kind=kind, t=10.0, source="a") for kind in (EventKind.SUCCESS, EventKind.RESET)]
    desk.a.events += events
    assert desk.station.pump() == events
    desk.station.post(replace(events[0], source="page"))
    assert [e.source for e in desk.station.drain_events()] == ["a", "a", "page"]
    assert desk.station.drain_events() == []


def test_pulses_go_to_the_pilot_or_to_all(desk):
    desk.station.pulse("left", 1.0, 0.1)
    assert desk.a.pulses == desk.b.pulses == ["left"]
    desk.b.pulled = True
    desk.drives()
    desk.station.pulse("right", 1.0, 0.1)
    assert (desk.a.pulses, desk.b.pulses) == (["left"], ["left", "right"])


def test_on_standby_an_assistant_has_no_say_and_is_not_asked(desk):
    desk.robot.pulled = True
    assert desk.drives() == "simulated"
    asked = desk.robot.asked
    sample = desk.station.standby()
    assert (sample.status, sample.engaged, desk.robot.asked) == (SampleStatus.OK, False, asked)
    desk.a.pulled = True
    assert desk.station.standby().device == "a"
    alone = Station([], desk.clock, assistants=[desk.robot])
    alone.start()
    assert alone.latest().engaged
    assert (alone.standby().status, alone.standby().engaged) == (SampleStatus.OK, False)


def test_names_must_differ():
    clock = VirtualClock()
    with pytest.raises(ConfigError, match="different names"):
        Station([Stick("a", clock), Stick("a", clock)], clock)


@given(st.lists(st.tuples(*[st.sampled_from(["off", "pulled", "lost"])] * 3), max_size=30))
def test_nothing_moves_the_robot_but_one_working_engaged_device(moves):
    desk = Desk()
    free = True
    for states in moves:
        for device, state in zip((desk.a, desk.b, desk.robot), states, strict=True):
            device.pulled = state != "off"
            device.status = SampleStatus.LOST if state == "lost" else SampleStatus.OK
        pilot = desk.station.pilot
        sample = desk.station.latest()
        if sample.engaged:
            device = next(d for d in (desk.a, desk.b, desk.robot) if d.name == sample.device)
            assert device.pulled
            assert device.status is SampleStatus.OK
            assert free or sample.device == pilot or pilot in ("", "simulated")
        else:
            assert sample.action is None
        lost = next(
            (d for d in (desk.a, desk.b, desk.robot) if d.name == pilot and d.status is SampleStatus.LOST), None
        )
        if lost is not None:
            assert sample.status is SampleStatus.LOST
