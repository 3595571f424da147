"""What a method says of the whole log reaches the rows of the replay, and only those it was said of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array
from robot_hil.data.step import Segment
from robot_hil.learner.learner import Learner, LearnerConfig
from robot_hil.learner.survey import Survey
from robot_hil.methods.base import Method
from robot_hil.methods.log import Log
from robot_hil.policies.config import BcConfig
from robot_hil.policies.registry import make_agent
from robot_hil.replay.buffer import ReplayBuffer


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting(Method):
    """Gives every row its number in its episode, from 1, and the last one of it twice the chance."""

    surveys = True

    def survey(self, log: Log) -> Mapping[str, Array]:
        draw = np.ones(log.size, np.float32)
        draw[log.columns["step_index"] == 2] = 0.0
        place = 1.0 + np.arange(log.size) - log.spread(log.begins)
        return {"place": place.astype(np.float32), "pair": np.stack([place, -place], 1), "draw": draw}


@pytest.fixture
def replay(small_spec) -> ReplayBuffer:
    return ReplayBuffer(small_spec.observation, small_spec.action.shape[0], capacity=40)


def fill(replay: ReplayBuffer, make, spec, *episodes: int, steps: int = 5) -> None:
    for number in episodes:
        for i in range(steps):
            step = make(
                seed=number * 100 + i, episode_id=number, step_index=i, truncated=i == steps - 1,
                segment=Segment.DEMO if number == 0 else Segment.NONE,
            )  # fmt: skip
            final = {name: array.sample(np.random.default_rng(i)) for name, array in spec.observation.items()}
            replay.add(replace(step, final_obs=final if step.truncated else None))


def everything(replay: ReplayBuffer) -> Array:
    return np.concatenate([replay.rows("demo"), replay.rows("online")])


def test_rows_get_what_was_said_of_them(replay, small_step, small_spec) -> None:
    survey = Survey(replay, Counting(), 0.9)
    fill(replay, small_step, small_spec, 0, 1, 2)
    survey.refresh()
    rows = everything(replay)
    notes = survey.notes(rows)
    index = replay.columns(rows)["step_index"]
    assert notes["place"].tolist() == (index + 1).tolist()
    assert notes["pair"].tolist() == np.stack([index + 1, -index - 1], 1).tolist()
    assert {value.dtype for value in notes.values()} == {np.dtype(np.float32)}
    assert notes["surveyed"].tolist() == [1.0] * 15


def test_how_often_a_row_is_drawn(replay, small_step, small_spec) -> None:
    survey = Survey(replay, Counting(), 0.9)
    fill(replay, small_step, small_spec, 0, 1, 2)
    survey.refresh()
    method = Counting()
    batch = replay.sample(np.random.default_rng(0), {"demo": 0.5, "online": 0.5}, 300, 1, 0.9, method.reward)
    drawn = replay.columns(batch["row"])["step_index"]
    assert set(drawn.tolist()) == {0, 1, 3, 4}


def test_a_row_that_took_anothers_place_has_nothing_said_of_it(replay, small_step, small_spec) -> None:
    survey = Survey(replay, Counting(), 0.9)
    fill(replay, small_step, small_spec, 0, 1, 2)
    survey.refresh()
    fill(replay, small_step, small_spec, *range(3, 9))
    assert replay.counters["evicted"] > 0
    rows = everything(replay)
    notes, facts = survey.notes(rows), replay.columns(rows)
    old = facts["episode_id"] <= 2
    assert 0 < old.sum() < len(rows)
    assert notes["surveyed"].tolist() == old.astype(np.float32).tolist()
    assert not notes["place"][~old].any()
    assert not notes["pair"][~old].any()


def test_it_is_made_anew_when_the_log_has_grown_or_is_seen_otherwise(replay, small_step, small_spec) -> None:
    asked = []

    class Asked(Counting):
        def survey(self, log: Log) -> Mapping[str, Array]:
            asked.append(log.size)
            return {}

    survey = Survey(replay, Asked(), 0.9)
    fill(replay, small_step, small_spec, 0)
    for _ in range(3):
        survey.refresh()
    fill(replay, small_step, small_spec, 1)
    survey.refresh()
    survey.forget()
    survey.refresh()
    assert asked == [5, 10, 10]


def test_an_empty_log_can_be_surveyed(replay) -> None:
    survey = Survey(replay, Counting(), 0.9)
    survey.refresh()
    assert survey.notes(np.array([3]))["surveyed"].tolist() == [0.0]


def test_a_learner_surveys_and_sees_the_log_in_the_light_of_a_verdict(small_step, small_spec) -> None:
    asked = []

    class Asked(Counting):
        def survey(self, log: Log) -> Mapping[str, Array]:
            asked.append(log.size)
            return Counting.survey(self, log)

        def weights(self, batch: Mapping[str, Array]) -> tuple[Array, Array]:
            weights.append(batch["place"].copy())
            return Counting.weights(self, batch)

    weights: list[Array] = []
    config = LearnerConfig(batch_size=8, capacity=100, prefetch=0)
    learner = Learner(make_agent(BcConfig(hidden=(4,)), "torch"), Asked(), small_spec, config, 0)
    fill(learner.replay, small_step, small_spec, 0, 1, 2)
    learner.train_round()
    learner.train_round()
    key = ("actor", 0, 1)
    learner.judge({key: Verdict.DISCARD})
    learner.train_round()
    learner.close()
    assert asked == [15, 10]
    assert {float(place) for batch in weights for place in batch} <= {1.0, 2.0, 4.0, 5.0}  # the third is never drawn
