"""Preference at take-over: both terms against numpy, and where they lead."""

import numpy as np
import pytest
from agent_rig import Rig, small

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.preference import PreferenceConfig

LINEAR = small(PreferenceConfig, hidden=(), action_gain=0.0, utd=1, anchor=0.0, ranking=0.3, preference=0.7)


def marked(rig: Rig) -> dict[str, Array]:
    return rig.batch() | {"overridden": np.float32([1, 0, 1, 1, 0, 0, 1, 0])}


def test_critics_rank_as_the_person_did(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = marked(rig)

    def extra(nn, params, given):
        features, _ = rig.algorithm._vision.see(nn, params, given, "obs")
        return rig.algorithm._critic_extra(nn, None, params, given, features)[0]

    kernel, ranks = rig.params()["critic/out/kernel"], 0.0
    for member in kernel:  # observations are the same on both sides, and cancel
        better = (batch["action"] - batch["action_policy"]) @ member[-batch["action"].shape[1] :, 0]
        ranks += np.mean(batch["overridden"] * np.log1p(np.exp(-better / LINEAR.ranking_scale)))
    assert float(rig.run(extra, batch)) == pytest.approx(0.3 * ranks, rel=1e-5)


def test_the_actor_prefers_as_the_person_did(backend: str) -> None:
    rig = Rig(LINEAR, backend)
    batch = marked(rig)

    def loss(nn, params, given):
        features, _ = rig.algorithm._vision.see(nn, params, given, "obs")
        noise = nn.array(np.zeros_like(batch["action"]))
        total, metrics = rig.algorithm._actor_loss(nn, None, params, given, features, noise)
        plain, _ = super(type(rig.algorithm), rig.algorithm)._actor_loss(nn, None, params, given, features, noise)
        return nn.stack([total - plain, metrics["preference_loss"]], 0)

    params = rig.params()
    mean = np.tanh(rig.see(batch) @ params["actor/out/kernel"][0] + params["actor/out/bias"][0])
    scale = 2 * LINEAR.preference_scale**2
    density = [-((mean - batch[name]) ** 2).sum(1) / scale for name in ("action", "action_policy")]
    unlikely = np.mean(batch["overridden"] * np.log1p(np.exp(density[1] - density[0])))
    added, reported = rig.run(loss, batch)
    assert reported == pytest.approx(unlikely, rel=1e-4)
    assert added == pytest.approx(0.7 * unlikely, rel=1e-3)


def test_the_policy_leaves_what_was_overridden() -> None:
    rig = Rig(small(PreferenceConfig, anchor=0.0, actor_rate=1e-2, actor_average=1.0), "torch")
    batch = rig.batch(overridden=1.0, imitate=0.0, reward=0.0)
    batch["action"], batch["action_policy"] = batch["action"] * 0 + 0.5, batch["action"] * 0 - 0.5
    losses = [rig.update(batch)["preference_loss"] for _ in range(100)]
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize(("name", "value"), [("ranking", -1.0), ("preference_scale", 0.0)])
def test_settings_that_cannot_work_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} is {value}|{name} {value}"):
        PreferenceConfig(**{name: value})
