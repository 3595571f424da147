"""Anchored RLPD: what is updated by what, targets, warm start, anchor, names, repeatability; on both backends."""

import re
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from agent_rig import SMALL, Rig, changed, each
from contracts import assert_equal_arrays

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.base import Routine
from robot_hil.policies.config import AnchoredConfig

PLAIN = replace(SMALL, hidden=(), action_gain=0.0, utd=1)
"""Linear networks, whose values can be set by hand."""
WIDE = replace(SMALL, value_range=(-1.0, 2.0))


@cache  # what is compiled for it can then be found again
def make_targets(algorithm: Any) -> Routine:
    return lambda nn, trainer, given: each(algorithm._targets(nn, trainer, given))


def targets_of(rig: Rig, batch: dict[str, Array], members: list[int] | None = None) -> list[float]:
    """Return the targets of a batch, by the members given or drawn."""
    given = rig.given(batch)
    if members is not None:
        given["noise/members"] = np.int32(members)
    rig.state.learner, found = rig.agent.engine.train(make_targets(rig.algorithm), rig.state.learner, given)
    return list(found.values())


def update_critic(rig: Rig, batch: dict[str, Array]) -> None:
    def routine(nn, trainer, given):
        targets = rig.algorithm._targets(nn, trainer, given)
        _, metrics = rig.algorithm._update_critic(nn, trainer, given, targets)
        trainer.follow("critic/", rig.algorithm.config.tau)
        return metrics

    rig.train(routine, batch)


def update_actor(rig: Rig, batch: dict[str, Array]) -> dict[str, float]:
    def routine(nn, trainer, given):
        features, _ = rig.algorithm._vision.see(nn, trainer.params, given, "obs")
        noise = given["noise/next_action"]
        return rig.algorithm._update_actor(nn, trainer, given, features, noise)

    return rig.train(routine, batch)


# Where both backends would take long, one is looked at: that they agree is what `test_parity` is about.


@pytest.mark.parametrize(
    ("backend", "pixels", "frozen", "bins"),
    [("torch", pixels, frozen, bins) for pixels, frozen in ((0, 1), (1, 1), (1, 0)) for bins in (0, 11)]
    + [("jax", 1, 0, 11)],
)
def test_a_critic_update_leaves_the_actor_bit_identical(backend: str, pixels: int, frozen: int, bins: int) -> None:
    config = replace(SMALL, bins=bins, freeze_encoder=bool(frozen), ensemble=2, hidden=(8,))
    rig = Rig(config, backend, pixels=bool(pixels))
    update_critic(rig, rig.batch())  # moments are not zero any more
    before = rig.export()
    update_critic(rig, rig.batch())
    encoder = {"params/encoder"} if pixels and not frozen else set()
    assert changed(before, rig.export()) == {
        "params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator",
    } | encoder  # fmt: skip


@pytest.mark.parametrize(("backend", "pixels"), [("torch", False), ("torch", True), ("jax", False)])
def test_an_actor_update_leaves_critics_and_encoder_bit_identical(backend: str, pixels: bool) -> None:
    rig = Rig(SMALL, backend, pixels=pixels)
    update_actor(rig, rig.batch())
    before = rig.export()
    update_actor(rig, rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor", "targets/actor", "adam/actor", "counters/actor_updates", "generator",
    }  # fmt: skip


def test_warm_start_moves_actor_and_encoder_and_keeps_the_actors_own_moments(backend: str) -> None:
    rig = Rig(SMALL, backend, pixels=True)
    before = rig.export()
    rig.pretrain(rig.batch())
    assert changed(before, rig.export()) == {
        "params/actor", "targets/actor", "params/encoder", "targets/encoder", "adam/clone",
        "counters/pretrain_updates", "generator",
    }  # fmt: skip


def test_after_the_warm_start_its_average_goes_on(backend: str) -> None:
    rig = Rig(replace(SMALL, clone_average=0.25), backend, pixels=True)
    batch, seen = rig.batch(), []
    for _ in range(8):
        rig.pretrain(batch)
        seen.append(rig.params())
    # the mean of the first four, then an average that forgets a quarter at a time
    expected = {name: np.mean([one[name] for one in seen[:4]], 0) for name in seen[0]}
    for one in seen[4:]:
        expected = {name: 0.75 * value + 0.25 * one[name] for name, value in expected.items()}
    before = rig.export()
    rig.state = rig.agent.settle(rig.state)
    assert changed(before, rig.export()) == {"params/actor", "params/encoder"}
    for name, value in rig.params().items():
        if not name.startswith("critic/"):
            assert value == pytest.approx(expected[name], abs=1e-5), name
    rig.update(rig.batch())  # and can be trained
    assert any(not np.array_equal(value, rig.params()[name]) for name, value in expected.items())


def test_with_rate_1_the_warm_start_ends_with_its_newest_weights(backend: str) -> None:
    rig = Rig(replace(SMALL, clone_average=1.0), backend)
    for _ in range(3):
        rig.pretrain(rig.batch())
    before = rig.export()
    rig.state = rig.agent.settle(rig.state)
    assert changed(before, rig.export()) == set()


def test_the_acting_policy_is_the_average_of_the_trained_one(backend: str) -> None:
    rig = Rig(SMALL, backend)
    rig.pretrain(rig.batch())
    before = rig.agent.actor_params(rig.state)
    assert all(np.array_equal(v, rig.params()[k]) for k, v in before.items())  # the clone acts at once
    rig.update(rig.batch())
    trained = rig.params()
    for name, value in rig.agent.actor_params(rig.state).items():
        assert value == pytest.approx(0.75 * before[name] + 0.25 * trained[name], abs=1e-6)


def test_warm_start_imitates_the_marked_rows(backend: str) -> None:
    rig = Rig(replace(SMALL, clone_rate=3e-3), backend)
    batch = rig.batch(rows=16)
    batch["imitate"] = np.repeat(np.float32([1.0, 0.0]), 8)
    batch["action"][:8] *= 0.5
    losses = [rig.pretrain(batch)["clone_loss"] for _ in range(400)]
    assert losses[-1] < 0.05 * losses[0]
    unmarked = batch | {"imitate": np.zeros(16, np.float32)}
    assert rig.pretrain(unmarked)["clone_loss"] == 0.0


def test_every_round_makes_utd_critic_updates_and_one_of_the_actor(backend: str) -> None:
    rig = Rig(SMALL, backend)
    rig.update(rig.batch())
    rig.update(rig.batch())
    assert rig.counters() == {"critic_updates": 4, "actor_updates": 2, "pretrain_updates": 0}
    assert rig.agent.updates_per_round == 2
    odd = Rig(replace(SMALL, utd=3), "torch")
    odd.update(odd.batch(rows=12))
    assert odd.counters() == {"critic_updates": 3, "actor_updates": 1, "pretrain_updates": 0}


def test_members_of_the_ensemble_differ_and_stay_different(backend: str) -> None:
    rig = Rig(SMALL, backend)
    for _ in range(3):
        rig.update(rig.batch())
    params = rig.params()
    assert all(value.shape[0] == SMALL.ensemble for name, value in params.items() if name.startswith("critic/"))
    out = params["critic/out/kernel"]
    assert not any(np.allclose(out[a], out[b]) for a in range(SMALL.ensemble) for b in range(a))


def constant_targets(rig: Rig, values: list[float]) -> None:
    """Let target member i return `values[i]` everywhere."""
    rig.put(targets__critic__out__kernel=0.0, targets__critic__out__bias=np.float32(values)[:, None, None])


def test_members_are_drawn_without_replacement_and_equally() -> None:
    rig = Rig(SMALL, "torch")
    rng = np.random.default_rng(0)
    seen = [tuple(sorted(rig.algorithm.draw(rng, 2, False)["noise/members"])) for _ in range(1200)]
    counts = {pair: seen.count(pair) for pair in set(seen)}
    assert set(counts) == {(a, b) for b in range(4) for a in range(b)}
    assert min(counts.values()) > 140  # 200 expected


def test_the_target_is_the_minimum_of_the_members_drawn(backend: str) -> None:
    rig = Rig(WIDE, backend)
    constant_targets(rig, [0.1, 0.2, 0.3, 0.4])
    batch = rig.batch(reward=0.0, discount=1.0)
    for drawn in ([0, 1], [3, 0], [2, 1], [3, 2]):
        assert targets_of(rig, batch, drawn) == pytest.approx([0.1 * (min(drawn) + 1)] * 8)


def test_a_target_stays_within_the_range_of_returns(backend: str) -> None:
    rig = Rig(WIDE, backend)
    for value, limit in ((9.0, 2.0), (-9.0, -1.0)):
        constant_targets(rig, [value] * 4)
        assert targets_of(rig, rig.batch(reward=0.0, discount=0.9)) == [limit] * 8


def test_a_termination_ends_the_return_and_a_time_out_does_not(backend: str) -> None:
    rig = Rig(WIDE, backend)
    constant_targets(rig, [0.5] * 4)
    assert targets_of(rig, rig.batch(reward=0.25, discount=0.0)) == [0.25] * 8
    assert targets_of(rig, rig.batch(reward=0.25, discount=0.9)) == pytest.approx([0.7] * 8)


def test_the_anchor_pulls_towards_human_actions_and_fades() -> None:
    backend = "torch"
    config = replace(SMALL, anchor=50.0, anchor_filter="none", anchor_half_life=2, actor_rate=3e-3, utd=1)
    rig = Rig(config, backend)

    def pull(nn, trainer, given):
        return each(rig.algorithm._pull(trainer, given))

    weights = []
    for _ in range(5):
        weights.append(rig.train(pull, rig.batch(rows=2, imitate=1.0))["0"])
        rig.update(rig.batch())
    assert weights == pytest.approx([50.0 * 0.5 ** (i / 2) for i in range(5)])
    lasting = Rig(replace(config, anchor_half_life=0), backend)
    batch = lasting.batch(imitate=1.0)
    batch["action"] *= np.float32(0.5)
    pulls = [lasting.update(batch)["anchor_loss"] for _ in range(200)]
    assert pulls[-1] < 0.2 * pulls[0]


def test_the_filter_lets_go_where_the_policy_is_rated_higher(backend: str) -> None:
    """A critic that pays for the first action dimension alone: humans who do less of it are not imitated."""
    rig = Rig(replace(PLAIN, anchor=1.0, anchor_filter="all"), backend)
    kernel = np.zeros_like(rig.params()["critic/out/kernel"])
    kernel[:, 5, 0] = 1.0  # five numbers of state come first
    rig.put(params__critic__out__kernel=kernel)
    for action, share in ((-1.0, 0.0), (1.0, 1.0)):
        batch = rig.batch(imitate=1.0)
        batch["action"][:, 0] = action
        assert rig.update(batch | {"critic_weight": np.zeros(8, np.float32)})["human_better"] == share


def test_a_correction_is_let_go_of_and_a_demonstration_is_not(backend: str) -> None:
    """Critics that pay for the first action dimension alone, and people who do none of it."""
    rig = Rig(replace(PLAIN, anchor=1.0, anchor_filter="corrections"), backend)
    kernel = np.zeros_like(rig.params()["critic/out/kernel"])
    kernel[:, 5, 0] = 1.0  # five numbers of state come first
    rig.put(params__critic__out__kernel=kernel)
    frozen = {"critic_weight": np.zeros(8, np.float32), "actor_weight": np.zeros(8, np.float32)}
    pulls = {}
    for demonstrated, action in ((1.0, -1.0), (0.0, -1.0), (0.0, 1.0)):
        batch = rig.batch(imitate=1.0, demonstrated=demonstrated)
        batch["action"][:, 0] = action
        pulls[demonstrated, action] = rig.update(batch | frozen)
    assert pulls[1.0, -1.0]["anchor_loss"] > 0
    assert pulls[0.0, -1.0]["anchor_loss"] == 0
    assert pulls[0.0, 1.0]["anchor_loss"] > 0
    assert [found["human_better"] for found in pulls.values()] == [0, 0, 1]


def test_one_critic_that_doubts_keeps_a_correction(backend: str) -> None:
    rig = Rig(replace(PLAIN, ensemble=2, anchor=1.0, anchor_filter="corrections"), backend)
    kernel = np.zeros_like(rig.params()["critic/out/kernel"])
    kernel[0, 5, 0], kernel[1, 5, 0] = 1.0, -0.1  # five numbers of state come first
    rig.put(params__critic__out__kernel=kernel)
    batch = rig.batch(imitate=1.0, demonstrated=0.0, critic_weight=0.0, actor_weight=0.0)
    batch["action"][:, 0] = -1.0
    assert rig.update(batch)["human_better"] == 1
    everything = Rig(replace(PLAIN, ensemble=2, anchor=1.0, anchor_filter="all"), backend)
    everything.put(params__critic__out__kernel=kernel)
    assert everything.update(batch)["human_better"] == 0


def test_the_actor_does_not_climb_where_the_critics_disagree(backend: str) -> None:
    """Two critics: more of the first action pays on average, but only one of them says so; of the second for both."""
    quiet = replace(PLAIN, ensemble=2, anchor=0.0, exploration=0.0, actor_average=1.0)
    moved = {}
    for caution in (0.0, 2.0):
        rig = Rig(replace(quiet, caution=caution), backend)
        kernel = np.zeros_like(rig.params()["critic/out/kernel"])
        kernel[0, 5, 0] = 1.0  # five numbers of state come first
        kernel[:, 6, 0] = 0.2
        bias = np.float32([0.5, 0.5, 0.0])
        rig.put(params__critic__out__kernel=kernel, params__actor__out__kernel=0.0, params__actor__out__bias=bias)
        update_actor(rig, rig.batch())
        moved[caution] = rig.params()["actor/out/bias"].ravel() - bias
    assert moved[0.0][0] > 0
    assert moved[2.0][0] <= 0
    assert min(moved[0.0][1], moved[2.0][1]) > 0


def test_the_actors_imitate_each_by_itself_and_act_by_their_mean(backend: str) -> None:
    rig = Rig(replace(SMALL, actors=3, exploration=0.0), backend)
    batch = rig.batch(rows=16) | {"imitate": np.ones(16, np.float32)}
    before = rig.params()
    assert before["actor/out/kernel"].shape[0] == 3
    for _ in range(5):
        rig.pretrain(batch)
    rig.state = rig.agent.settle(rig.state)
    moved = rig.params()["actor/out/bias"] - before["actor/out/bias"]
    assert not np.allclose(moved[0], moved[1], rtol=1e-3)
    one = {name: value for name, value in rig.params().items() if name.startswith("actor/")}
    biases = np.float32([[[0.1] * 3], [[0.2] * 3], [[0.6] * 3]])
    alike = {name.replace("/", "__"): 0.0 for name in one if name.endswith("out/kernel")}
    rig.put(**{f"targets__{k}": v for k, v in alike.items()}, targets__actor__out__bias=biases)
    actor = rig.agent.load_actor(rig.agent.actor_params(rig.state))
    obs = {"state": np.zeros(5, np.float32)}
    assert rig.agent.act(actor, obs, True, np.random.default_rng(0)) == pytest.approx(np.tanh(0.3), abs=1e-6)


def test_exploration_is_noise_of_the_size_asked_for(backend: str) -> None:
    rig = Rig(replace(SMALL, exploration=0.2), backend)
    acting = rig.agent.load_actor(rig.agent.actor_params(rig.state))
    obs = {"state": np.zeros(5, np.float32)}
    calm = np.arctanh(rig.agent.act(acting, obs, True, np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    noise = np.stack([np.arctanh(rig.agent.act(acting, obs, False, rng)) - calm for _ in range(2000)])
    assert noise.std(0) == pytest.approx(np.full(noise.shape[1], 0.2), rel=0.1)
    assert np.abs(noise.mean(0)).max() < 0.03


def test_learning_explores_by_as_much(backend: str) -> None:
    """The noise of targets and of the actor's own update is drawn once per row, standard normal, and scaled."""
    rig = Rig(SMALL, backend)
    noise = rig.algorithm.draw(np.random.default_rng(0), 4000, False)
    assert noise["noise/next_action"].shape == (4000, 3)
    assert noise["noise/action"].shape == (2000, 3)
    for name in ("noise/next_action", "noise/action"):
        assert noise[name].std() == pytest.approx(1.0, abs=0.03)
    first, second = (Rig(replace(PLAIN, exploration=size, anchor=0.0), backend) for size in (0.0, 0.5))
    kernel = np.zeros_like(first.params()["critic/out/kernel"])
    kernel[:, 5:] = 1.0
    values = []
    for rig in (first, second):
        rig.put(params__critic__out__kernel=kernel, params__actor__out__kernel=0.0)
        values.append(update_actor(rig, rig.batch())["q_mean"])
    drawn = rig.algorithm.draw(rig.agent.init(rig.spec, 0).rng, 8, False)["noise/next_action"]
    assert values[0] == 0.0
    assert values[1] == pytest.approx(np.tanh(0.5 * drawn).sum(1).mean(), abs=1e-5)


GOAL = replace(SMALL, goal_features=("number 1", "number 3"), clone_rate=1e-2, shift=0, views=2)


def with_end(batch: dict[str, Array]) -> dict[str, Array]:
    """Add ends of episodes that the images tell: the first camera is as bright as feature 1 is far away."""
    now = batch["obs/state"]
    away = np.linspace(-1.0, 1.0, len(now), dtype=np.float32)
    end = now.copy()
    end[:, 1] += away
    bright = np.broadcast_to((127 + 100 * away)[:, None, None, None], batch["obs/stacked_images"].shape)
    known = np.ones(len(now), np.float32)
    return batch | {"end/state": end, "end_known": known, "obs/stacked_images": bright.astype(np.uint8)}


def test_the_warm_start_learns_from_images_how_far_the_goal_is(backend: str) -> None:
    rig = Rig(GOAL, backend, pixels=True)
    batch = with_end(rig.batch(rows=16))
    assert set(rig.agent.imitates) == {"obs", "end"}
    first = rig.pretrain(batch)["goal_error"]
    last = [rig.pretrain(batch)["goal_error"] for _ in range(300)][-1]
    assert last < 0.3 * first
    features = rig.see(batch)
    distance, near = features[:, -4:-2], features[:, -2:]
    assert np.abs(distance[:, 0] - np.linspace(-1, 1, 16)).mean() < 0.2
    assert np.abs(distance[:, 1]).mean() < 0.2
    assert near == pytest.approx(np.tanh(GOAL.goal_gain * distance), abs=1e-5)


def test_updates_go_on_learning_the_distance_and_leave_the_encoder_alone(backend: str) -> None:
    rig = Rig(GOAL, backend, pixels=True)
    batch = with_end(rig.batch(rows=16))
    before = rig.export()
    metrics = rig.update(batch)
    moved = changed(before, rig.export())
    assert metrics["goal_error"] > 0
    assert "params/goal" in moved
    assert "params/encoder" not in moved
    assert any(name.startswith("goal/") for name in rig.agent.actor_params(rig.state))


def test_an_episode_without_success_teaches_no_distance(backend: str) -> None:
    rig = Rig(GOAL, backend, pixels=True)
    batch = with_end(rig.batch(rows=16)) | {"end_known": np.zeros(16, np.float32)}
    before = rig.export()
    assert rig.pretrain(batch)["goal_error"] == 0.0
    assert "params/goal" not in changed(before, rig.export())


def test_the_estimate_can_be_all_that_is_seen_of_the_images() -> None:
    rig = Rig(replace(GOAL, goal_only=True), "torch", pixels=True)
    batch = with_end(rig.batch(rows=16))
    assert rig.see(batch).shape == (16, rig.algorithm._vision.size) == (16, 5 + 2 * 2)
    rig.pretrain(batch)
    rig.update(batch)
    with pytest.raises(ConfigError, match="name some"):
        replace(SMALL, goal_only=True)


def test_goal_features_that_cannot_be_are_refused(backend: str) -> None:
    with pytest.raises(SpecError, match=r"no feature's name begins with 'height'.*number 0, number 1"):
        Rig(replace(SMALL, goal_features=("height",)), backend, pixels=True)
    with pytest.raises(SpecError, match="shows no images"):
        Rig(replace(SMALL, goal_features=("number",)), backend)
    with pytest.raises(ConfigError, match="freeze_encoder"):
        replace(SMALL, goal_features=("number",), freeze_encoder=False)


def test_a_round_without_an_update_is_refused() -> None:
    with pytest.raises(ConfigError, match="utd is 0"):
        replace(SMALL, utd=0)


@pytest.mark.parametrize("config", [GOAL, AnchoredConfig(hidden=(4,))], ids=["goal", "plain"])
def test_exported_names_belong_to_no_library(backend: str, config: AnchoredConfig) -> None:
    rig = Rig(replace(config, image_size=8), backend, pixels=True)
    saved = rig.export()
    allowed = re.compile(
        r"(params|targets|adam/(critic|actor|clone|goal))/(encoder|actor|critic|goal)/"
        r"((dense|conv)\d+|out|norm)/(kernel|bias|scale|shift)(/(mean|square|step))?"
        r"|generator|counters/\w+"
    )
    assert [name for name in saved if not allowed.fullmatch(name)] == []
    assert {value.dtype.name for value in saved.values()} == {"float32", "uint8", "int32"}
    assert_equal_arrays(safetensors.numpy.load(safetensors.numpy.save(saved)), saved)
    acting = rig.agent.actor_params(rig.state)
    assert {name.split("/")[0] for name in acting} == {name.split("/")[1] for name in saved if "params/" in name} - {
        "critic"
    }
    assert all(np.array_equal(value, saved[f"params/{name}"]) for name, value in acting.items())
