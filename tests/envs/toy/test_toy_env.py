"""What every toy task keeps to: Gymnasium's rules, determinism, stored states, practice, disturbances, limits."""

import json
import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robot_hil.envs  # noqa: F401
from robot_hil.data.disturbance import Disturbance
from robot_hil.data.specs import Array
from robot_hil.envs.base import control_hz_of, privileged_of, scale_of, spec_of, tool_of
from robot_hil.envs.toy.env import ToyEnv
from robot_hil.errors import ConfigError, SafetyError, SpecError, StorageError

NAMES = ["PegSlot2D", "PegTwoSlots2D", "PegReturn2D", "PegGrip2D", "ReachPillar2D"]
IDS = [f"robot_hil/{name}-v0" for name in NAMES]
PEG, TWO, GRIP = (f"robot_hil/{name}-v0" for name in ("PegSlot2D", "PegTwoSlots2D", "PegGrip2D"))


def make(env_id: str, **options: Any) -> ToyEnv:
    env = gymnasium.make(env_id, disable_env_checker=True, **options).unwrapped
    assert isinstance(env, ToyEnv)
    return env


def actions_for(env: ToyEnv, seed: int, count: int) -> Array:
    return np.random.default_rng(seed).uniform(-1, 1, (count, *env.action_space.shape)).astype(np.float32)  # type: ignore[misc]


def play(env: ToyEnv, actions: Array) -> list[Array]:
    return [np.concatenate([v.ravel() for v in env.step(a)[0].values()]) for a in actions]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_gymnasium_checker_is_content(env_id: str, obs_type: str) -> None:
    env = make(env_id, obs_type=obs_type, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)
    picture = env.render()
    assert picture is not None
    assert picture.shape == (480, 480, 3)
    assert picture.std() > 10
    env.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_the_same_seed_gives_the_same_bits_within_the_specification(env_id: str, obs_type: str) -> None:
    env, other = make(env_id, obs_type=obs_type), make(env_id, obs_type=obs_type)
    spec = spec_of(env)
    env.reset(seed=4)
    play(env, actions_for(env, 9, 7))  # an earlier episode changes nothing
    runs = []
    for one in (env, other):
        spec.validate_observation(one.reset(seed=5)[0])
        runs.append(play(one, actions_for(one, 1, 30)))
        spec.validate_observation(one.step(actions_for(one, 2, 1)[0])[0])
    assert np.array_equal(*runs)
    other.reset(seed=6)
    assert not np.array_equal(runs[0], play(other, actions_for(other, 1, 30)))


@pytest.mark.parametrize("env_id", IDS)
def test_a_stored_state_is_returned_to_bit_by_bit(env_id: str) -> None:
    """Also through JSON, in another environment, with what a disturbance left behind."""
    env, other = make(env_id), make(env_id)
    env.reset(seed=1)
    env.disturb(Disturbance(kind="drift", x=0.02))
    env.disturb(Disturbance(kind="gain", x=0.5, z=0.9))
    play(env, actions_for(env, 0, 12))
    state = json.loads(json.dumps(env.snapshot()))
    later = play(env, actions_for(env, 3, 10))
    other.reset(seed=77, options={"state": state})
    assert np.array_equal(later, play(other, actions_for(other, 3, 10)))
    fresh = other.reset(seed=1)[0]
    assert np.array_equal(fresh["state"], make(env_id).reset(seed=1)[0]["state"])  # nothing of it is left


def test_a_stored_state_remembers_what_has_been_done_of_the_task() -> None:
    """A peg on its way to the second slot is not sent to the first one again."""
    env = make(TWO)
    env.reset(seed=1)
    state = env.snapshot()
    done = {**state, "scene": {**state["scene"], "stage": 1}}
    first, second = state["scene"]["slots"]
    _, info = env.reset(options={"state": done})
    assert info["stage"] == 1
    assert env.snapshot() == done
    assert env.privileged()["slot_pos"][0] == second
    env.reset(options={"keep": True, "goal": "insert"})  # the whole task anew
    assert env.privileged()["slot_pos"][0] == first


@pytest.mark.parametrize("env_id", IDS)
def test_an_episode_from_a_stored_state_has_its_full_time(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape or (), np.float32)
    play(env, np.stack([still] * 10))
    env.reset(options={"state": env.snapshot()})
    ends = [env.step(still)[3] for _ in range(env.env_spec.max_episode_steps)]
    assert ends.index(True) == len(ends) - 1 or not any(ends)  # the way back may succeed by standing in the band


def broken(state: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**state, "scene": {**state["scene"], **changes}}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"sate": {}}, ConfigError),
        ({"goal": "elsewhere"}, ConfigError),
        ({"state": {"scene": {}}}, StorageError),
        ({"state": lambda s: {**s, "env_id": GRIP}}, StorageError),
        ({"state": lambda s: broken(s, x="left")}, StorageError),
        ({"state": lambda s: broken(s, x=float("nan"))}, StorageError),
        ({"state": lambda s: broken(s, jammed=1.0)}, StorageError),
        ({"state": lambda s: broken(s, slots=[0.1, 0.2])}, StorageError),
        ({"state": lambda s: broken(s, weather=1.0)}, StorageError),
        ({"state": lambda s: broken(s, goal="elsewhere")}, ConfigError),
        ({"state": lambda s: {**s, "gain": [float("inf"), 1.0]}}, StorageError),
        ({"state": lambda s: {**s, "drift": [0.0]}}, StorageError),
    ],
)
def test_wrong_reset_options_are_refused_and_leave_the_episode(options: dict[str, Any], error: type) -> None:
    env = make(PEG)
    env.reset(seed=0)
    play(env, actions_for(env, 0, 3))
    before = env.snapshot()
    given = {k: v(before) if callable(v) else v for k, v in options.items()}
    with pytest.raises(error):
        env.reset(seed=3, options=given)
    assert env.snapshot() == before
    assert privileged_of(env)["step"] == 3


def test_nothing_can_be_kept_or_stored_before_the_first_reset() -> None:
    env = make(PEG)
    for call in (
        lambda: env.reset(options={"keep": True}), env.snapshot, lambda: env.step(np.zeros(2, np.float32)),
        lambda: env.disturb(Disturbance(kind="gripper")), env.privileged,
    ):  # fmt: skip
        with pytest.raises(ConfigError, match="reset"):
            call()
    with pytest.raises(SpecError, match="reset"):
        env.tool()
    assert env.look() == {}


@pytest.mark.parametrize("env_id", IDS)
def test_nan_is_refused_and_leaves_the_episode_as_it_was(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=0)
    before = env.snapshot()
    action = np.zeros(env.action_space.shape or (), np.float32)
    for bad in (np.nan, np.inf):
        with pytest.raises(SafetyError, match="NaN or infinity"):
            env.step(np.full_like(action, bad))
    with pytest.raises(SafetyError, match="needs"):
        env.step(action[:-1])
    assert env.snapshot() == before
    env.step(action)


@pytest.mark.parametrize("env_id", IDS)
def test_actions_are_clipped_and_speed_does_not_depend_on_the_control_rate(env_id: str) -> None:
    moved = []
    for hz in (10.0, 20.0):
        env = make(env_id, control_hz=hz)
        assert control_hz_of(env) == hz
        env.reset(seed=0)
        start = privileged_of(env)
        action = np.zeros(env.action_space.shape or (), np.float32)
        action[1] = 7.0
        for _ in range(round(0.3 * hz)):
            env.step(action)
        moved.append(privileged_of(env)["tcp_pos"][2] - start["tcp_pos"][2])
        assert privileged_of(env)["t"] - start["t"] == pytest.approx(0.3)
    assert moved[0] == pytest.approx(moved[1])
    assert 0.03 < moved[0] <= 0.12 + 1e-9


@pytest.mark.parametrize("env_id", IDS)
def test_a_device_can_drive_it(env_id: str) -> None:
    env = make(env_id)
    env.reset(seed=0)
    scale = scale_of(env)
    assert scale.axes == spec_of(env).action.names
    before, action = tool_of(env)().pos_base, np.zeros(len(scale.axes), np.float32)
    action[0] = -np.sign(before[0]) or 1.0
    if env_id.endswith("PegReturn2D-v0"):
        action[:2] = 0.0, 1.0  # a slot holds the peg sideways
    env.step(action)
    after = tool_of(env)()
    assert np.abs(after.pos_base - before).max() == pytest.approx(scale.linear_m)


@pytest.mark.parametrize("kind", ["gripper", "gain", "drift", "object", "goal", "slip"])
@pytest.mark.parametrize("env_id", IDS)
def test_disturbances_can_be_played_again_from_their_record(env_id: str, kind: str) -> None:
    env = make(env_id)
    env.reset(seed=2, options={"goal": env.goals[0]})
    push = Disturbance(kind=kind, x=0.05, z=0.03)
    if kind not in env.disturbances:
        with pytest.raises(ConfigError, match="gripper"):
            env.disturb(push)
        return
    first, actions = env.snapshot(), actions_for(env, 0, 20)
    seen = play(env, actions[:8])
    record = env.disturb(push)
    assert record.step == 8
    assert record.after == env.snapshot()
    assert (record.before == record.after) == (kind == "slip")  # nothing is held yet
    seen += play(env, actions[8:])
    env.reset(options={"state": first})
    again = play(env, actions[: record.step])
    assert env.snapshot() == record.before
    env.disturb(record.disturbance)
    again += play(env, actions[8:])
    assert np.array_equal(seen, again)


@pytest.mark.parametrize("push", [Disturbance(kind="earthquake"), Disturbance(kind="gripper", x=float("nan"))])
def test_impossible_disturbances_are_refused(push: Disturbance) -> None:
    env = make(PEG)
    env.reset(seed=0)
    before = env.snapshot()
    with pytest.raises(ConfigError, match="gripper"):
        env.disturb(push)
    assert env.snapshot() == before


@pytest.mark.parametrize("env_id", IDS)
def test_the_picture_shows_what_the_vector_hides(env_id: str) -> None:
    """The slot, or the goal, of another place; where the tool is stays the same."""
    env = make(env_id, obs_type="pixels")
    env.reset(seed=3, options={"goal": env.goals[0]})
    before = env.look()["front"]
    assert before.shape == (64, 64, 3)
    kind = next(k for k in env.disturbances if k in ("object", "goal"))
    env.disturb(Disturbance(kind=kind, x=0.02, z=0.02))
    after = env.look()["front"]
    assert np.abs(after.astype(int) - before).max() > 20
    assert "slot" not in " ".join(spec_of(env).observation["proprio"].names).replace("slots done", "")


@pytest.mark.parametrize(
    "options",
    [{"obs_type": "depth"}, {"control_hz": 0.0}, {"image_size": 4}, {"render_mode": "human"}, {"max_seconds": 0.0},
     {"goal": "elsewhere"}, {"slots": 3}, {"tolerance_m": 0.0}],
)  # fmt: skip
def test_wrong_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options)).removesuffix("_m")):
        make(PEG, **options)
