"""`values.json`: the newest episode as the critics see it."""

import json

import numpy as np
import pytest
from learner.test_learner import AGENT, CONFIG, STEPS, episode

from robot_hil.clock import VirtualClock
from robot_hil.data.step import Authority
from robot_hil.learner.learner import Learner
from robot_hil.learner.values import EVERY_S, MAX_POINTS, VALUES_FILE, ValuesFile, values_of
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.registry import make_agent


@pytest.fixture
def learner(small_spec):
    made = Learner(make_agent(AGENT, "torch"), Anchored(), small_spec, CONFIG, 0)
    yield made
    made.close()


def test_values_of_the_newest_episode(learner, small_step, small_spec) -> None:
    for step in episode(small_step, small_spec, 0, demo=True):
        learner.add(step)
    learner.warm_start()
    assert values_of(learner) is None
    human = np.full(small_spec.action.shape, Authority.HUMAN, np.uint8)
    for number in (1, 2):
        for i, step in enumerate(episode(small_step, small_spec, number, demo=False)):
            learner.add(small_step(**{**_fields(step), "authority": human}) if i in (2, 3) else step)
    before = learner.export()
    found = values_of(learner)
    assert found is not None
    assert (found["actor_id"], found["epoch"], found["episode_id"]) == ("actor", 0, 2)
    assert found["steps"] == list(range(STEPS))
    assert found["human"] == [0, 0, 1, 1, 0, 0, 0, 0]
    rows = learner.replay.newest_episode().rows
    batch = learner.replay.observations(rows, learner.agent.reads["obs"])
    np.testing.assert_allclose(found["values"], learner.agent.values(learner.state, batch), atol=1e-4)
    assert before[1] == learner.export()[1]
    assert all(np.array_equal(value, before[0][name]) for name, value in learner.export()[0].items())


def _fields(step) -> dict:
    return {name: getattr(step, name) for name in step.__dataclass_fields__}


def test_a_long_episode_is_thinned_out(learner, small_step, small_spec) -> None:
    for i in range(200):
        last = i == 199
        learner.add(small_step(seed=i, terminated=last, final_obs=small_step(0).obs if last else None))
    found = values_of(learner)
    assert found is not None
    assert len(found["values"]) == len(found["human"]) == len(found["steps"]) == MAX_POINTS
    assert (found["steps"][0], found["steps"][-1]) == (0, 199)


def test_the_file_is_written_seldom(learner, small_step, small_spec, tmp_path) -> None:
    clock = VirtualClock()
    file = ValuesFile(tmp_path, clock.now)
    assert not file.write(learner)
    assert not (tmp_path / VALUES_FILE).exists()
    for step in episode(small_step, small_spec, 1, demo=False):
        learner.add(step)
    assert not file.write(learner)
    clock.advance(EVERY_S)
    assert file.write(learner)
    assert json.loads((tmp_path / VALUES_FILE).read_text()) == values_of(learner)
    assert not file.write(learner)


def test_a_slow_machine_writes_more_seldom(learner, small_step, small_spec, tmp_path) -> None:
    for step in episode(small_step, small_spec, 1, demo=False):
        learner.add(step)
    times = iter([0.0, 0.05, 20.0, 26.0, 26.05])  # a write takes 50 ms: one in 25 s
    file = ValuesFile(tmp_path, lambda: next(times))
    assert [file.write(learner) for _ in range(3)] == [True, False, True]


def test_an_agent_without_values_writes_none(learner, small_step, small_spec, tmp_path) -> None:
    class Plain:
        reads = learner.agent.reads

    for step in episode(small_step, small_spec, 1, demo=False):
        learner.add(step)
    learner.agent = Plain()
    assert values_of(learner) is None
