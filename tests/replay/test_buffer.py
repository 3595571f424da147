"""What goes in, what can be sampled, what leaves."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from robot_hil.data.specs import ArraySpec
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.methods.base import Method
from robot_hil.methods.hil_serl import HilSerl
from robot_hil.replay.buffer import ReplayBuffer

ALL = {"demo": 0.25, "intervention": 0.25, "online": 0.5}
CORRECTED = {*range(10, 15), *range(40, 45), *range(70, 75)}


def draw(buffer, fractions=ALL, size=256, n_step=1, seed=0, **options):
    rng = np.random.default_rng(seed)
    return buffer.sample(rng, fractions, size, n_step, 0.9, Method().reward, **options)


def add_episode(buffer, make_step, episode, length, human=(), end="terminated", **options):
    for t in range(length):
        last = t == length - 1
        step = make_step(episode, t, human=t in human, end=end if last else "", reward=float(last), **options)
        assert buffer.add(step)


def assert_paired(batch, hops=1):
    """Every next observation is the one `hops` later in the same stream, in vectors and images alike."""
    before, after = batch["obs/id"], batch["next_obs/id"]
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    np.testing.assert_array_equal(before[:, 3] + hops, after[:, 3])
    for name, ids in (("obs", before), ("next_obs", after)):
        np.testing.assert_array_equal(batch[f"{name}/image"][:, 0, 0, 0], (ids[:, 2] * 31 + ids[:, 3]) % 256)


def test_corrections_in_an_episode_are_paired_with_what_followed_them(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 100, human=CORRECTED)
    add_episode(buffer, make_step, 1, 100, human=CORRECTED, end="truncated")
    batch = draw(buffer, {"intervention": 1.0}, 4_000)
    assert_paired(batch)
    assert {int(i) for i in batch["obs/id"][:, 3]} == CORRECTED


def test_corrections_alone_in_the_stream_are_never_paired_across_the_gaps(make_buffer, make_step):
    buffer = make_buffer()
    for t in sorted(CORRECTED):
        buffer.add(make_step(0, t, human=True))
    assert buffer.sizes["intervention"] == 15 - 3  # the end of each stretch has no successor
    assert buffer.counters["gaps"] == 3
    assert_paired(draw(buffer, {"intervention": 1.0}, 2_000))


def test_time_out_bootstraps_from_its_own_last_observation(make_buffer, make_step):
    buffer = make_buffer()
    for episode in range(3):
        add_episode(buffer, make_step, episode, 5, end="truncated")
    batch = draw(buffer, {"online": 1.0}, 1_000)
    assert_paired(batch)
    last = batch["obs/id"][:, 3] == 4
    assert last.any()
    np.testing.assert_array_equal(batch["next_obs/id"][last, 3], 5)
    np.testing.assert_allclose(batch["discount"], 0.9)


def test_termination_does_not_bootstrap(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 5)
    batch = draw(buffer, {"online": 1.0}, 500)
    np.testing.assert_allclose(batch["discount"], np.where(batch["obs/id"][:, 3] == 4, 0.0, 0.9))


def test_step_waits_for_its_successor(make_buffer, make_step):
    buffer = make_buffer()
    buffer.add(make_step(0, 0))
    assert buffer.sizes["online"] == 0
    buffer.add(make_step(0, 1))
    assert buffer.sizes["online"] == 1
    buffer.add(make_step(0, 2, end="truncated", final=False))
    assert buffer.sizes["online"] == 2
    assert buffer.counters["no_final_obs"] == 1


def test_actors_and_restarts_interleave_without_stitching(make_buffer, make_step):
    buffer = make_buffer()
    for t in range(10):
        for actor in range(3):
            buffer.add(make_step(0, t, actor=actor))
    for t in range(10, 15):  # actor 0 died and came back: same numbers would fit, yet it is another epoch
        buffer.add(make_step(0, t, actor=0, epoch=1))
    assert buffer.sizes["online"] == 3 * 9 + 4
    assert_paired(draw(buffer, {"online": 1.0}, 2_000))


@pytest.mark.parametrize("again", [(0, 1, 0), (1, 0, 0), (1, 1, 0), (1, 2, 0), (0, 7, 0), (9, 0, -1)])
def test_twice_or_too_late_is_refused_and_counted(make_buffer, make_step, again):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 2)
    add_episode(buffer, make_step, 1, 2)
    episode, index, epoch = again
    assert not buffer.add(make_step(episode, index, epoch=epoch))
    assert buffer.counters["refused"] == 1
    assert buffer.sizes["online"] == 4


def test_another_log_may_count_from_the_start_again(make_buffer, make_step):
    buffer = make_buffer()
    assert buffer.add(make_step(0, 0))
    assert buffer.add(make_step(0, 0, demo=True, end="terminated"), source="demos of last week")
    assert buffer.add(make_step(0, 1, end="terminated"))
    assert buffer.sizes == {"demo": 1, "intervention": 0, "online": 2}


def test_pools_by_facts(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 6, demo=True)
    add_episode(buffer, make_step, 1, 6, human=(2, 3))
    assert buffer.sizes == {"demo": 6, "intervention": 2, "online": 6}
    batch = draw(buffer)
    assert [int((batch["pool"] == i).sum()) for i in range(3)] == [64, 64, 128]
    np.testing.assert_array_equal(batch["obs/id"][:, 2], batch["pool"] > 0)


def test_columns_keep_the_raw_facts(make_buffer, make_step):
    buffer = make_buffer()
    buffer.add(make_step(3, 0, policy_version=7, reward=1.5))
    buffer.add(make_step(3, 1, human=True, onset=True, intervention_id=2))
    buffer.add(make_step(3, 2, human=True, offset=True, release_tail=True, intervention_id=2))
    buffer.add(make_step(3, 3, end="terminated"))
    facts = buffer.columns(np.arange(4))
    assert facts["reward/env"][0] == 1.5
    assert np.isnan(facts["reward/human"]).all()
    assert facts["policy_version"][0] == 7
    np.testing.assert_array_equal(facts["intervention_id"], [-1, 2, 2, -1])
    np.testing.assert_array_equal(facts["handover"], [True, False, True, False])
    np.testing.assert_array_equal(facts["next_row"], [1, 2, 3, -1])
    np.testing.assert_array_equal(facts["steps_to_onset"][:1], [1])
    np.testing.assert_array_equal(facts["episode_id"], [3, 3, 3, 3])
    np.testing.assert_array_equal(facts["action_policy"][0], [-0.5, -0.5])


def test_imitation_covers_people_who_hold_on(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 2, demo=True)
    for t in range(6):
        buffer.add(make_step(1, t, human=2 <= t < 5, onset=t == 2, release_tail=t == 4))
    batch = draw(buffer, size=600)
    online = batch["pool"] > 0
    assert (batch["imitate"][~online] == 1).all()
    np.testing.assert_array_equal(batch["demonstrated"], ~online)
    np.testing.assert_array_equal(batch["imitate"][online], np.isin(batch["obs/id"][online, 3], (2, 3)))
    assert np.isfinite(batch["action_human"]).all()
    np.testing.assert_allclose(batch["action_human"][:, 0], np.where(batch["is_human"], 0.5, 0.25))


def test_oldest_leave_first_and_demonstrations_stay(make_buffer, make_step):
    buffer = make_buffer(100)
    add_episode(buffer, make_step, 0, 20, demo=True)
    for episode in range(1, 40):
        add_episode(buffer, make_step, episode, 9, human=(4, 5))
        assert buffer.sizes["demo"] == 20
    kept = set(draw(buffer, {"online": 1.0}, 2_000)["obs/id"][:, 2].astype(int))
    assert kept == set(range(40 - len(kept), 40))
    assert buffer.counters["added"] == 20 + 39 * 9
    batch = draw(buffer, size=2_000)
    assert_paired(batch)


def test_demonstrations_take_half_of_the_buffer_at_most(make_buffer, make_step):
    buffer = make_buffer(40)
    for episode in range(10):
        add_episode(buffer, make_step, episode, 9, demo=True)
    assert buffer.sizes["demo"] == 18  # two episodes of 9 with their final observations
    add_episode(buffer, make_step, 10, 15)
    assert buffer.sizes == {"demo": 18, "intervention": 0, "online": 15}


def test_a_stream_overtaken_by_eviction_goes_on_unlinked(make_buffer, make_step):
    buffer = make_buffer(10)
    buffer.add(make_step(0, 0, actor=0))
    add_episode(buffer, make_step, 0, 30, actor=1)
    buffer.add(make_step(0, 1, actor=0))
    buffer.add(make_step(0, 2, actor=0))
    batch = draw(buffer, {"online": 1.0}, 500)
    assert_paired(batch)
    assert (0, 0) not in {(int(a), int(t)) for a, t in batch["obs/id"][:, [0, 3]]}


def test_wrong_input_is_named_and_changes_nothing(make_buffer, make_step):
    buffer = make_buffer()
    good = make_step(0, 0)
    with pytest.raises(SpecError, match="image"):
        buffer.add(make_step(0, 0, obs={"id": good.obs["id"]}))
    with pytest.raises(SpecError, match=r"'id' is float64\(4,\)"):
        buffer.add(make_step(0, 0, obs={**good.obs, "id": np.zeros(4)}))
    with pytest.raises(SpecError, match=r"'action_human': \(3,\).*expected \(2,\)"):
        buffer.add(make_step(0, 0, action_human=np.zeros(3, np.float32)))
    with pytest.raises(SpecError, match="never NaN"):
        buffer.add(make_step(0, 0, action_executed=np.full(2, np.nan, np.float32)))
    with pytest.raises(SpecError, match=r"does not fit .*'intervention_id': 40000"):
        buffer.add(make_step(0, 0, intervention_id=40_000))
    with pytest.raises(SpecError, match=r"does not fit .*'env': 1e\+39"):
        buffer.add(make_step(0, 0, reward=1e39))
    assert buffer.counters == {"added": 0, "refused": 0, "gaps": 0, "evicted": 0, "no_final_obs": 0}
    with pytest.raises(SpecError, match="never NaN"):  # one of a group keeps all of it out
        buffer.add_all([good, make_step(0, 1, action_executed=np.full(2, np.nan, np.float32))])
    assert buffer.counters["added"] == 0
    assert buffer.add(good)
    assert buffer.add_all([good, make_step(0, 1)]) == [False, True]
    assert buffer.add_all([]) == []


def test_capacity_too_small_is_refused():
    with pytest.raises(ConfigError, match="capacity is 3"):
        ReplayBuffer({"id": ArraySpec(shape=(4,))}, 2, 3)


def test_transform_runs_once_per_observation(make_step):
    calls = []

    def encode(obs):
        calls.append(1)
        return {"feature": obs["id"][:3] * 2}

    buffer = ReplayBuffer({"feature": ArraySpec(shape=(3,))}, 2, 50, transform=encode)
    add_episode(buffer, make_step, 5, 4)
    assert len(calls) == 5
    np.testing.assert_array_equal(draw(buffer)["next_obs/feature"][:, 2], 10)
    assert not buffer.add(make_step(5, 0))
    assert buffer.add_all([make_step(5, 0), make_step(5, 1)]) == [False, False]
    assert len(calls) == 5


def test_equal_generators_give_equal_batches(make_buffer, make_step):
    def filled():
        buffer = make_buffer(60)
        for episode in range(20):
            add_episode(buffer, make_step, episode, 7, human=(3, 4), demo=episode < 3)
        return buffer

    first, second = (draw(filled(), n_step=3, seed=5) for _ in range(2))
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])
    assert not np.array_equal(first["row"], draw(filled(), seed=6)["row"])


def test_sampling_into_given_arrays(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 9)
    out = buffer.empty_batch(32)
    batch = draw(buffer, size=32, out=out)
    assert batch["obs/image"] is out["obs/image"]
    assert batch["next_obs/id"] is out["next_obs/id"]
    assert_paired(batch)


def test_every_minibatch_has_its_share_of_each_pool(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 9, demo=True)
    add_episode(buffer, make_step, 1, 9, human=(3, 4))
    batch = draw(buffer, size=400, parts=4)
    assert_paired(batch)
    for minibatch in np.split(batch["pool"], 4):
        assert np.bincount(minibatch).tolist() == [25, 25, 50]
    whole = draw(buffer, size=400)
    np.testing.assert_array_equal(np.sort(whole["row"]), np.sort(batch["row"]))
    with pytest.raises(ConfigError, match="401 rows as 4"):
        draw(buffer, size=401, parts=4)


def test_nothing_to_sample_is_said(make_buffer, make_step):
    buffer = make_buffer()
    with pytest.raises(StorageError, match="nothing to sample"):
        draw(buffer)
    add_episode(buffer, make_step, 0, 3)
    with pytest.raises(StorageError, match=r"cannot sample from \['onlin'\]"):
        draw(buffer, {"onlin": 1.0})


def test_weights_steer_the_draw(make_buffer, make_step):
    """Chi-square with a fixed seed: 99.9 % bound for 9 degrees of freedom is 27.9."""
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 12)
    weights = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0], np.float32)
    buffer.set_weights(buffer.rows("online"), weights)
    drawn = np.bincount(draw(buffer, {"online": 1.0}, 50_000)["row"], minlength=14)[:12]
    assert drawn[0] == drawn[11] == 0
    expected = 50_000 * weights / weights.sum()
    inner = slice(1, 11)
    assert ((drawn[inner] - expected[inner]) ** 2 / expected[inner]).sum() < 27.9


def test_weight_follows_rows_and_new_rows_count_one(make_buffer, make_step):
    buffer = make_buffer(20)
    add_episode(buffer, make_step, 0, 9)
    buffer.set_weights(buffer.rows("online"), np.zeros(9))
    assert len(set(draw(buffer, {"online": 1.0}, 500)["row"])) == 9  # all 0: uniform
    add_episode(buffer, make_step, 1, 5)
    assert set(draw(buffer, {"online": 1.0}, 500)["obs/id"][:, 2]) == {1}
    with pytest.raises(ConfigError, match=">= 0"):
        buffer.set_weights(np.array([0]), np.array([-1.0]))


def test_uniform_within_a_pool(make_buffer, make_step):
    """Chi-square with a fixed seed after evictions; 99.9 % bound for 26 degrees of freedom is 54.1."""
    buffer = make_buffer(30)
    for episode in range(30):
        add_episode(buffer, make_step, episode, 9)
    rows = draw(buffer, {"online": 1.0}, 54_000)["row"]
    assert len(set(rows)) == buffer.sizes["online"] == 27
    counts = np.bincount(rows)
    counts = counts[counts > 0]
    assert ((counts - 2_000.0) ** 2 / 2_000.0).sum() < 54.1


def test_one_thread_adds_while_another_samples(make_buffer, make_step):
    buffer = make_buffer(64)
    add_episode(buffer, make_step, 0, 20)
    done = threading.Event()
    errors = []

    def ingest():
        try:
            for episode in range(1, 150):
                add_episode(buffer, make_step, episode, 9, human=(3,))
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=ingest)
    thread.start()
    rng = np.random.default_rng(0)
    while not done.is_set():
        assert_paired(buffer.sample_view(HilSerl(), rng, 64, 0.9, 0))
    thread.join()
    assert not errors


def test_memory_of_a_transition_with_two_cameras():
    images = {name: ArraySpec(shape=(128, 128, 3), dtype="uint8") for name in ("front", "wrist")}
    buffer = ReplayBuffer(images | {"state": ArraySpec(shape=(20,))}, 7, 100)
    assert buffer.bytes_per_slot <= 98_650


def test_the_end_of_an_episode_is_known_when_it_succeeded_and_came_whole(make_buffer, make_step):
    buffer = make_buffer()
    add_episode(buffer, make_step, 0, 5)
    for t in (0, 1, 3):  # a step is missing
        buffer.add(make_step(1, t, end="terminated" if t == 3 else ""))
    add_episode(buffer, make_step, 2, 3, end="truncated")  # without success
    buffer.add(make_step(3, 0))
    buffer.add(make_step(3, 1))  # goes on
    batch = draw(buffer, size=200, out=buffer.empty_batch(200, {"obs": ["id"], "end": ["id"]}))
    assert "next_obs/id" not in batch
    known = batch["end_known"] == 1
    episode, step = batch["obs/id"][:, 2], batch["obs/id"][:, 3]
    np.testing.assert_array_equal(known, (episode == 0) | ((episode == 1) & (step == 3)))
    np.testing.assert_array_equal(batch["end/id"][known, 2], episode[known])
    np.testing.assert_array_equal(batch["end/id"][known, 3], np.where(episode[known] == 0, 5, 4))


def test_who_has_said_last_whether_an_episode_succeeded_is_believed(make_buffer, make_step):
    """The person before the classifier, the classifier before the environment."""
    nan = float("nan")
    cases = [
        (nan, nan, True),
        (nan, nan, False),
        (nan, 1.0, False),
        (nan, -0.02, True),
        (1.0, nan, False),
        (0.0, 1.0, True),
    ]
    buffer = make_buffer()
    for episode, (human, classifier, success) in enumerate(cases):
        said = {name: value for name, value in (("human", human), ("classifier", classifier)) if value == value}
        buffer.add(make_step(episode, 0))
        buffer.add(replace(make_step(episode, 1, end="terminated", success=success), reward={"env": 0.0, **said}))
    batch = draw(buffer, size=200, out=buffer.empty_batch(200, {"obs": ["id"], "end": ["id"]}))
    episodes = batch["obs/id"][:, 2]
    assert set(episodes[batch["end_known"] == 1].tolist()) == {0, 2, 4}
    assert set(episodes.tolist()) == set(range(6))
