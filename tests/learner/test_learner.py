"""The learner with a small real agent: warm start, rounds, exact continuation."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import trunk_rig
from contracts import assert_equal_arrays

from robot_hil.data.labels import Verdict
from robot_hil.data.specs import Array, EnvSpec
from robot_hil.data.step import Authority, Segment, Step
from robot_hil.errors import ConfigError, StorageError
from robot_hil.learner.learner import Learner, LearnerConfig
from robot_hil.methods.anchored import Anchored
from robot_hil.policies.config import AnchoredConfig, TrunkConfig
from robot_hil.policies.registry import make_agent

STEPS = 8
"""Steps of an episode."""
CONFIG = LearnerConfig(batch_size=8, capacity=500, clone_updates=5, critic_warmup=2, prefetch=0)
AGENT = AnchoredConfig(hidden=(16,), ensemble=3, utd=2, filters=(4, 4), image_size=8, shift=1)
MakeStep = Callable[..., Step]


def episode(make: MakeStep, spec: EnvSpec, number: int, *, demo: bool) -> list[Step]:
    human = np.full(spec.action.shape, Authority.HUMAN if demo else Authority.POLICY, np.uint8)
    final = {name: array.sample(np.random.default_rng(number)) for name, array in spec.observation.items()}
    return [
        make(
            seed=100 * number + i,
            episode_id=number,
            step_index=i,
            segment=Segment.DEMO if demo else Segment.NONE,
            authority=human,
            reward={"env": float(i == STEPS - 1)},
            terminated=i == STEPS - 1,
            final_obs=final if i == STEPS - 1 else None,
        )
        for i in range(STEPS)
    ]


@pytest.fixture
def learner(small_spec: EnvSpec) -> Any:
    """Make learners, and close them afterwards."""
    made: list[Learner] = []

    def make(seed: int = 0, **changes: Any) -> Learner:
        learner = Learner(make_agent(AGENT, "torch"), Anchored(), small_spec, replace(CONFIG, **changes), seed)
        made.append(learner)
        return learner

    yield make
    for one in made:
        one.close()
        one.close()


def counters(learner: Learner) -> dict[str, int]:
    """Return what the agent has counted."""
    arrays, _ = learner.export()
    return {k.removeprefix("counters/"): int(v) for k, v in arrays.items() if k.startswith("counters/")}


def feed(learner: Learner, make: MakeStep, spec: EnvSpec, *numbers: int, demo: bool) -> None:
    for number in numbers:
        for step in episode(make, spec, number, demo=demo):
            learner.add(step)


def test_warm_start_imitates_then_learns_values_and_says_so(learner, small_step, small_spec) -> None:
    one = learner()
    feed(one, small_step, small_spec, 0, 1, demo=True)
    told: list[tuple[str, int, int]] = []
    metrics = one.warm_start(lambda *news: told.append(news))
    assert told == [("imitating demonstrations", i, 5) for i in range(1, 6)] + [
        ("learning values", i, 2) for i in (1, 2)
    ]
    assert counters(one) == {"pretrain_updates": 5, "critic_updates": 4, "actor_updates": 2}
    assert one.rounds == 2
    assert one.online_steps == 0
    assert {"clone_loss", "critic_loss"} <= set(metrics)


def test_warm_start_can_be_abandoned(learner, small_step, small_spec) -> None:
    one = learner()
    feed(one, small_step, small_spec, 0, demo=True)
    told: list[int] = []
    one.warm_start(lambda name, done, of: told.append(done), lambda: len(told) == 2)
    assert told == [1, 2]
    assert counters(one)["pretrain_updates"] == 2


def test_warm_start_without_demonstrations_does_nothing(learner, small_step, small_spec) -> None:
    one = learner()
    feed(one, small_step, small_spec, 0, demo=False)
    before, _ = one.export()
    assert one.warm_start() == {}
    assert_equal_arrays(one.export()[0], before)


def test_steps_are_counted_once_and_demonstrations_apart(learner, small_step, small_spec) -> None:
    one = learner()
    feed(one, small_step, small_spec, 0, demo=True)
    feed(one, small_step, small_spec, 1, 1, demo=False)
    assert one.online_steps == STEPS
    assert one.replay.sizes == {"demo": STEPS, "intervention": 0, "online": STEPS}


@pytest.mark.parametrize("prefetch", [0, 2])
def test_every_round_makes_a_new_version(prefetch: int, learner, small_step, small_spec) -> None:
    one = learner(prefetch=prefetch)
    feed(one, small_step, small_spec, 0, demo=True)
    before = one.actor_params()
    for number in range(1, 4):
        feed(one, small_step, small_spec, number, demo=False)
        assert one.train_round()
    assert one.rounds == 3
    assert any(not np.array_equal(before[name], value) for name, value in one.actor_params().items())


def test_training_goes_on_after_close(learner, small_step, small_spec) -> None:
    one = learner(prefetch=2)
    feed(one, small_step, small_spec, 0, demo=True)
    one.train_round()
    one.close()
    one.train_round()
    assert one.rounds == 2


def test_equal_seeds_and_steps_give_equal_bits(learner, small_step, small_spec) -> None:
    results = []
    for seed in (1, 1, 2):
        one = learner(seed)
        feed(one, small_step, small_spec, 0, demo=True)
        one.warm_start()
        feed(one, small_step, small_spec, 1, demo=False)
        one.train_round()
        results.append(one.export()[0])
    assert_equal_arrays(results[0], results[1])
    assert any(not np.array_equal(results[0][name], results[2][name]) for name in results[0])


def test_a_restored_learner_continues_bit_by_bit(learner, small_step, small_spec) -> None:
    one, other = learner(1), learner(2)
    feed(one, small_step, small_spec, 0, demo=True)
    one.warm_start()
    feed(one, small_step, small_spec, 1, 2, demo=False)
    for _ in range(3):
        one.train_round()
    arrays, numbers = one.export()
    numbers = json.loads(json.dumps(numbers))  # as a checkpoint keeps them
    feed(other, small_step, small_spec, 0, demo=True)
    feed(other, small_step, small_spec, 1, 2, demo=False)
    other.load(arrays, numbers)
    assert_equal_arrays(other.export()[0], arrays)
    for each in (one, other):
        feed(each, small_step, small_spec, 3, demo=False)
        for _ in range(3):
            each.train_round()
    assert_equal_arrays(one.export()[0], other.export()[0])
    assert one.export()[1] == other.export()[1]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_discarded_episodes_reach_no_batch_from_now_on(prefetch: int, learner, small_step, small_spec) -> None:
    one = learner(prefetch=prefetch)
    seen: list[set[int]] = []
    update = one.agent.update

    def watch(state: Any, batch: Any) -> Any:
        seen.append(set(one.replay.columns(batch["row"])["episode_id"].tolist()))
        return update(state, batch)

    one.agent.update = watch
    feed(one, small_step, small_spec, 0, demo=True)
    feed(one, small_step, small_spec, 1, 2, demo=False)
    for _ in range(3):
        one.train_round()
    assert set.union(*seen) == {0, 1, 2}
    one.judge({("actor", 0, 1): Verdict.DISCARD, ("actor", 0, 3): Verdict.DISCARD})
    feed(one, small_step, small_spec, 3, demo=False)
    seen.clear()
    for _ in range(5):
        one.train_round()
    assert set.union(*seen) == {0, 2}


def test_with_everything_discarded_nothing_is_left_to_learn_from(learner, small_step, small_spec) -> None:
    one = learner(prefetch=2)
    feed(one, small_step, small_spec, 0, demo=True)
    one.train_round()
    assert one.has_data
    one.judge({("actor", 0, 0): Verdict.DISCARD})
    assert not one.has_data
    one.judge({("actor", 0, 0): Verdict.NONE})
    one.train_round()


def test_a_warm_start_ends_when_its_demonstrations_are_discarded(learner, small_step, small_spec) -> None:
    one = learner()
    feed(one, small_step, small_spec, 0, demo=True)

    def discard(name: str, done: int, of: int) -> None:
        one.judge({("actor", 0, 0): Verdict.DISCARD})

    one.warm_start(discard)
    assert counters(one) == {"pretrain_updates": 1, "critic_updates": 0, "actor_updates": 0}


def test_labels_said_before_and_after_the_steps_teach_the_same(learner, small_step, small_spec) -> None:
    """A run that is resumed, with the labels known at once, sees what the run before it saw."""
    verdicts = {("actor", 0, 1): Verdict.SUCCESS, ("actor", 0, 2): Verdict.FAIL}
    results = []
    for early in (True, False):
        one = learner(1)
        if early:
            one.judge(verdicts)
        feed(one, small_step, small_spec, 0, demo=True)
        feed(one, small_step, small_spec, 1, 2, demo=False)
        if not early:
            one.judge(verdicts)
        for _ in range(3):
            one.train_round()
        results.append(one.export()[0])
    assert_equal_arrays(*results)


def test_a_foreign_checkpoint_is_refused_and_nothing_changes(learner) -> None:
    one = learner()
    arrays, numbers = one.export()
    with pytest.raises(StorageError, match="rng"):
        one.load(arrays, {"rounds": 7, "online_steps": 3})
    with pytest.raises(StorageError, match="does not fit"):
        one.load({}, numbers | {"rounds": 7})
    assert one.rounds == 0
    assert_equal_arrays(one.export()[0], arrays)


@pytest.mark.parametrize(
    "wrong", [{"gamma": 0.0}, {"gamma": 1.1}, {"batch_size": 0}, {"publish_every": 0}, {"rounds_per_step": 0.0}]
)
def test_impossible_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        LearnerConfig(**wrong)


# Frozen trunks -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def looker(tmp_path_factory: pytest.TempPathFactory) -> AnchoredConfig:
    """An agent that sees through a small trunk."""
    model = trunk_rig.random_weights(trunk_rig.Dinov2(depth=1, grid=2))
    file = trunk_rig.save(tmp_path_factory.mktemp("trunk") / "vit.safetensors", model.state_dict())
    return replace(AGENT, trunk=TrunkConfig(kind="vit", file=file, image_size=42, grid=2, outputs=4), views=2)


def encodings(learner: Learner) -> Array:
    rows = np.concatenate([learner.replay.rows(pool) for pool in learner.replay.sizes])
    return np.asarray(learner.replay.observations(rows, ("encoding",))["obs/encoding"])


def test_frames_are_encoded_as_they_come_and_images_are_not_kept(looker, small_step, small_spec) -> None:
    one = Learner(make_agent(looker, "torch"), Anchored(), small_spec, CONFIG, 0)
    feed(one, small_step, small_spec, 0, demo=True)
    assert encodings(one).any(axis=(1, 2)).all()
    assert one.replay.bytes_per_slot < 2 * 64 * 5 * 2 + 400  # two views of five places, half precision
    before = encodings(one)
    one.warm_start()
    assert counters(one)["pretrain_updates"] == 5  # imitation reads what is cached
    assert np.array_equal(encodings(one), before)
    one.close()


def test_frames_that_wait_are_encoded_together_with_the_same_result(looker, small_step, small_spec) -> None:
    steps = [step for n in range(5) for step in episode(small_step, small_spec, n, demo=n < 2)]
    learners = [Learner(make_agent(looker, "torch"), Anchored(), small_spec, CONFIG, 0) for _ in range(2)]
    for step in steps:
        learners[0].add(step)
    learners[1].add_all(steps)
    learners[1].add_all(steps[-2:])  # repeated ones are ignored
    assert learners[0].online_steps == learners[1].online_steps == 3 * STEPS
    assert np.array_equal(encodings(learners[0]), encodings(learners[1]))
    for one in learners:
        one.warm_start()
        one.train_round()
        one.close()
    assert_equal_arrays(learners[0].export()[0], learners[1].export()[0])


def test_a_run_with_a_trunk_continues_exactly(looker, small_step, small_spec) -> None:
    steps = [step for n in range(4) for step in episode(small_step, small_spec, n, demo=n < 2)]
    one = Learner(make_agent(looker, "torch"), Anchored(), small_spec, CONFIG, 0)
    for step in steps:
        one.add(step)
    one.warm_start()
    one.train_round()
    arrays, numbers = one.export()
    other = Learner(make_agent(looker, "torch"), Anchored(), small_spec, CONFIG, 9)
    other.add_all(steps)
    other.load(arrays, json.loads(json.dumps(numbers)))
    for learner in (one, other):
        learner.train_round()
        learner.close()
    assert_equal_arrays(one.export()[0], other.export()[0])
