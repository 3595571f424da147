"""Which frames of an episode are taken, and with which label."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_hil.cli.reward.frames import Taking, chosen, classes_of, crops_of, labels_of, success_of
from robot_hil.data import codec
from robot_hil.data.labels import Verdict
from robot_hil.data.reward import BINARY, THREE_WAY
from robot_hil.errors import ConfigError

TAKING = Taking(last_frames=1, margin=2, negatives_per_episode=20)


@pytest.fixture
def headers(small_step: Any) -> Any:
    def make(count: int, **last: Any) -> list[codec.Header]:
        steps = [small_step(index, seq=index) for index in range(count)]
        steps[-1] = replace(steps[-1], final_obs=steps[-1].obs, **{"truncated": True, **last})
        return [codec.header(codec.encode(step)) for step in steps]

    return make


def test_the_end_of_a_success_is_success_and_what_is_just_before_is_left_out(headers: Any) -> None:
    steps = headers(6, success=True, terminated=True, truncated=False)
    assert labels_of(steps, None, BINARY, TAKING) == ([0, 0, 0, 0, None, None, 1], True)
    more = Taking(last_frames=3, margin=1)
    assert labels_of(steps, None, BINARY, more) == ([0, 0, 0, None, 1, 1, 1], True)


def test_a_failure_has_no_success(headers: Any) -> None:
    assert labels_of(headers(3), None, BINARY, TAKING) == ([0, 0, 0, 0], False)


@pytest.mark.parametrize(
    ("env", "key", "verdict", "success"),
    [
        (True, None, None, True),
        (True, 0.0, None, False),
        (False, 1.0, None, True),
        (True, 1.0, Verdict.FAIL, False),
        (False, 0.0, Verdict.SUCCESS, True),
    ],
)
def test_a_verdict_stands_above_the_key_and_that_above_the_environment(
    headers: Any, env: bool, key: float | None, verdict: Verdict | None, success: bool
) -> None:
    reward = {"env": float(env)} | ({} if key is None else {"human": key})
    labels, won = labels_of(headers(5, success=env, terminated=True, reward=reward), verdict, BINARY, TAKING)
    assert won is success
    assert labels[-1] == int(success)


def test_frames_that_only_the_environment_calls_a_success_are_success_if_it_lasts(
    headers: Any, small_step: Any
) -> None:
    steps = headers(6, success=True)
    for index in (3, 4):
        steps[index].success = True
    assert labels_of(steps, None, BINARY, TAKING)[0] == [0, 0, None, None, 1, 1, 1]
    steps[5].success = False  # it did not last: nobody can tell
    assert labels_of(steps, None, BINARY, TAKING)[0] == [0, 0, 0, 0, None, None, 0]
    assert labels_of(steps, Verdict.FAIL, BINARY, TAKING)[0] == [0] * 7, "a person can"


def test_three_ways_know_an_end_that_failed(headers: Any) -> None:
    failed = headers(3, terminated=True, truncated=False)
    assert labels_of(failed, None, THREE_WAY, TAKING)[0] == [0, 0, 0, 2]
    assert labels_of(headers(3), None, THREE_WAY, TAKING)[0] == [0, 0, 0, 0]
    assert labels_of(headers(5, success=True), None, THREE_WAY, TAKING)[0] == [0, 0, 0, None, None, 1]


@given(st.lists(st.sampled_from([None, 0, 1]), max_size=60), st.integers(1, 30))
def test_all_successes_and_a_spread_of_the_rest_are_chosen(labels: list[int | None], negatives: int) -> None:
    found = chosen(labels, 1, negatives)
    assert found == sorted(set(found))
    assert [index for index in found if labels[index] == 1] == [i for i, label in enumerate(labels) if label == 1]
    rest = [index for index, label in enumerate(labels) if label == 0]
    taken = [index for index in found if labels[index] == 0]
    assert len(taken) == min(negatives, len(rest))
    assert not rest or rest[-1] in taken
    if len(taken) > 2:
        gaps = np.diff([rest.index(index) for index in taken])
        assert gaps.max() - gaps.min() <= 1


def test_classes() -> None:
    assert classes_of(0, False) == BINARY
    assert classes_of(0, True) == THREE_WAY
    assert classes_of(3, False) == ("stage_1", "stage_2", "success")
    assert [success_of(classes_of(*asked)) for asked in ((0, False), (0, True), (4, False))] == [1, 1, 3]
    for wrong in ((1, False), (-2, False), (3, True)):
        with pytest.raises(ConfigError, match=r"--stages|--three-way"):
            classes_of(*wrong)


@pytest.mark.parametrize(
    "word", ["wrist", "wrist:1,2,3", "wrist:1,2,3,x", ":1,2,3,4", "wrist:0,0,0,4", "wrist:-1,0,4,4"][:]
)
def test_crops_that_cannot_be_are_refused(word: str) -> None:
    with pytest.raises(ConfigError):
        crops_of([word])
    assert crops_of([]) == {}


@pytest.mark.parametrize("wrong", [{"last_frames": 0}, {"margin": -1}, {"negatives_per_episode": 0}])
def test_numbers_that_cannot_be_are_refused_by_their_option(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"--{next(iter(wrong)).replace('_', '-')} is"):
        Taking(**wrong)
