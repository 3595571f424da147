"""What is shown and kept of a robot: a picture of everything for the console, a row per episode, the live file."""

import time
from typing import TYPE_CHECKING

from robot_hil.actor.arbiter import ArbiterState
from robot_hil.actor.arms import ArmsArbiter
from robot_hil.console.messages import Device, Status
from robot_hil.data.step import Authority
from robot_hil.data.teleop import DeviceInfo, SampleStatus
from robot_hil.report.metrics import EpisodeRow, LiveState

if TYPE_CHECKING:
    from robot_hil.actor.episode import EpisodeResult
    from robot_hil.cli.robot import Robot


def status_of(robot: "Robot") -> Status:
    """Return the state of `robot` now; any thread may ask."""
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
        mode=robot.arbiter.mode.value,
        modes=[mode.value for mode in robot.arbiter.config.modes],
        disturbances=list(robot.disturbances),
        stage=desk.helping.stage.value if desk is not None and desk.helping.keeps else "",
        axes=_owners(robot) if state in ("HUMAN", "RELEASING") else {},
        last_episode=robot.last_episode,
        tool=None if tool is None else tuple(tool.pos_base.tolist()),
        gripper=None if tool is None else tool.gripper_width,
        waiting=waiting,
        reward=robot.reward.status() if robot.reward is not None else None,
    )


def _owners(robot: "Robot") -> dict[str, str]:
    """Return who drove each axis of the action in the newest period."""
    decision = robot.loop.desk.last_decision if robot.loop is not None else None
    if decision is None:
        return {}
    names = robot.spec.action.names or tuple(str(i) for i in range(len(decision.authority)))
    owners = (Authority(number).name.lower() for number in decision.authority.tolist())
    return dict(zip(names, owners, strict=True))


def row_of(robot: "Robot", result: "EpisodeResult | None") -> EpisodeRow:
    """Return the row of the episode that is over; `result` is None when the safety gate ended it."""
    realtime = robot.experiment.realtime and result is not None
    return EpisodeRow(
        t_wall_s=robot.run_folder.now(),
        env_steps=robot.env_steps,
        episode_id=robot.episode,
        steps=robot.steps,
        success=result is not None and result.success,
        human_steps=robot.human,
        interventions=robot.onsets,
        phase=robot.phase,
        policy_version=robot.policy.version if robot.phase != "demo" else -1,
        policy_age_s=robot.policy_age() if robot.phase != "demo" else None,
        deadline_misses=result.deadline_misses if result is not None else 0,
        lateness_p99_s=result.lateness_p99_s if result is not None and realtime else None,
    )


def live_of(robot: "Robot", control: str) -> LiveState:
    """Return what the terminal shows."""
    return LiveState(
        t_wall_s=robot.run_folder.now(),
        phase=robot.phase,
        control=control,
        env_steps=robot.env_steps,
        episode_id=robot.episode,
        policy_version=robot.policy.version,
        policy_age_s=robot.policy_age(),
        message=robot.message,
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
