"""What every task of another suite keeps to, as our own do: Gymnasium's rules, specification, determinism, refusals."""

import sys
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import robot_hil.envs  # noqa: F401 - registers the ids
from robot_hil.data.specs import Array
from robot_hil.envs.base import control_hz_of, pixels_of, spec_of
from robot_hil.envs.suites import ADROIT, METAWORLD
from robot_hil.envs.suites.base import library, whole_frames
from robot_hil.errors import ConfigError, DependencyError, SafetyError, UnknownNameError

REACH, PEG = "robot_hil/MetaWorldReach-v0", "robot_hil/MetaWorldPegInsertSide-v0"
DOOR, RELOCATE = "robot_hil/AdroitDoor-v0", "robot_hil/AdroitRelocate-v0"
IDS = [REACH, PEG, DOOR, RELOCATE]


@pytest.fixture
def make() -> Iterator[Any]:
    made = []

    def one(env_id: str, **options: Any) -> Any:
        made.append(gymnasium.make(env_id, disable_env_checker=True, **options).unwrapped)
        return made[-1]

    yield one
    for env in made:
        env.close()
        env.close()  # legal twice


def play(env: Any, seed: int, count: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1, 1, (count, *env.action_space.shape)).astype(np.float32)
    return [np.concatenate([v.ravel() for v in env.step(a)[0].values()]) for a in actions]


@pytest.mark.parametrize("env_id", [REACH, DOOR])
@pytest.mark.parametrize("obs_type", ["state", "pixels"])
def test_gymnasium_checker_is_content(make: Any, env_id: str, obs_type: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(env_id, obs_type=obs_type, image_size=32), skip_render_check=True)


@pytest.mark.parametrize("env_id", [REACH, DOOR])
def test_people_get_a_picture_when_they_ask_for_one(make: Any, env_id: str) -> None:
    env = make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.shape == (480, 480, 3)
    assert picture.std() > 10
    assert make(env_id).render() is None


@pytest.mark.parametrize("env_id", IDS)
def test_the_same_seed_gives_the_same_bits_whatever_came_before(make: Any, env_id: str) -> None:
    env, other = make(env_id), make(env_id)
    spec = spec_of(env)
    assert spec.env_id == env_id
    assert len(spec.action.names) == spec.action.shape[0]
    assert len(spec.observation["state"].names) == spec.observation["state"].shape[0]
    env.reset(seed=4)
    play(env, 9, 4)
    runs = []
    for one in (env, other):
        spec.validate_observation(one.reset(seed=5)[0])
        runs.append(play(one, 1, 8))
    assert np.array_equal(*runs)
    other.reset(seed=6)
    assert not np.array_equal(runs[0], play(other, 1, 8))


@pytest.mark.parametrize("env_id", [REACH, DOOR])
def test_a_judge_sees_what_a_policy_with_images_sees(make: Any, env_id: str) -> None:
    env, seeing = make(env_id, image_size=32), make(env_id, image_size=32, obs_type="pixels")
    env.reset(seed=1)
    wanted = seeing.reset(seed=1)[0]
    spec, pixels = pixels_of(env)
    found = pixels()
    spec.validate_observation(found)
    assert spec == spec_of(seeing)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)
    assert found["front"].std() > 10
    assert set(seeing.look()) == set(spec.images)


@pytest.mark.parametrize("env_id", [REACH, DOOR])
def test_nan_is_refused_and_leaves_the_episode_as_it_was(make: Any, env_id: str) -> None:
    env, other = make(env_id), make(env_id)
    for one in (env, other):
        one.reset(seed=0)
    action = np.zeros(env.action_space.shape, np.float32)
    for bad in (np.nan, np.inf):
        with pytest.raises(SafetyError, match="NaN or infinity"):
            env.step(np.full_like(action, bad))
    with pytest.raises(SafetyError, match="needs"):
        env.step(action[:-1])
    assert np.array_equal(play(env, 1, 3), play(other, 1, 3))


@pytest.mark.parametrize("env_id", [REACH, DOOR])
def test_an_episode_ends_after_its_time(make: Any, env_id: str) -> None:
    env = make(env_id, max_seconds=0.3, control_hz=20.0)
    assert control_hz_of(env) == 20.0
    env.reset(seed=0)
    still = np.zeros(env.action_space.shape, np.float32)
    assert [env.step(still)[2:4] for _ in range(6)] == [(False, False)] * 5 + [(False, True)]


@pytest.mark.parametrize("env_id", [REACH, DOOR])
@pytest.mark.parametrize(
    "options",
    [{"obs_type": "depth"}, {"control_hz": 0.0}, {"control_hz": 33.0}, {"image_size": 4}, {"render_mode": "human"},
     {"max_seconds": 0.0}],
)  # fmt: skip
def test_wrong_options_are_refused(env_id: str, options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        gymnasium.make(env_id, **options)


def test_rates_must_divide_the_frames_of_the_suite() -> None:
    assert [whole_frames(hz, 80.0) for hz in (80.0, 40.0, 10.0, 80.0 / 3.0)] == [1, 2, 8, 3]
    with pytest.raises(ConfigError, match="80, 40, 20, 16, 10, 8"):
        whole_frames(30.0, 80.0)


def test_every_id_of_a_suite_is_registered() -> None:
    for name in (*(f"MetaWorld{task.title().replace('-', '')}" for task in METAWORLD), *(f"Adroit{t}" for t in ADROIT)):
        assert gymnasium.spec(f"robot_hil/{name}-v0").entry_point.startswith("robot_hil.envs.suites")


@pytest.mark.parametrize(("env_id", "choice"), [("robot_hil/MetaWorld-v0", "sweep-v3"), (DOOR, "Relocate")])
def test_an_unknown_task_is_answered_with_the_choices(env_id: str, choice: str) -> None:
    with pytest.raises(UnknownNameError, match=choice):
        gymnasium.make(env_id, task="juggle")


@pytest.mark.parametrize(("env_id", "module"), [(REACH, "metaworld.env_dict"), (DOOR, "gymnasium_robotics")])
def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, env_id: str, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(DependencyError, match=r'pip install "robot_hil\[suites\]"'):
        gymnasium.make(env_id)
    with pytest.raises(DependencyError, match="no_such_suite"):
        library("no_such_suite", pictures=False)
