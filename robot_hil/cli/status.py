"""What the console shows of a robot: one picture of everything, made from any thread."""

import time
from typing import TYPE_CHECKING

from robot_hil.actor.arbiter import ArbiterState
from robot_hil.actor.arms import ArmsArbiter
from robot_hil.console.messages import Device, Status
from robot_hil.data.teleop import DeviceInfo, SampleStatus

if TYPE_CHECKING:
    from robot_hil.cli.robot import Robot


def status_of(robot: "Robot") -> Status:
    """Return the state of `robot` now."""
    loop = robot.loop
    desk = loop.desk if loop is not None else None
    waiting = desk.waiting if desk is not None else ""
    station = robot.operator.station if robot.operator is not None else None
    state, reason = _state(robot, waiting)
    driver = ""
    if state in ("HUMAN", "ENGAGING", "RELEASING"):
        sample = desk.last_sample if desk is not None else None
        driver = " · ".join(word for word in (sample.device, sample.operator) if word) if sample else ""
    elif state == "POLICY":
        driver = "policy"
    steps = robot.steps
    states = robot.arbiter.states if isinstance(robot.arbiter, ArmsArbiter) else {}
    tool = robot.operator.tool if robot.operator is not None else None
    return Status(
        t=time.monotonic(),
        state=state,
        reason=reason,
        phase=robot.phase,
        message=robot.message,
        driver=driver,
        episode_id=robot.episode,
        step=steps,
        episode_s=steps / robot.spec.control_hz,
        env_steps=robot.env_steps,
        policy_version=robot.policy.version,
        policy_age_s=robot.policy_age(),
        devices=[on_wire(info) for info in station.infos()] if station is not None else [],
        arms={name: state.name for name, state in states.items()},
        last_episode=robot.last_episode,
        tool=None if tool is None else tuple(tool.pos_base.tolist()),
        gripper=None if tool is None else tool.gripper_width,
        waiting=waiting,
    )


def _state(robot: "Robot", waiting: str) -> tuple[str, str]:
    """Return the state word and why the robot stands."""
    arbiter, loop = robot.arbiter, robot.loop
    state = arbiter.state
    if state is ArbiterState.ESTOP:
        return "ESTOP", arbiter.reason
    if state is ArbiterState.HOLD:
        sample = loop.desk.last_sample if loop is not None else None
        lost = arbiter.hold_requested or (sample is not None and sample.status is not SampleStatus.OK)
        return "LOST" if lost else "HOLD", arbiter.reason
    if loop is None or not loop.running or waiting or (state is ArbiterState.POLICY and robot.phase == "demo"):
        return "IDLE", ""
    return state.name, ""


def on_wire(info: DeviceInfo) -> Device:
    """Return `info` as the console gets it."""
    return Device(
        name=info.name,
        kind=info.kind,
        status=info.status.value,
        age_s=info.age_s if info.age_s < float("inf") else None,
        rate_hz=info.rate_hz,
        engaged=info.engaged,
        operator=info.operator,
        problem=info.problem,
        battery=info.battery,
        dropped=info.dropped,
    )
