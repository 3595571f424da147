"""The simulated tasks: Gymnasium rules, determinism, solvability, limits."""

import subprocess
import sys
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robot_hil.envs  # noqa: F401
from robot_hil.data.specs import Array
from robot_hil.envs.base import control_hz_of, pixels_of, privileged_of, spec_of
from robot_hil.errors import ConfigError, SafetyError

PICK, PEG = "robot_hil/PickCube-v0", "robot_hil/PegInsertion-v0"
IDS = [PICK, PEG]


def pick_expert(world: dict[str, Any]) -> Array:
    """Over the cube, down, close, up."""
    off = world["cube_pos"] - world["tcp_pos"]
    side, around = np.hypot(off[0], off[1]), abs(off[2]) < 0.01
    goal = world["cube_pos"] + [0, 0, 0.0 if side < 0.01 else 0.06]
    grip, move = 1.0, (goal - world["target_pos"]) / 0.05
    if side < 0.012 and around:
        grip, move = -1.0, np.zeros(3)
        if world["gripper_width"] < 0.044:
            move = np.array([0.0, 0.0, 0.6])
    return np.clip([*move, grip], -1, 1).astype(np.float32)


def peg_expert(world: dict[str, Any]) -> Array:
    """Over the hole, upright and turned, down; up again when beside it."""
    off = world["hole_pos"] - world["peg_tip_pos"]
    yaw = (world["hole_yaw"] - world["peg_yaw"] + np.pi / 4) % (np.pi / 2) - np.pi / 4
    w, x, y, z = world["tcp_quat"]
    tilt = -2 * (y * z - w * x), 2 * (x * z + w * y)
    side, height = np.hypot(off[0], off[1]), -off[2]
    aligned = side < 0.0004 + 0.05 * max(0.0, height - 0.004) and abs(yaw) < 0.015
    down = -0.4 if aligned or height < -0.0015 else 0.5 * (0.008 - height) / 0.01
    move = [*(0.5 * off[:2] / 0.01), down]
    turn = [0.5 * t / 0.05 for t in (*tilt, yaw)]
    return np.clip([*move, *turn], -1, 1).astype(np.float32)


EXPERTS = {PICK: pick_expert, PEG: peg_expert}


def rollout(env_id: str, seed: int, steps: int = 30, **options: Any) -> list[Array]:
    env = gymnasium.make(env_id, **options)
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    seen = list(obs.values())
    for _ in range(steps):
        obs, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
        seen += list(obs.values())
    env.close()
    return seen


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_gymnasium_checker_is_content(env_id: str, obs_type: str) -> None:
    env = gymnasium.make(env_id, obs_type=obs_type, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.reset(seed=0)
    picture = env.render()
    assert isinstance(picture, np.ndarray)
    assert picture.shape == (480, 480, 3)
    assert picture.std() > 10
    env.close()
    env.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_the_policy_does_not_see_its_own_speed(env_id: str, obs_type: str) -> None:
    """What imitates smooth demonstrations would copy the motion that it already has."""
    spec = spec_of(gymnasium.make(env_id, obs_type=obs_type))
    (vector,) = (spec.observation[name] for name in spec.vectors)
    assert len(vector.names) == len(set(vector.names)) == vector.shape[0]
    assert not [name for name in vector.names if "velocity" in name or "speed" in name]


@pytest.mark.parametrize("env_id", [*IDS, "robot_hil/PegSlot2D-v0"])
def test_a_judge_sees_the_images_that_the_policy_does_not(env_id: str) -> None:
    blind, seeing = (gymnasium.make(env_id, obs_type=kind, image_size=32) for kind in ("state", "pixels"))
    spec, look = pixels_of(blind)
    assert spec == spec_of(seeing)
    rng = np.random.default_rng(0)
    shown = [env.reset(seed=0)[0] for env in (blind, seeing)]
    for _ in range(3):
        assert list(shown[0]) == ["state"]
        found = look()
        assert list(found) == list(shown[1])
        assert all((found[name] == shown[1][name]).all() for name in found)
        action = rng.uniform(-1, 1, spec.action.shape).astype(np.float32)
        shown = [env.step(action)[0] for env in (blind, seeing)]
    blind.close()
    seeing.close()


@pytest.mark.parametrize("env_id", IDS)
def test_expert_solves_every_episode(env_id: str) -> None:
    env = gymnasium.make(env_id)
    for seed in range(10):
        env.reset(seed=seed)
        done = False
        while not done:
            obs, reward, terminated, truncated, info = env.step(EXPERTS[env_id](privileged_of(env)))
            done = terminated or truncated
        assert (terminated, reward, info["success"]) == (True, 1.0, True), f"seed {seed}"
        spec_of(env).validate_observation(obs)


@pytest.mark.parametrize("env_id", IDS)
def test_episode_is_truncated_when_nothing_happens(env_id: str) -> None:
    env = gymnasium.make(env_id)
    env.reset(seed=0)
    for step in range(1, 101):
        _, reward, terminated, truncated, info = env.step(np.zeros(env.action_space.shape, np.float32))
        assert (terminated, reward, info["success"]) == (False, 0.0, False)
        assert truncated == (step == 100)


@pytest.mark.parametrize("env_id", IDS)
def test_same_seed_gives_the_same_bits(env_id: str) -> None:
    first, again, other = rollout(env_id, 5), rollout(env_id, 5), rollout(env_id, 6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("env_id", IDS)
def test_an_episode_does_not_depend_on_those_before_it(env_id: str) -> None:
    env = gymnasium.make(env_id)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (20, *env.action_space.shape)).astype(np.float32)
    runs = []
    for _ in range(2):
        env.reset(seed=3)
        runs.append([env.step(a)[0]["state"] for a in actions])
    assert np.array_equal(runs[0], runs[1])


@pytest.mark.parametrize("env_id", IDS)
def test_another_process_sees_the_same_bits(env_id: str) -> None:
    code = f"""
import gymnasium, hashlib, numpy as np, robot_hil.envs
env = gymnasium.make({env_id!r}, obs_type="pixels"); rng = np.random.default_rng(1)
obs, _ = env.reset(seed=1); h = hashlib.sha256()
for _ in range(10):
    obs, *_ = env.step(rng.uniform(-1, 1, env.action_space.shape).astype(np.float32))
    for name in sorted(obs): h.update(obs[name].tobytes())
print(h.hexdigest())
"""
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True) for _ in range(2)]
    assert runs[0].returncode == 0, runs[0].stderr
    assert runs[0].stdout == runs[1].stdout


@pytest.mark.parametrize("env_id", IDS)
def test_two_environments_in_one_process_do_not_disturb_each_other(env_id: str) -> None:
    a, b = (gymnasium.make(env_id, obs_type="pixels", image_size=64) for _ in range(2))
    obs_a, _ = a.reset(seed=1)
    obs_b, _ = b.reset(seed=2)
    kept = obs_a["front"].copy()
    b.step(b.action_space.sample())
    assert obs_a["front"].shape == (64, 64, 3)
    assert np.array_equal(obs_a["front"], kept)
    assert not np.array_equal(obs_a["front"], obs_b["front"])
    a.close()
    b.step(b.action_space.sample())
    b.close()


@pytest.mark.parametrize("env_id", IDS)
def test_random_and_extreme_actions_stay_within_specification_and_gate(env_id: str) -> None:
    env: Any = gymnasium.make(env_id)
    rng = np.random.default_rng(0)
    spec = spec_of(env)
    for seed, bias in enumerate((0.0, -0.8, 0.8)):
        env.reset(seed=seed)
        for i in range(100):
            action = np.sign(rng.uniform(-1, 1, env.action_space.shape) + bias).astype(np.float32)
            if i % 2:
                action = rng.uniform(-1, 1, env.action_space.shape).astype(np.float32)
                action[2] = -1.0
            obs, _, terminated, truncated, _ = env.step(action)
            spec.validate_observation(obs)
            world = privileged_of(env)
            lead = np.linalg.norm(world["target_pos"] - world["tcp_pos"])
            assert lead < 0.08, "the command ran away from the arm"
            if terminated or truncated:
                break
    assert env.unwrapped.gate.info().stops == 0
    assert env.unwrapped.gate.info().limited_rate == 0


@pytest.mark.parametrize("env_id", IDS)
def test_nan_is_refused_and_leaves_the_episode_as_it_was(env_id: str) -> None:
    env: Any = gymnasium.make(env_id).unwrapped
    env.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    before = env.privileged()
    for bad in (np.nan, np.inf):
        with pytest.raises(SafetyError, match="NaN or infinity"):
            env.step(np.full_like(action, bad))
    with pytest.raises(SafetyError, match="needs"):
        env.step(action[:-1])
    after = env.privileged()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    env.step(action)


@pytest.mark.parametrize("env_id", IDS)
def test_speed_does_not_depend_on_the_control_rate(env_id: str) -> None:
    moved = []
    for hz in (10.0, 20.0):
        env = gymnasium.make(env_id, control_hz=hz)
        assert control_hz_of(env) == hz
        assert spec_of(env).max_episode_steps == 10 * hz
        env.reset(seed=0)
        start = privileged_of(env)
        action = np.zeros(env.action_space.shape, np.float32)
        action[0] = 1.0
        for _ in range(round(0.4 * hz)):
            env.step(action)
        world = privileged_of(env)
        moved.append(world["tcp_pos"][0] - start["tcp_pos"][0])
        assert world["t"] - start["t"] == pytest.approx(0.4)
    assert moved[0] == pytest.approx(moved[1], rel=0.15)
    assert moved[0] > 0.02


def test_reported_hole_is_off_by_a_constant_of_the_episode() -> None:
    exact, wrong = gymnasium.make(PEG), gymnasium.make(PEG, hole_error_m=0.005, hole_error_rad=0.1)
    (a, _), (b, _) = exact.reset(seed=2), wrong.reset(seed=2)
    names = spec_of(exact).observation["state"].names
    x, yaw = names.index("tip x - hole [0.05 m]"), names.index("yaw to turn [0.3 rad]")
    assert 0 < abs(a["state"][x] - b["state"][x]) * 0.05 <= 0.005
    assert 0 < abs(a["state"][yaw] - b["state"][yaw]) * 0.3 <= 0.1
    assert np.array_equal(privileged_of(exact)["hole_pos"], privileged_of(wrong)["hole_pos"])


def test_wrench_is_zero_in_free_space_and_pushes_back_on_contact() -> None:
    env = gymnasium.make(PEG)
    env.reset(seed=0)
    action = np.zeros(6, np.float32)
    for _ in range(10):
        env.step(action)
    assert np.abs(privileged_of(env)["wrench"]).max() < 0.5
    action[2] = -1.0
    for _ in range(20):
        env.step(action)
    assert privileged_of(env)["wrench"][2] > 10.0


@pytest.mark.parametrize(
    "options", [{"obs_type": "depth"}, {"control_hz": 0.0}, {"image_size": 4}, {"hole_error_m": -1.0}]
)
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        gymnasium.make(PEG, **options)
