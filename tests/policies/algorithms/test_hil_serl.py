"""The HIL-SERL baseline: what is updated by what, the discrete gripper, its penalty, names; on both backends."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import SMALL_HIL_SERL, Rig, changed

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.config import HilSerlConfig


def rig_of(backend: str, pixels: bool = False, gripper: bool = True, config: HilSerlConfig = SMALL_HIL_SERL) -> Rig:
    return Rig(config, backend, pixels=pixels, gripper=gripper)


@pytest.mark.parametrize(
    ("backend", "pixels", "gripper"),
    [("torch", pixels, gripper) for pixels in (False, True) for gripper in (False, True)] + [("jax", True, True)],
)
def test_critic_and_actor_updates_keep_to_their_own(backend: str, pixels: bool, gripper: bool) -> None:
    rig = rig_of(backend, pixels, gripper)
    batch = rig.batch()

    def critic(nn, trainer, given):
        return rig.algorithm._update_critic(nn, trainer, given, given["noise/next_action"], None)[1]

    def actor(nn, trainer, given):
        features = rig.algorithm._features(nn, trainer.params, given, "obs")
        return rig.algorithm._update_actor(nn, trainer, features, given["noise/next_action"])

    rig.train(critic, batch)
    rig.train(actor, batch)  # moments are not zero any more
    before = rig.export()
    rig.train(critic, batch)
    after = rig.export()
    grasp = {"params/grasp", "targets/grasp"} if gripper else set()
    encoder = {"params/encoder"} if pixels else set()
    common = {"params/critic", "targets/critic", "adam/critic", "counters/critic_updates", "generator"}
    assert changed(before, after) == common | grasp | encoder
    rig.train(actor, batch)
    assert changed(after, rig.export()) == {
        "params/actor", "params/temperature", "adam/actor", "adam/temperature", "counters/actor_updates", "generator",
    }  # fmt: skip


def test_a_round_is_two_critic_updates_and_one_of_the_actor(backend: str) -> None:
    rig = rig_of(backend)
    rig.update(rig.batch())
    assert rig.counters() == {"critic_updates": 2, "actor_updates": 1}


def test_members_have_output_layers_of_their_own(backend: str) -> None:
    out = rig_of(backend).params()["critic/out/kernel"]
    assert out.shape == (2, 8, 1)
    assert not np.allclose(out[0], out[1])


def test_the_temperature_begins_as_asked(backend: str) -> None:
    rig = rig_of(backend)
    assert np.log1p(np.exp(rig.params()["temperature/raw"])) == pytest.approx(0.01, rel=1e-4)
    assert rig.update(rig.batch())["temperature"] == pytest.approx(0.01, rel=1e-4)


def test_gripper_takes_one_of_three_values_and_only_where_there_is_one(backend: str) -> None:
    rig = rig_of(backend)
    params = rig.agent.actor_params(rig.state)
    assert any(name.startswith("grasp/") for name in params)
    rng = np.random.default_rng(0)
    for best, value in enumerate((-1.0, 0.0, 1.0)):
        params["grasp/out/kernel"][...] = 0.0
        params["grasp/out/bias"][...] = 0.0
        params["grasp/out/bias"][..., best] = 1.0
        obs = {name: array.sample(rng) for name, array in rig.spec.observation.items()}
        assert rig.agent.act(rig.agent.load_actor(params), obs, False, rng)[3] == value
    assert not any("grasp" in name for name in rig_of(backend, gripper=False).params())


def gripper_nets(rig: Rig, online: list[float], target: list[float]) -> None:
    """Let the gripper's critic return `online` everywhere, and the one it follows `target`."""
    rig.put(
        params__grasp__out__kernel=0.0, params__grasp__out__bias=np.float32(online),
        targets__grasp__out__kernel=0.0, targets__grasp__out__bias=np.float32(target),
    )  # fmt: skip


def grasp_loss(rig: Rig, batch: dict[str, Array], reward: float, discount: float) -> float:
    """Mean squared error of a gripper's critic that returns its bias."""

    def routine(nn, trainer, given):
        alg = rig.algorithm
        features = alg._features(nn, trainer.params, given, "next_obs")
        grip_target = alg._grasp_target(nn, trainer, given, features)
        said = nn.broadcast_to(trainer.params["grasp/out/bias"], (features.shape[0], 3))
        chosen = nn.pick(said, alg._grip_index(nn, given))
        return {"loss": nn.mean((chosen - grip_target) ** 2)}

    rows = len(batch["reward"])
    facts = {"reward": np.full(rows, reward, np.float32), "discount": np.full(rows, discount, np.float32)}
    return rig.train(routine, batch | facts)["loss"]


def whole_loss(rig: Rig, batch: dict[str, Array]) -> float:
    def routine(nn, trainer, given):
        return rig.algorithm._update_critic(nn, trainer, given, given["noise/next_action"], None)[1]

    return rig.train(routine, batch)["critic_loss"]


def test_gripper_critic_is_a_double_dqn(backend: str) -> None:
    """The online network chooses "stay", the target network values it at 0.5, and "open" is worth 0.2 so far."""
    rig = rig_of(backend, config=replace(SMALL_HIL_SERL, gripper_penalty=0.0))
    gripper_nets(rig, [0.0, 1.0, 0.2], [5.0, 0.5, 7.0])
    batch = rig.batch()
    batch["action"][:, 3] = 1.0
    assert grasp_loss(rig, batch, reward=0.25, discount=0.9) == pytest.approx((0.2 - 0.7) ** 2)
    assert grasp_loss(rig, batch, reward=1.0, discount=0.0) == pytest.approx((0.2 - 1.0) ** 2)


def test_the_grippers_error_is_added_to_that_of_the_critics(backend: str) -> None:
    rig = rig_of(backend, config=replace(SMALL_HIL_SERL, gripper_penalty=0.0))
    still = dict.fromkeys(("params__critic__out__kernel", "targets__critic__out__kernel"), 0.0)
    rig.put(**still)
    gripper_nets(rig, [0.0, 1.0, 0.2], [5.0, 0.5, 7.0])
    batch = rig.batch(reward=0.25, discount=0.9)
    batch["action"][:, 3] = 1.0  # open
    # the critics say 0 everywhere, so that their targets are the reward
    assert whole_loss(rig, batch) == pytest.approx(2 * 0.25**2 + (0.2 - 0.7) ** 2, rel=1e-5)


@pytest.mark.parametrize(
    ("command", "action", "turned"),
    [(1.0, -1.0, True), (-1.0, 1.0, True), (1.0, 1.0, False), (-1.0, -1.0, False), (1.0, 0.0, False)],
)
def test_turning_the_gripper_round_costs_the_penalty(backend: str, command: float, action: float, turned: bool) -> None:
    rig = rig_of(backend, config=replace(SMALL_HIL_SERL, gripper_penalty=0.1))
    gripper_nets(rig, [0.0, 0.0, 0.0], [0.0, 0.0, 0.0])
    batch = rig.batch()
    batch["obs/state"][:, 4], batch["action"][:, 3] = command, action
    assert grasp_loss(rig, batch, reward=0.0, discount=0.0) == pytest.approx(0.01 if turned else 0.0)


def test_pretraining_changes_nothing(backend: str) -> None:
    rig = rig_of(backend)
    before = rig.export()
    assert rig.pretrain(rig.batch()) == {}
    assert changed(before, rig.export()) == set()
    assert rig.agent.imitates == {}


def test_targets_may_come_from_a_subset_of_the_critics(backend: str) -> None:
    """Three critics whose targets say 1, 2 and 3 everywhere: of two drawn without replacement the smaller counts."""
    config = replace(SMALL_HIL_SERL, ensemble=3, subset=2, critic_to_actor=1, learning_rate=0.0, tau=0.0)
    rig = rig_of(backend, gripper=False, config=config)
    rig.put(targets__critic__out__kernel=0.0, targets__critic__out__bias=np.float32([1.0, 2.0, 3.0])[:, None, None])
    batch = rig.batch() | {"reward": np.zeros(8, np.float32), "discount": np.ones(8, np.float32)}
    seen = [round(rig.update(batch)["target_mean"], 5) for _ in range(60)]
    assert set(seen) == {1.0, 2.0}
    assert 0.5 < seen.count(1.0) / len(seen) < 0.85  # 2 of 3 pairs have the first


def test_a_subset_larger_than_the_ensemble_is_refused() -> None:
    with pytest.raises(ConfigError, match="subset is 3; allowed are 1 to ensemble = 2"):
        replace(SMALL_HIL_SERL, subset=3)
