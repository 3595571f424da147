"""The operator's side of a run over a real link: buttons, seats, keys and words, status and event log."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from actor.parts import PointArm, limits

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig
from robot_hil.actor.guard import Guard
from robot_hil.actor.safety import GateState, SafetyGate
from robot_hil.cli.operator import Operator
from robot_hil.clock import MonotonicClock
from robot_hil.console.link import ConsoleLink
from robot_hil.console.messages import Ack, Event, FromPage, Gone, Reward, Status, ToConsole, ToRobot, Welcome
from robot_hil.data.operator_input import Button, Control, Keys, Words
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.teleop import EventKind, SampleStatus
from robot_hil.teleop.keyboard import Keyboard
from robot_hil.teleop.station import Station
from robot_hil.teleop.words import Words as WordsDevice

SCALE = ActionScale(axes=("x", "y", "z", "gripper"), linear_m=0.025, gripper_m=0.05)


def tool() -> ToolState:
    return ToolState(
        pos_base=np.zeros(3), quat_base=np.array([0.0, 1, 0, 0]), gripper_width=0.08, joint_pos=np.zeros(7)
    )


class Desk:
    """A robot's operator, and a console at the other end of the link."""

    def __init__(self) -> None:
        clock = MonotonicClock()
        self.gate = SafetyGate(PointArm(clock), limits(), clock)
        self.gate.connect()
        self.keyboard, self.words = Keyboard(SCALE, tool, clock), WordsDevice(SCALE, tool, clock)
        self.station = Station([self.keyboard, self.words], clock)
        guard = Guard(self.gate, Arbiter(ArbiterConfig(action_dim=4)), self.station)
        self.state = "POLICY"
        self.reward: Reward | None = None
        self.operator = Operator(
            self.station,
            guard,
            welcome=Welcome(experiment="e", task="t", cameras=[], control_hz=10.0, folder=""),
            pages={self.keyboard: (Keys,)},
            words=self.words,
            status=lambda: Status(
                t=time.monotonic(),
                state=self.state,
                reason="because",
                phase="train",
                message="",
                driver="",
                reward=self.reward,
                modes=["takeover", "residual"],
                disturbances=["object"],
            ),
        )
        self.heard: list[ToConsole] = []
        self._out: asyncio.Queue[ToRobot | None] = asyncio.Queue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve)

    def start(self) -> None:
        self.operator.start()
        self._thread.start()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._out.put_nowait, None)
        self._thread.join(20)
        self.operator.stop()
        self.operator.stop()

    def say(self, body: Control, *, pilot: bool = True, client: str = "page") -> None:
        now = time.monotonic()
        self.tell(FromPage(body=body, client=client, operator="ann", pilot=pilot, t_recv=now, t_page=now))

    def tell(self, message: ToRobot) -> None:
        self._loop.call_soon_threadsafe(self._out.put_nowait, message)

    def ack(self, number: str) -> Ack:
        def found() -> bool:
            return any(isinstance(m, Ack) and m.id == number for m in self.heard)

        self.until(found)
        return next(m for m in self.heard if isinstance(m, Ack) and m.id == number)

    @staticmethod
    def until(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.005)
        assert condition()

    def _serve(self) -> None:
        try:
            self._loop.run_until_complete(self._talk())
        finally:
            self._loop.close()

    async def _talk(self) -> None:
        assert self.operator.link is not None
        link = ConsoleLink(self.operator.link.endpoint)

        async def listen() -> None:
            while True:
                self.heard.append(await link.receive())

        listening = asyncio.ensure_future(listen())
        while (message := await self._out.get()) is not None:
            while not await link.send(message):  # not connected yet
                await asyncio.sleep(0.01)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        link.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    made.start()
    yield made
    made.stop()


def test_a_button_arrives_as_an_edge_and_is_acknowledged(desk):
    desk.say(Button(id="1", kind="success"))
    assert desk.ack("1").ok
    events = desk.station.drain_events()
    assert [(e.kind, e.source) for e in events] == [(EventKind.SUCCESS, "ann")]


def test_who_is_no_pilot_may_only_stop(desk):
    desk.say(Button(id="1", kind="reset"), pilot=False)
    refused = desk.ack("1")
    assert not refused.ok
    assert "pilot" in refused.reason
    desk.say(Button(id="2", kind="estop"), pilot=False)
    assert desk.ack("2").ok
    assert desk.gate.mode is GateState.STOP
    assert [e.kind for e in desk.station.drain_events()] == [EventKind.ESTOP]


def test_a_false_positive_needs_a_model_that_judges(desk):
    desk.say(Button(id="1", kind="false_positive"))
    assert not desk.ack("1").ok
    assert "no reward model judges here" in desk.ack("1").reason
    assert desk.station.drain_events() == []
    desk.reward = Reward(version=1)
    desk.say(Button(id="2", kind="false_positive"))
    assert desk.ack("2").ok
    assert [event.kind for event in desk.station.drain_events()] == [EventKind.FALSE_POSITIVE]


def test_a_second_person_may_disturb_what_can_be_disturbed(desk):
    desk.say(Button(id="1", kind="disturb", value="slip"), pilot=False)
    assert "--adversary" in desk.ack("1").reason
    desk.say(Button(id="2", kind="disturb", value="object"), pilot=False)
    assert desk.ack("2").ok
    assert [(e.kind, e.value) for e in desk.station.drain_events()] == [(EventKind.DISTURB, "object")]


def test_a_mode_that_the_robot_has_not_is_refused(desk):
    desk.say(Button(id="1", kind="mode", value="hand"))
    assert "it knows takeover, residual" in desk.ack("1").reason
    desk.say(Button(id="2", kind="mode", value="residual"))
    assert desk.ack("2").ok
    assert [(e.kind, e.value) for e in desk.station.drain_events()] == [(EventKind.MODE, "residual")]


def test_an_estop_needs_a_reason_to_be_cleared(desk):
    desk.say(Button(id="1", kind="clear"))
    assert "reason" in desk.ack("1").reason
    desk.say(Button(id="2", kind="clear", reason="the cell is safe"))
    assert desk.ack("2").ok
    assert [e.reason for e in desk.station.drain_events()] == ["the cell is safe"]


def test_keys_of_the_pilot_drive_and_those_of_others_do_not(desk):
    def press(keys: list[str], seq: int, *, pilot: bool = True) -> None:
        desk.say(Keys(seq=seq, t=0.0, down=keys), pilot=pilot)

    press(["KeyW"], 1, pilot=False)
    press([], 2)
    desk.until(lambda: desk.station.latest().status is SampleStatus.OK)
    press(["KeyW"], 3)
    held: list[bool] = []

    def engaged() -> bool:
        press(["KeyW"], 4 + len(held))
        held.append(True)
        return desk.station.latest().engaged

    desk.until(engaged)
    desk.tell(Gone(client="page", reason="the page closed"))
    desk.until(lambda: desk.station.latest().status is not SampleStatus.OK)


def test_words_are_obeyed_or_answered(desk):
    desk.say(Words(id="1", text="do a handstand"))
    assert not desk.ack("1").ok
    desk.say(Words(id="2", text="a bit to the left"))
    assert desk.ack("2").ok
    desk.until(lambda: any(isinstance(m, Event) and "left" in m.text for m in desk.heard))


def test_changes_of_state_are_told_and_logged(desk):
    desk.say(Button(id="1", kind="pause"))  # the console speaks first
    desk.ack("1")
    desk.until(lambda: any(isinstance(m, Status) and m.state == "POLICY" for m in desk.heard))
    desk.state = "ESTOP"
    desk.until(lambda: any(isinstance(m, Event) and m.text == "ESTOP: because" for m in desk.heard))
    assert next(m.level for m in desk.heard if isinstance(m, Event) and m.text.startswith("ESTOP")) == "error"
