"""Anchored RLPD: what is updated by what, targets, warm start, anchor, names, repeatability."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from contracts import agent_batch, agent_spec, assert_equal_arrays

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError, SpecError
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.torch.anchored import AnchoredRlpd

SMALL = AnchoredConfig(hidden=(16, 16), ensemble=4, utd=2, filters=(4, 4), image_size=8, shift=2)


def started(config: AnchoredConfig = SMALL, pixels: bool = False, seed: int = 0) -> tuple[AnchoredRlpd, Any]:
    agent = AnchoredRlpd(config)
    return agent, agent.init(agent_spec(pixels=pixels), seed)


def batch_for(agent: AnchoredRlpd, rows: int = 8, pixels: bool = False, **values: float) -> dict[str, Array]:
    batch = agent_batch(agent, agent_spec(pixels=pixels), rows)
    return batch | {name: np.full(rows, value, np.float32) for name, value in values.items()}


def changed(before: dict[str, Array], after: dict[str, Array]) -> set[str]:
    """Return the first parts of the names of what differs, `params/critic` and the like."""
    return {"/".join(k.split("/")[:2]) for k in before if not np.array_equal(before[k], after[k])}


@pytest.mark.parametrize(("pixels", "frozen"), [(False, True), (True, True), (True, False)])
@pytest.mark.parametrize("bins", [0, 11])
def test_a_critic_update_leaves_the_actor_bit_identical(pixels: bool, frozen: bool, bins: int) -> None:
    agent, state = started(replace(SMALL, bins=bins, freeze_encoder=frozen), pixels)
    agent.update(state, batch_for(agent, pixels=pixels))  # moments are not zero any more
    before = agent.export(state)
    agent._update_critics(state, batch_for(agent, pixels=pixels))
    moved = changed(before, agent.export(state))
    encoder = {"params/encoder"} if pixels and not frozen else set()
    assert moved == {"params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator"} | encoder


@pytest.mark.parametrize("pixels", [False, True])
def test_an_actor_update_leaves_critics_and_encoder_bit_identical(pixels: bool) -> None:
    agent, state = started(SMALL, pixels)
    agent.update(state, batch_for(agent, pixels=pixels))
    before = agent.export(state)
    batch = batch_for(agent, pixels=pixels)
    agent._update_actor(state, batch, agent._vision.see(state.params, batch, "obs")[0].detach())
    assert changed(before, agent.export(state)) == {
        "params/actor", "targets/actor", "adam/actor", "counters/actor_updates", "generator",
    }  # fmt: skip


def test_warm_start_moves_actor_and_encoder_and_keeps_the_actors_own_moments() -> None:
    agent, state = started(SMALL, pixels=True)
    before = agent.export(state)
    agent.pretrain(state, batch_for(agent, pixels=True))
    assert changed(before, agent.export(state)) == {
        "params/actor", "targets/actor", "params/encoder", "adam/clone", "counters/pretrain_updates", "generator",
    }  # fmt: skip


def test_the_acting_policy_is_the_average_of_the_trained_one() -> None:
    agent, state = started(replace(SMALL, actor_average=0.25))
    agent.pretrain(state, batch_for(agent))
    before = {k: v.copy() for k, v in agent.actor_params(state).items()}
    assert all(np.array_equal(v, state.params[k].detach().numpy()) for k, v in before.items())  # the clone acts at once
    agent.update(state, batch_for(agent))
    for name, value in agent.actor_params(state).items():
        trained = state.params[name].detach().numpy()
        assert value == pytest.approx(0.75 * before[name] + 0.25 * trained, abs=1e-6)


def test_warm_start_imitates_the_marked_rows() -> None:
    agent, state = started(replace(SMALL, clone_rate=3e-3))
    batch = batch_for(agent, rows=16)
    batch["imitate"] = np.repeat(np.float32([1.0, 0.0]), 8)
    batch["action"][:8] *= 0.5
    losses = [agent.pretrain(state, batch)[1]["clone_loss"] for _ in range(300)]
    assert losses[-1] < 0.05 * losses[0]
    unmarked = batch | {"imitate": np.zeros(16, np.float32)}
    assert agent.pretrain(state, unmarked)[1]["clone_loss"] == 0.0


def test_every_round_makes_utd_critic_updates_and_one_of_the_actor() -> None:
    agent, state = started(replace(SMALL, utd=3))
    agent.update(state, batch_for(agent, rows=12))
    assert state.counters == {"critic_updates": 3, "actor_updates": 1, "pretrain_updates": 0}
    assert agent.updates_per_round == 3


def test_members_of_the_ensemble_differ_and_stay_different() -> None:
    agent, state = started()
    for _ in range(3):
        agent.update(state, batch_for(agent))
    for name, value in state.params.items():
        if name.startswith("critic/"):
            assert value.shape[0] == SMALL.ensemble
    out = state.params["critic/out/kernel"].detach().numpy()
    for a in range(SMALL.ensemble):
        for b in range(a):
            assert not np.allclose(out[a], out[b])


def constant_targets(state: Any, values: list[float]) -> None:
    """Let target member i return `values[i]` everywhere."""
    state.targets["critic/out/kernel"].zero_()
    state.targets["critic/out/bias"].copy_(torch.tensor(values)[:, None, None])


def test_the_target_is_the_minimum_of_a_subset_drawn_without_replacement() -> None:
    agent, state = started()
    constant_targets(state, [0.1, 0.2, 0.3, 0.4])
    batch = batch_for(agent, rows=2, reward=0.0, discount=1.0)
    seen = [round(float(agent._targets(state, batch)[0]), 4) for _ in range(600)]
    # of the six pairs three have 0.1 as their minimum, two 0.2, one 0.3; 0.4 twice cannot be drawn
    share = {value: seen.count(value) / len(seen) for value in set(seen)}
    assert set(share) == {0.1, 0.2, 0.3}
    assert share[0.1] == pytest.approx(1 / 2, abs=0.08)
    assert share[0.3] == pytest.approx(1 / 6, abs=0.08)


def test_a_target_stays_within_the_range_of_returns() -> None:
    agent, state = started(replace(SMALL, value_range=(-1.0, 2.0)))
    constant_targets(state, [9.0] * 4)
    assert (agent._targets(state, batch_for(agent, reward=0.0, discount=0.9)) == 2.0).all()
    constant_targets(state, [-9.0] * 4)
    assert (agent._targets(state, batch_for(agent, reward=0.0, discount=0.9)) == -1.0).all()


def test_a_termination_ends_the_return_and_a_time_out_does_not() -> None:
    agent, state = started()
    constant_targets(state, [0.5] * 4)
    assert agent._targets(state, batch_for(agent, reward=0.25, discount=0.0)).tolist() == [0.25] * 8
    assert agent._targets(state, batch_for(agent, reward=0.25, discount=0.9)).tolist() == pytest.approx([0.7] * 8)


def test_the_anchor_pulls_towards_human_actions_and_fades() -> None:
    config = replace(SMALL, anchor=50.0, anchor_q_filter=False, anchor_half_life=2, actor_rate=3e-3, utd=1)
    agent, state = started(config)
    weights = []
    for _ in range(5):
        weights.append(agent._anchor_weight(state))
        agent.update(state, batch_for(agent))
    assert weights == pytest.approx([50.0 * 0.5 ** (i / 2) for i in range(5)])
    lasting, state = started(replace(config, anchor_half_life=0))
    batch = batch_for(lasting, imitate=1.0)
    batch["action"] *= np.float32(0.5)
    pulls = [lasting.update(state, batch)[1]["anchor_loss"] for _ in range(150)]
    assert pulls[-1] < 0.2 * pulls[0]


def test_the_filter_lets_go_where_the_policy_is_rated_higher() -> None:
    """A critic that pays for the first action dimension alone: humans who do less of it are not imitated."""
    agent, state = started(replace(SMALL, hidden=(), action_gain=0.0, utd=1, anchor=1.0, anchor_q_filter=True))
    state.params["critic/out/kernel"].data.zero_()
    state.params["critic/out/kernel"].data[:, 5, 0] = 1.0  # five numbers of state come first
    batch = batch_for(agent, imitate=1.0)
    features = agent._vision.see(state.params, batch, "obs")[0]
    for action, share in ((-1.0, 0.0), (1.0, 1.0)):
        batch["action"][:, 0] = action
        assert agent._update_actor(state, batch, features)["human_better"] == share


def test_the_actor_does_not_climb_where_the_critics_disagree() -> None:
    """Two critics: more of the first action pays on average, but only one of them says so; of the second for both."""
    quiet = replace(
        SMALL, hidden=(), action_gain=0.0, utd=1, ensemble=2, anchor=0.0, exploration=0.0, actor_average=1.0
    )
    moved = {}
    for caution in (0.0, 2.0):
        agent, state = started(replace(quiet, caution=caution))
        kernel = state.params["critic/out/kernel"].data.zero_()
        kernel[0, 5, 0] = 1.0  # five numbers of state come first
        kernel[:, 6, 0] = 0.2
        state.params["actor/out/kernel"].data.zero_()
        state.params["actor/out/bias"].data[:2] = 0.5
        batch = batch_for(agent)
        features = agent._vision.see(state.params, batch, "obs")[0]
        before = state.params["actor/out/bias"].detach().clone()
        agent._update_actor(state, batch, features)
        moved[caution] = state.params["actor/out/bias"].detach() - before
    assert moved[0.0][0] > 0
    assert moved[2.0][0] <= 0
    assert min(moved[0.0][1], moved[2.0][1]) > 0


def test_exploration_is_noise_of_the_size_asked_for() -> None:
    agent, state = started(replace(SMALL, exploration=0.2))
    acting = agent.load_actor(agent.actor_params(state))
    obs = {"state": np.zeros(5, np.float32)}
    calm = np.arctanh(agent.act(acting, obs, True, np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    noise = np.stack([np.arctanh(agent.act(acting, obs, False, rng)) - calm for _ in range(2000)])
    assert noise.std(0) == pytest.approx(np.full(noise.shape[1], 0.2), rel=0.1)
    assert np.abs(noise.mean(0)).max() < 0.03


def test_every_view_of_a_frame_is_encoded_and_drawn() -> None:
    agent, state = started(replace(SMALL, views=3), pixels=True)
    frame = {name: np.array(value) for name, value in batch_for(agent, rows=2, pixels=True).items()}
    images = {"stacked_images": frame["obs/stacked_images"]}
    views = agent.encode(state, images)
    count = agent._vision.conv.features
    assert views.shape == (2, 3, count)
    plain = agent._vision.see(state.params, frame, "obs")[0].detach().numpy()
    assert views[:, 0] == pytest.approx(plain[:, :count], abs=1e-6)  # the first is not shifted
    assert not np.allclose(views[:, 0], views[:, 1])
    batch = frame | {"obs/encoding": np.repeat(np.arange(3, dtype=np.float32)[None, :, None], 2, 0)}
    seen = {
        float(x)
        for _ in range(40)
        for x in agent._vision.learn_from(state.params, batch, "obs", state.generator)[0][:, 0]
    }
    assert seen == {0.0, 1.0, 2.0}


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


def test_the_warm_start_learns_from_images_how_far_the_goal_is() -> None:
    agent, state = started(GOAL, pixels=True)
    batch = with_end(batch_for(agent, rows=32, pixels=True))
    assert set(agent.imitates) == {"obs", "end"}
    first = agent.pretrain(state, batch)[1]["goal_error"]
    last = [agent.pretrain(state, batch)[1]["goal_error"] for _ in range(300)][-1]
    assert last < 0.3 * first
    features = agent._vision.see(state.params, batch, "obs")[0].detach().numpy()
    distance, near = features[:, -4:-2], features[:, -2:]
    assert np.abs(distance[:, 0] - np.linspace(-1, 1, 32)).mean() < 0.2
    assert np.abs(distance[:, 1]).mean() < 0.2
    assert near == pytest.approx(np.tanh(GOAL.goal_gain * distance), abs=1e-5)


def test_updates_go_on_learning_the_distance_and_leave_the_encoder_alone() -> None:
    agent, state = started(GOAL, pixels=True)
    batch = with_end(batch_for(agent, pixels=True))
    before = agent.export(state)
    metrics = agent.update(state, batch)[1]
    moved = changed(before, agent.export(state))
    assert metrics["goal_error"] > 0
    assert "params/goal" in moved
    assert "params/encoder" not in moved
    assert any(name.startswith("goal/") for name in agent.actor_params(state))


def test_an_episode_without_success_teaches_no_distance() -> None:
    agent, state = started(GOAL, pixels=True)
    batch = with_end(batch_for(agent, pixels=True)) | {"end_known": np.zeros(8, np.float32)}
    before = agent.export(state)
    assert agent.pretrain(state, batch)[1]["goal_error"] == 0.0
    assert "params/goal" not in changed(before, agent.export(state))


def test_the_estimate_can_be_all_that_is_seen_of_the_images() -> None:
    agent, state = started(replace(GOAL, goal_only=True), pixels=True)
    batch = with_end(batch_for(agent, pixels=True))
    features = agent._vision.see(state.params, batch, "obs")[0]
    assert features.shape == (8, agent._vision.size) == (8, 5 + 2 * 2)
    agent.pretrain(state, batch)
    agent.update(state, batch)
    with pytest.raises(ConfigError, match="name some"):
        replace(SMALL, goal_only=True)


def test_goal_features_that_cannot_be_are_refused() -> None:
    with pytest.raises(SpecError, match=r"no feature's name begins with 'height'.*number 0, number 1"):
        started(replace(SMALL, goal_features=("height",)), pixels=True)
    with pytest.raises(SpecError, match="shows no images"):
        started(replace(SMALL, goal_features=("number",)))
    with pytest.raises(ConfigError, match="freeze_encoder"):
        replace(SMALL, goal_features=("number",), freeze_encoder=False)


def test_a_round_without_an_update_is_refused() -> None:
    with pytest.raises(ConfigError, match="utd is 0"):
        replace(SMALL, utd=0)


def test_exported_names_belong_to_no_library() -> None:
    agent, state = started(GOAL, pixels=True)
    saved = agent.export(state)
    allowed = re.compile(
        r"(params|targets|adam/(critic|actor|clone|goal))/(encoder|actor|critic|goal)/"
        r"((dense|conv)\d+|out|norm)/(kernel|bias|scale|shift)(/(mean|square|step))?"
        r"|generator|counters/\w+"
    )
    assert [name for name in saved if not allowed.fullmatch(name)] == []
    assert {value.dtype.name for value in saved.values()} == {"float32", "uint8", "int64"}
    assert_equal_arrays(safetensors.numpy.load(safetensors.numpy.save(saved)), saved)
    acting = agent.actor_params(state)
    assert {name.split("/")[0] for name in acting} == {"actor", "encoder", "goal"}
    assert all(np.array_equal(value, saved[f"params/{name}"]) for name, value in acting.items())
