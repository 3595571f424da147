"""Cal-QL: the penalty against numpy; the bound holds for the policy's actions alone, and where it is known."""

import numpy as np
import pytest
from agent_rig import Rig, small
from scipy.special import logsumexp

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.policies.algorithms.cal_ql import CalQlConfig

LINEAR = small(
    CalQlConfig, hidden=(), action_gain=0.0, utd=1, anchor=0.0, samples=3, exploration=0.3, pessimism=0.7,
    softness=0.4, value_range=(-2.0, 2.0),
)  # fmt: skip


def penalty_of(rig: Rig, batch: dict[str, Array]) -> dict[str, float]:
    def routine(nn, trainer, given):
        features, _ = rig.algorithm._vision.see(nn, trainer.params, given, "obs")
        extra, metrics = rig.algorithm._critic_extra(nn, trainer, trainer.params, given, features)
        return {"extra": extra, "bounded": metrics["bounded"]}

    rig.state.learner, metrics = rig.agent.engine.train(routine, rig.state.learner, batch)
    return metrics


@pytest.mark.parametrize(("surveyed", "height"), [(1, 0.0), (1, 1.5), (0, 1.5)])
def test_the_penalty_is_that_of_the_paper(backend: str, surveyed: int, height: float) -> None:
    rig = Rig(LINEAR, backend)
    batch = rig.given(rig.batch(surveyed=surveyed, mc_return=height))
    params = rig.params()
    now, after = batch["obs/state"], batch["next_obs/state"]
    kernel, bias = params["critic/out/kernel"][..., 0], params["critic/out/bias"][..., 0]

    def q(actions: Array) -> Array:  # (members, B, K)
        rows = np.concatenate([np.repeat(now[:, None], actions.shape[1], 1), actions], -1)
        return np.einsum("bki,ei->ebk", rows, kernel) + bias[:, :, None]

    def policy(obs: Array, noise: Array) -> tuple[Array, Array]:
        mean = (obs @ params["actor/out/kernel"][0] + params["actor/out/bias"][0])[:, None]
        pre = mean + 0.3 * noise
        density = np.exp(-0.5 * noise**2) / (0.3 * np.sqrt(2 * np.pi)) / (1 - np.tanh(pre) ** 2)
        return np.tanh(pre), np.log(density).sum(-1)

    size = batch["action"].shape[1]
    parts, low = [q(batch["drawn/uniform"]) / 0.4 - np.log(0.5**size)], height if surveyed else -2.0
    bounded = []
    for obs, kind in ((now, "now"), (after, "next")):
        actions, density = policy(obs, batch[f"drawn/{kind}"])
        values = q(actions)
        parts.append(np.maximum(values, low) / 0.4 - density)
        bounded.append(np.mean(values < low))
    over = 0.4 * logsumexp(np.concatenate(parts, -1), -1)
    data = q(batch["action"][:, None])[..., 0]
    found = penalty_of(rig, batch)
    assert found["extra"] == pytest.approx(0.7 * (over - data).mean(1).sum(), rel=1e-4)
    assert found["bounded"] == pytest.approx(np.mean(bounded), abs=1e-6)


def test_actions_without_data_are_worth_less_than_data_but_not_less_than_what_was_reached() -> None:
    values = {}
    for reached in (0.0, 0.9):
        config = small(CalQlConfig, anchor=0.0, utd=1, learning_rate=1e-2, actor_rate=0.0, pessimism=1.0)
        rig = Rig(config, "torch")
        batch = rig.batch(reward=0.9, discount=0.0, mc_return=reached)
        for _ in range(150):
            rig.update(batch)
        values[reached] = rig.agent.values(rig.state, batch).mean()
    assert values[0.0] < values[0.9] - 0.2


def test_the_noise_of_actions_is_divided_with_the_batch() -> None:
    rig = Rig(small(CalQlConfig, utd=2), "torch")
    assert np.isfinite(list(rig.update(rig.batch()).values())).all()
    assert not any(name.startswith("drawn/") for name in rig.algorithm.draw(np.random.default_rng(0), 4, True))


@pytest.mark.parametrize(
    ("name", "value"), [("pessimism", -1.0), ("softness", 0.0), ("samples", 0), ("exploration", 0)]
)
def test_settings_that_cannot_work_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name}( is)? {value}"):
        CalQlConfig(**{name: value})
