"""What a person says about an episode afterwards changes what is sampled, and no fact."""

import numpy as np
import pytest

from robot_hil.data.labels import Verdict
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.base import Method

SIZE = 300


def add_episode(buffer, make_step, episode, length=4, end="truncated", reward=0.0, **facts):
    for t in range(length):
        last = t == length - 1
        assert buffer.add(make_step(episode, t, end=end if last else "", reward=reward if last else 0.0, **facts))


def draw(buffer, method=None, seed=0, out=None):
    method = method or Method()
    return buffer.sample_view(method, np.random.default_rng(seed), SIZE, 0.9, 0, out)


@pytest.mark.parametrize("before", [True, False], ids=["said before the steps came", "said afterwards"])
@pytest.mark.parametrize(("verdict", "reward"), [(Verdict.SUCCESS, 1.0), (Verdict.FAIL, 0.0)])
def test_a_verdict_ends_the_episode_with_its_reward(before, verdict, reward, make_buffer, make_step):
    buffer = make_buffer()
    if before:
        buffer.judge({("actor0", 0, 0): verdict})
    # recorded as the opposite: a time-out without reward, an end with reward
    end, recorded = ("truncated", 0.0) if verdict is Verdict.SUCCESS else ("terminated", 1.0)
    add_episode(buffer, make_step, 0, end=end, reward=recorded)
    if not before:
        buffer.judge({("actor0", 0, 0): verdict})
    batch = draw(buffer)
    last = batch["obs/id"][:, 3] == 3
    assert last.any()
    np.testing.assert_allclose(batch["reward"], np.where(last, reward, 0.0))
    np.testing.assert_allclose(batch["discount"], np.where(last, 0.0, 0.9), rtol=1e-6)


def test_a_discarded_episode_is_never_sampled_and_comes_back(make_buffer, make_step):
    buffer = make_buffer()
    for episode in range(3):
        add_episode(buffer, make_step, episode, human=episode == 1)
    full = buffer.sizes
    buffer.judge({("actor0", 0, 1): Verdict.DISCARD, ("actor0", 0, 3): Verdict.DISCARD})
    add_episode(buffer, make_step, 3, human=True)
    assert buffer.sizes == {"demo": 0, "intervention": 0, "online": 8}
    assert set(draw(buffer, Anchored())["obs/id"][:, 2]) == {0, 2}
    buffer.judge({("actor0", 0, 1): Verdict.NONE})
    assert buffer.sizes == full
    assert set(draw(buffer, Anchored())["obs/id"][:, 2]) == {0, 1, 2}


def test_a_failed_demonstration_is_no_example(make_buffer, make_step):
    buffer = make_buffer()
    for episode in range(2):
        add_episode(buffer, make_step, episode, demo=True, end="terminated", reward=1.0)
    buffer.judge({("actor0", 0, 1): Verdict.FAIL})
    batch = draw(buffer)
    np.testing.assert_array_equal(batch["imitate"], batch["obs/id"][:, 2] == 0)


def test_the_goal_of_an_episode_follows_the_verdict(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0)
    add_episode(buffer, make_step, 1, end="terminated", reward=1.0)
    buffer.judge({("actor0", 0, 0): Verdict.SUCCESS, ("actor0", 0, 1): Verdict.FAIL})
    batch = draw(buffer, out=buffer.empty_batch(SIZE, {"obs": ["id"], "end": ["id"]}))
    np.testing.assert_array_equal(batch["end_known"], batch["obs/id"][:, 2] == 0)


def test_facts_stay_as_they_were(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0)
    plain = draw(buffer)
    for verdict in (Verdict.SUCCESS, Verdict.DISCARD, Verdict.FAIL, Verdict.NONE):
        buffer.judge({("actor0", 0, 0): verdict})
    again = draw(buffer)
    assert again.keys() == plain.keys()
    order, other = np.argsort(plain["obs/id"][:, 3]), np.argsort(again["obs/id"][:, 3])
    assert set(plain["obs/id"][order, 3]) == set(again["obs/id"][other, 3])
    assert {again[name].dtype == plain[name].dtype for name in plain} == {True}
    np.testing.assert_allclose(again["discount"], 0.9, rtol=1e-6)
    assert not again["reward"].any()


def test_verdicts_on_nothing_change_no_bit(make_buffer, make_step):
    batches = []
    for judged in (False, True):
        buffer = make_buffer(30)
        for episode in range(9):
            add_episode(buffer, make_step, episode, human=episode % 2 == 0)
            if judged:
                buffer.judge({("actor0", 0, 77): Verdict.DISCARD, ("someone", 0, episode): Verdict.FAIL})
        batches.append(draw(buffer, Anchored()))
    for name, values in batches[0].items():
        np.testing.assert_array_equal(values, batches[1][name])


def test_verdicts_are_about_the_runs_own_log(make_buffer, make_step):
    buffer = make_buffer()
    buffer.judge({("actor0", 0, 0): Verdict.DISCARD})
    buffer.add(make_step(0, 0, demo=True, end="terminated"), source="demos of last week")
    assert buffer.sizes["demo"] == 1


def test_slots_used_again_forget_the_verdict(make_buffer, make_step):
    buffer = make_buffer(12)
    buffer.judge({("actor0", 0, 0): Verdict.FAIL})
    add_episode(buffer, make_step, 0, length=10, end="terminated", reward=1.0)
    for episode in (1, 2):
        add_episode(buffer, make_step, episode, length=5, end="terminated", reward=1.0)
    batch = draw(buffer)
    last = batch["obs/id"][:, 3] == 4
    np.testing.assert_allclose(batch["reward"], last)


def test_the_newest_episode_that_ended(make_buffer, make_step):
    buffer = make_buffer()
    assert buffer.newest_episode() is None
    add_episode(buffer, make_step, 0, demo=True)
    assert buffer.newest_episode() is None
    add_episode(buffer, make_step, 1, actor=1)
    buffer.add(make_step(1, 0, actor=0))
    add_episode(buffer, make_step, 2, actor=1, epoch=3, length=6)
    buffer.add(make_step(1, 1, actor=0))
    newest = buffer.newest_episode()
    assert newest is not None
    assert newest.key == ("actor1", 3, 2)
    found = buffer.observations(newest.rows, ("id",))
    assert list(found) == ["obs/id"]
    np.testing.assert_array_equal(found["obs/id"], [[1, 3, 2, t] for t in range(6)])
