"""SiLRI: its three losses against numpy, who moves by which, and where the multiplier goes."""

import numpy as np
import pytest
from agent_rig import Rig, changed, gradients_of, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.silri import SilriConfig

LINEAR = small(
    SilriConfig, hidden=(), action_gain=0.0, utd=1, ensemble=2, exploration=0.0, deviations=0.7, slack=0.1,
    multiplier_rate=1e-2,
)  # fmt: skip


def gaussian_of(rig: Rig, obs: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of people, whose network is linear."""
    params = rig.params()
    raw = obs @ params["human/out/kernel"] + params["human/out/bias"]
    mean, raw_std = np.split(raw, 2, axis=1)
    low, high = np.log(0.05), 0.0
    return np.tanh(mean), np.exp((low + high) / 2 + (high - low) / 2 * np.tanh(raw_std))


def test_losses_are_those_of_the_paper(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.given(rig.batch())
    params, obs = rig.params(), batch["obs/state"]
    mean, std = gaussian_of(rig, obs)
    actor = np.tanh(obs @ params["actor/out/kernel"][0] + params["actor/out/bias"][0])
    rows = np.concatenate([obs, actor], 1)
    q = (rows @ params["critic/out/kernel"] + params["critic/out/bias"])[..., 0].min(0)
    weight = np.log1p(np.exp(obs @ params["multiplier/out/kernel"] + params["multiplier/out/bias"]))[:, 0]
    far = np.sqrt(((actor - mean) ** 2).sum(1))
    density = -0.5 * ((batch["action"] - mean) / std) ** 2 - np.log(std * np.sqrt(2 * np.pi))

    def routine(nn, trainer, given):
        features, _ = rig.algorithm._vision.see(nn, trainer.params, given, "obs")
        return rig.algorithm._update_actor(nn, trainer, given, features, given["noise/action"])

    found = gradients_of(rig, routine, batch)  # losses, all at the parameters as they are
    assert found["human0 loss"] == pytest.approx(-(batch["imitate"] * density.sum(1)).mean(), rel=1e-5)
    assert found["multiplier1 loss"] == pytest.approx(-(weight * (far - 0.7 * std.sum(1) - 0.1)).mean(), rel=1e-4)
    assert found["actor2 loss"] == pytest.approx(((-q + weight * far) / (1 + weight)).mean(), rel=1e-4)
    moved = {name.split()[1].split("/")[0] for name in found if not name.endswith("loss") and "metric" not in name}
    assert moved == {"human", "multiplier", "actor"}


def test_the_warm_start_fits_people_too(backend: str) -> None:
    rig = Rig(small(SilriConfig, utd=1), backend)
    before = rig.export()
    rig.pretrain(rig.batch())
    assert {"params/actor", "params/human"} <= changed(before, rig.export())
    assert "params/multiplier" not in changed(before, rig.export())


@pytest.mark.parametrize(("slack", "rises"), [(0.0, True), (5.0, False)])
def test_the_multiplier_rises_where_the_policy_is_too_far_away(slack: float, rises: bool) -> None:
    config = small(SilriConfig, utd=1, slack=slack, deviations=0.0, multiplier_rate=1e-2, actor_rate=0.0)
    rig = Rig(config, "torch")
    batch = rig.batch(imitate=1.0)
    found = [rig.update(batch)["multiplier"] for _ in range(30)]
    assert (found[-1] > found[0]) == rises


def test_a_large_multiplier_is_imitation() -> None:
    config = small(SilriConfig, utd=1, multiplier_rate=0.0, actor_rate=1e-2, learning_rate=1e-2)
    rig = Rig(config, "torch")
    rig.put(params__multiplier__out__bias=1e3)
    batch = rig.batch(imitate=1.0)
    batch["action"] = batch["action"] * 0 + 0.5
    far = [rig.update(batch)["distance"] for _ in range(150)]
    assert far[-1] < 0.1 < far[0]


def test_negative_room_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"slack -0\.1"):
        SilriConfig(slack=-0.1)
