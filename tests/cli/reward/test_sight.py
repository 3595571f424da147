"""A policy that sees the state, judged by a model that sees images: they are made for the judge alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli.reward.models import TINY

from robot_hil.actor.seeding import Stream
from robot_hil.cli import compose
from robot_hil.cli.reward.models import remember_frames
from robot_hil.cli.reward.online import FRAMES_EACH
from robot_hil.cli.robot import Robot
from robot_hil.cli.runfolder import RunFolder
from robot_hil.data.reward import BINARY, LabelledFrame
from robot_hil.data.step import Step
from robot_hil.data.teleop import EventKind, TeleopEvent
from robot_hil.envs import gym_adapter
from robot_hil.envs.base import spec_of
from robot_hil.errors import SpecError
from robot_hil.experiments import registry
from robot_hil.policies.reward.dataset import HARD_NEGATIVE, FrameSet
from robot_hil.policies.reward.model import train

TASK = "robot_hil/PegSlot2D-v0"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model by which the first frames are failures and the later ones successes, so that it is soon contradicted."""
    env = gym_adapter.make(TASK, obs_type="pixels")
    frames = FrameSet.create(tmp_path / "frames", BINARY, spec_of(env))
    for episode in range(6):
        obs, _ = env.reset(seed=episode)
        for step in range(12):
            label = int(step >= 5)
            frames.add(LabelledFrame(obs=obs, label=label, episode=("a", 1, episode), step_index=step, source="log"))
            obs, *_ = env.step(np.array([1.0, -1.0], np.float32))
    env.close()
    config = replace(TINY, image_size=32, updates=80, false_positive_rate=0.4)
    train(frames, config, backend="torch").save(tmp_path / "model")
    remember_frames(tmp_path / "model", tmp_path / "frames", 0)
    return tmp_path / "model"


def robot_of(run: Path, model: Path, task: str = TASK) -> tuple[Robot, list[Step]]:
    experiment = compose.with_env(registry.get("pick_cube_state"), task)
    experiment = replace(experiment, reward_model=str(model))
    folder, steps, agent = RunFolder(run), list[Step](), compose.make_agent(experiment)
    folder.create(experiment, ["pick_cube_state", "--env", task], 0)
    robot = Robot(experiment, folder, agent, 0, sink=steps.append)
    robot.policy.set_params(0, agent.load_actor(agent.actor_params(agent.init(robot.spec, 0))))
    return robot, steps


def test_images_reach_the_judge_and_neither_the_policy_nor_the_replay(tmp_path: Path, model: Path) -> None:
    robot, steps = robot_of(tmp_path / "run", model)
    robot.start()
    assert robot.reward is not None
    robot.reward.judge.threshold = 0.0  # whatever it is shown is taken for success
    robot.run(Stream.TRAIN, 0)
    assert all(list(step.obs) == ["state"] for step in steps)
    assert all("classifier" in step.reward for step in steps)
    robot.reward.contradicted(TeleopEvent(kind=EventKind.FALSE_POSITIVE, t=0.0, source="Ann"))
    robot.close()
    frames = FrameSet.open(tmp_path / "frames")
    hard = [name for name in frames.ids if frames.label(name)[1] == HARD_NEGATIVE]
    assert len(hard) == FRAMES_EACH
    assert all({"front", "proprio"} == set(frames.get(name).obs) for name in hard)


def test_a_task_without_images_cannot_be_judged(tmp_path: Path, model: Path) -> None:
    with pytest.raises(SpecError, match="no images"):
        robot_of(tmp_path / "run", model, "Pendulum-v1")
