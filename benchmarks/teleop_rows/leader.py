"""L1: a leader arm on a servo bus that is slow as a wire, is cut, and is disturbed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robot_hil.actor.arbiter import Arbiter, ArbiterConfig, ArbiterState
from robot_hil.clock import MonotonicClock
from robot_hil.data.robot import ActionScale, ToolState
from robot_hil.data.specs import Array
from robot_hil.teleop.leader.bus import DynamixelBus
from robot_hil.teleop.leader.calibration import RAD_PER_TICK, Calibration, JointServo
from robot_hil.teleop.leader.device import LeaderArm, LeaderConfig
from teleop_rows.row import Row, at_least, at_most, exactly

if TYPE_CHECKING:
    from servo_bus import ServoRig

JOINTS = 7
PERIOD_S = 0.01
BAUD, ADAPTER_S = 1_000_000, 0.001
NOTE = "real dynamixel-sdk, 7 servos at a pseudo-terminal that answer as slowly as 1 Mbaud and a USB adapter (1 ms)"
SCALE = ActionScale(axes=("x", "y", "z"), linear_m=0.002, period_s=PERIOD_S)
CALIBRATION = Calibration(joints=tuple(JointServo(id=1 + i, zero_tick=2048) for i in range(JOINTS)))


def _forward(joints: Array) -> tuple[Array, Array]:
    return 0.1 * np.asarray(joints[:3]), np.array([1.0, 0.0, 0.0, 0.0])


class Cell:
    """A leader arm, a robot that stands at 0 with a commanded tool, and an arbiter, all in real time at 100 Hz."""

    def __init__(self, rig: "ServoRig") -> None:
        self.rig, self.clock = rig, MonotonicClock()
        self.pos = np.zeros(3)
        bus = DynamixelBus(rig.port, baudrate=BAUD, ids=CALIBRATION.ids)
        config = LeaderConfig(calibration=CALIBRATION)
        self.device = LeaderArm(SCALE, self.tool, self.clock, bus, config, _forward)
        self.resume()
        self.policy = np.full(3, 0.5, np.float32)  # must not drive when the person is lost
        self.due = self.clock.now()

    def tool(self) -> ToolState:
        upright = np.array([1.0, 0.0, 0.0, 0.0])
        return ToolState(pos_base=self.pos.copy(), quat_base=upright, gripper_width=0.0, joint_pos=np.zeros(JOINTS))

    def step(self) -> ArbiterState:
        """Run one control period and obey."""
        self.due = max(self.due + PERIOD_S, self.clock.now())
        self.clock.sleep_until(self.due)
        sample, events = self.device.latest(), self.device.drain_events()
        decision = self.arbiter.update(self.clock.now(), self.policy, sample, events)
        if decision.state is ArbiterState.HUMAN:
            self.pos = self.pos + SCALE.linear_m * decision.action
        self.moved = bool(np.any(decision.action))
        return decision.state

    def pose(self, angle: float) -> None:
        """Turn all joints of the leader there, as fast as a hand may (2 rad/s)."""
        ticks = int(self.rig.ticks(1))
        goal = round(2048 + angle / RAD_PER_TICK)
        while ticks != goal:
            ticks += int(np.clip(goal - ticks, -13, 13))
            self.rig.move(dict.fromkeys(CALIBRATION.ids, ticks))
            self.step()

    def engage(self) -> tuple[float, list[float]]:
        """Engage and run the soft start, again when a busy machine interrupts it.

        Returns how far the first command moved the tool [m], and the step of the joint target in each period [rad].
        """
        follower, steps, first = self.device._follower, [], 0.0
        give_up = self.clock.now() + 30.0
        while not (self.device.info().engaged and follower.caught_up and self.step() is ArbiterState.HUMAN):
            if self.arbiter.state is ArbiterState.HOLD:
                self.resume()
            driving, before, pos = self.device.info().engaged, follower.target, self.pos
            if not driving:
                self.device.request_engage()
            self.step()
            if driving:
                steps.append(float(np.abs(follower.target - before).max()))
            else:
                first = max(first, float(np.abs(self.pos - pos).max()))
            if self.clock.now() > give_up:
                raise RuntimeError(f"did not catch up within 30 s, is the machine busy? {self.device.info()}")
        return first, steps

    def resume(self) -> None:
        """Begin as after a person's RESUME."""
        self.arbiter = Arbiter(ArbiterConfig(action_dim=3, device_required=True))


@contextmanager
def _cell() -> Iterator[Cell]:
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
    from servo_bus import ServoRig

    rig = ServoRig(CALIBRATION.ids, baudrate=BAUD, latency_s=ADAPTER_S)
    cell = Cell(rig)
    cell.device.start()
    try:
        yield cell
    finally:
        cell.device.stop()
        rig.close()


def l1(quick: bool) -> list[Row]:
    """Measure rate, gate, soft start, death of the bus, and disturbances."""
    rows = []
    for part in (_rate, _gate, _disturbed, _cut):
        with _cell() as cell:
            try:
                rows += part(cell, quick)
            except RuntimeError as error:
                rows.append(Row(f"L1 {part.__name__[1:]}", str(error), "", "measured", False, NOTE))
    return rows


def _rate(cell: Cell, quick: bool) -> list[Row]:
    seconds, before, ages = (1.0 if quick else 30.0), cell.device._reader.meter.total, []
    begin = cell.clock.now()
    while cell.clock.now() - begin < seconds:
        cell.step()
        ages.append(cell.device.info().age_s)
    rate = (cell.device._reader.meter.total - before) / (cell.clock.now() - begin)
    p99 = float(np.percentile(ages, 99))
    return [
        at_least("L1 readings of 7 joints", rate, 100, "Hz", NOTE),
        at_most("L1 age of a reading at the consumer, p99", 1000 * p99, 100, "ms", NOTE),
    ]


def _gate(cell: Cell, quick: bool) -> list[Row]:
    """Try to engage from too far away, then from as far as allowed."""
    cell.pose(0.85)
    cell.device.request_engage()
    for _ in range(5):
        cell.step()
    refused = not cell.device.info().engaged and "rad" in cell.device.info().problem
    cell.pose(0.7)
    first, steps = 0.0, []
    for _ in range(1 if quick else 5):
        moved, made = cell.engage()
        first, steps = max(first, moved), steps + made
        cell.device.request_release()
        cell.step()
    soft = "L1 soft start from 0.7 rad off: largest step"
    return [
        exactly("L1 engaging 0.85 rad off: refused with the joint's name", float(refused), 1, "", NOTE),
        exactly("L1 first command after engaging: motion", first, 0, "m", NOTE),
        at_most(soft, max(steps), 0.05, "rad", f"{len(steps)} steps at 100 Hz"),
    ]


def _disturbed(cell: Cell, quick: bool) -> list[Row]:
    """One answer in 0.3 s has a wrong checksum, while the person drives."""
    cell.pose(0.7)
    cell.engage()
    spoilt, wrong, off = (5 if quick else 50), 0, 0.0
    begin = cell.device.info().dropped
    for _ in range(spoilt):
        cell.rig.spoil("crc")
        for _ in range(30):
            wrong += cell.step() is not ArbiterState.HUMAN
            off = max(off, float(np.abs(cell.device._follower.target - 0.7).max()))
    counted = cell.device.info().dropped - begin
    return [
        exactly("L1 single wrong checksums: periods in which the person did not drive", wrong, 0, "periods", NOTE),
        at_most("L1 single wrong checksums: target off the leader", off, 0.001, "rad", f"{spoilt} spoilt"),
        at_least("L1 single wrong checksums: counted as dropped", counted, spoilt, "readings"),
    ]


def _cut(cell: Cell, quick: bool) -> list[Row]:
    """Cut the power while the person drives, again and again."""
    cell.pose(0.7)
    holds, off, moved, unasked = [], 0.0, 0, 0
    for _ in range(3 if quick else 20):
        cell.engage()
        cell.rig.silent = True
        cut = cell.clock.now()
        while cell.step() is not ArbiterState.HOLD:
            off = max(off, float(np.abs(cell.device._follower.target - 0.7).max()))
        holds.append(cell.clock.now() - cut)
        for _ in range(30):
            moved += cell.step() is not ArbiterState.HOLD or cell.moved
        cell.rig.silent = False
        for _ in range(150):
            unasked += cell.step() is not ArbiterState.HOLD or cell.device.latest().engaged
        cell.resume()
    note = f"{len(holds)} times; {NOTE}"
    return [
        at_most("L1 bus cut: HOLD, worst", 1000 * max(holds), 150, "ms", note),
        at_most(
            "L1 bus cut: target off the leader's last pose", off, 0.001, "rad", "a tick of 0 would be off by 3.8 rad"
        ),
        exactly("L1 bus cut: periods with motion afterwards", moved, 0, "periods", note),
        exactly("L1 bus back: periods that drove without engaging again", unasked, 0, "periods", note),
    ]


ROWS = {"L1": l1}
