"""Both backends are one agent: equal parameters, batch and noise give equal losses, gradients, traces and actions."""

from dataclasses import replace

import numpy as np
import pytest
from agent_rig import BACKENDS, SMALL, SMALL_BC, SMALL_HIL_SERL, Rig, gradients_of, small
from contracts import assert_equal_arrays

from robot_hil.data.specs import Array
from robot_hil.learner import checkpoint
from robot_hil.policies.agent import _only
from robot_hil.policies.algorithms.awac import AwacConfig
from robot_hil.policies.algorithms.bc_rnn_gmm import BcRnnGmmConfig
from robot_hil.policies.algorithms.cal_ql import CalQlConfig
from robot_hil.policies.algorithms.haco import HacoConfig
from robot_hil.policies.algorithms.iql import IqlConfig
from robot_hil.policies.algorithms.mile import MileConfig
from robot_hil.policies.algorithms.preference import PreferenceConfig
from robot_hil.policies.algorithms.pvp import PvpConfig
from robot_hil.policies.algorithms.recap import RecapConfig
from robot_hil.policies.algorithms.silri import SilriConfig
from robot_hil.policies.algorithms.thrifty import ThriftyConfig
from robot_hil.policies.registry import AgentConfig
from robot_hil.transport.weights import WeightPublisher, WeightSubscriber

WIDE = (-9.0, 9.0)
"""Of returns, so that no target is cut off."""
HEADS: dict[str, tuple[AgentConfig, bool]] = {
    "squared critic, Q filter, fading anchor": (
        replace(SMALL, hidden=(8, 8), ensemble=3, utd=1, anchor_filter="all", value_range=WIDE), False,
    ),
    "categorical critic, trained encoder": (
        replace(SMALL, ensemble=2, utd=1, bins=11, freeze_encoder=False, activation="silu", value_range=WIDE), True,
    ),
    "frozen encoder, goal": (
        replace(SMALL, ensemble=3, goal_features=("number 1",), anchor_filter="corrections", value_range=WIDE), True,
    ),
    "temperature, gripper, encoder": (replace(SMALL_HIL_SERL, critic_to_actor=1), True),
    "behaviour cloning": (SMALL_BC, True),
    "advantage-weighted": (small(AwacConfig, utd=1), False),
    "implicit Q": (small(IqlConfig, utd=1, freeze_encoder=False), True),
    "proxy values": (small(PvpConfig, utd=1, value_range=WIDE, freeze_encoder=False, views=0), True),
    "preference": (small(PreferenceConfig, utd=1, value_range=WIDE), False),
    "pessimism": (small(CalQlConfig, utd=1, anchor=0.0, value_range=WIDE, exploration=0.3), False),
    "constraint": (small(SilriConfig, utd=1, value_range=WIDE, multiplier_rate=1e-3), False),
    "interventions explained": (small(MileConfig), True),
    "cost of take-overs": (small(HacoConfig, utd=1, value_range=WIDE), False),
    "ensemble and success": (small(ThriftyConfig, members=3), True),
    "told of the advantage": (small(RecapConfig, bins=11), True),
    "recurrent mixture": (small(BcRnnGmmConfig, hidden=(8, 6), window=4, modes=3), False),
}  # fmt: skip
GOAL = HEADS["frozen encoder, goal"][0]


def pair(config: AgentConfig, pixels: bool) -> tuple[Rig, Rig]:
    """Return the agent on both backends, with equal parameters, none of them zero or as the other's."""
    first, second = (Rig(config, backend, pixels=pixels, gripper=True) for backend in BACKENDS)
    saved, rng = first.export(), np.random.default_rng(5)
    for name in saved:
        if name.startswith(("params/", "targets/")):
            saved[name] += 0.2 * rng.standard_normal(saved[name].shape).astype(np.float32)
    saved["counters/actor_updates"][...] = 100
    for rig in (first, second):
        rig.state = rig.agent.load(rig.state, saved)
    return first, second


def distance(left: Array, right: Array) -> float:
    """Norm of the difference by the norm of what is compared."""
    return float(np.linalg.norm(np.float64(left) - right) / max(np.linalg.norm(np.float64(left)), 1e-30))


@pytest.mark.parametrize("name", HEADS)
def test_losses_and_gradients_are_equal(name: str) -> None:
    """The relative error is that of sums of some hundred float32 products in another order."""
    config, pixels = HEADS[name]
    first, second = pair(config, pixels)
    batch = first.batch(rows=16)
    for routine, reads in (("pretrain", first.agent.imitates), ("update", first.agent.reads)):
        if not reads:
            continue
        names = frozenset(f"{prefix}/{array}" for prefix, arrays in reads.items() for array in arrays)
        noise = first.algorithm.draw(np.random.default_rng(1), 16, routine == "pretrain")
        given = _only(batch, names) | noise
        here, there = (gradients_of(rig, getattr(rig.algorithm, routine), given) for rig in (first, second))
        assert set(here) == set(there)
        assert any(key.startswith(("critic", "actor", "clone")) for key in here)
        metrics = {key for key in here if key.startswith("metric")}
        for key in metrics:  # some are means of both signs, which cancel
            assert here[key] == pytest.approx(there[key], rel=1e-5, abs=1e-5), key
        exact = set(here) - metrics
        wrong = {key: distance(here[key], there[key]) for key in exact if distance(here[key], there[key]) > 1e-5}
        assert wrong == {}
        assert [key for key in exact if not np.any(here[key])] == []  # or nothing would be compared


def rounds(rig: Rig, count: int, first: int = 0) -> list[dict[str, float]]:
    """Do warm-start and training updates on batches that are the same for all; returns their metrics."""
    trace = []
    for i in range(first, first + count):
        rng = np.random.default_rng(i)
        batch = {name: value[rng.permutation(16)] for name, value in rig.batch(rows=16).items()}
        trace.append(rig.pretrain(batch) | rig.update(batch))
    return trace


def assert_alike(first: Rig, second: Rig) -> None:
    """Fail unless both hold the same, up to rounding.

    A parameter moves by at most its learning rate per update, here 1e-3; rounding changes such a step by 1e-7 of it
    while its gradient is much larger than Adam's epsilon, and by more where it is not. 1e-5 is a hundredth of a step.
    """
    here, there = first.export(), second.export()
    assert set(here) == set(there)
    for name, value in here.items():
        if name.startswith(("params/", "targets/")):
            assert np.abs(value - there[name]).max() < 1e-5, name
        elif not name.startswith("adam/"):
            assert np.array_equal(value, there[name]), name


@pytest.mark.xdist_group("jax goal")
class TestOnePolicy:
    """On the frozen encoder with an estimate of the goal: convolutions, cached encodings, three optimisers."""

    def test_traces_of_twenty_updates_agree(self) -> None:
        first, second = pair(GOAL, True)
        for here, there in zip(rounds(first, 20), rounds(second, 20), strict=True):
            # the actor's loss is a difference of values and an anchor: what cancels loses a place or two
            assert here == pytest.approx(there, rel=1e-4, abs=1e-5)
        assert_alike(first, second)

    @pytest.mark.parametrize("way", [(0, 1), (1, 0)], ids=["torch to jax", "jax to torch"])
    def test_a_checkpoint_of_either_is_continued_by_the_other(self, way: tuple[int, int], tmp_path) -> None:
        rigs = pair(GOAL, True)
        giver, taker = rigs[way[0]], rigs[way[1]]
        rounds(giver, 3)
        path = checkpoint.save(tmp_path, {"agent": giver.export()}, {})
        taker.state = taker.agent.load(taker.agent.init(taker.spec, 99), checkpoint.load(path).arrays["agent"])
        assert_equal_arrays(taker.export(), giver.export())
        for here, there in zip(rounds(giver, 3, first=3), rounds(taker, 3, first=3), strict=True):
            assert here == pytest.approx(there, rel=1e-4, abs=1e-5)
        assert_alike(giver, taker)

    @pytest.mark.parametrize("way", [(0, 1), (1, 0)], ids=["torch to jax", "jax to torch"])
    def test_broadcast_weights_of_either_act_in_the_other(self, way: tuple[int, int]) -> None:
        rigs = pair(GOAL, True)
        giver, taker = rigs[way[0]], rigs[way[1]]
        with WeightPublisher(endpoint="tcp://127.0.0.1:*") as publisher:
            publisher.publish(7, giver.agent.actor_params(giver.state))
            with WeightSubscriber(endpoint=publisher.endpoint) as subscriber:
                received = subscriber.wait(6, 20.0)
        assert received is not None
        here = giver.agent.load_actor(giver.agent.actor_params(giver.state))
        there = taker.agent.load_actor(received.params)
        rng = np.random.default_rng(0)
        for seed in range(5):
            obs = {name: array.sample(rng) for name, array in giver.spec.observation.items()}
            for deterministic in (True, False):
                one, two = (
                    rig.agent.act(actor, obs, deterministic, np.random.default_rng(seed))
                    for rig, actor in ((giver, here), (taker, there))
                )
                assert one == pytest.approx(two, abs=1e-6)
                assert one.dtype == two.dtype == np.float32

    def test_values_and_encodings_are_equal(self) -> None:
        first, second = pair(GOAL, True)
        batch = first.batch()
        assert first.agent.values(first.state, batch) == pytest.approx(
            second.agent.values(second.state, batch), rel=1e-5
        )
        frames = {"stacked_images": batch["obs/stacked_images"][:2]}
        here, there = (rig.agent.encode(rig.state, frames) for rig in (first, second))
        assert here.dtype == there.dtype == np.float16
        assert np.float32(here) == pytest.approx(np.float32(there), abs=1e-3)  # half precision has 11 bits


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_the_bits_give_about_the_same(backend: str) -> None:
    """bfloat16 has 8 bits: products of rounded factors are right within a few of 1/256; what is kept is float32."""
    config = replace(SMALL, ensemble=2, utd=1)
    whole, half = (Rig(replace(config, precision=p), backend) for p in ("float32", "bfloat16"))
    batch = whole.batch()
    before = half.export()
    exact, rounded = whole.see(batch), half.see(batch)
    assert np.array_equal(exact, rounded)  # a state passes no product
    values = [rig.agent.values(rig.state, batch) for rig in (whole, half)]
    assert not np.array_equal(*values)
    assert values[0] == pytest.approx(values[1], abs=4 / 256 * float(np.abs(values[0]).max()))
    assert whole.update(batch)["critic_loss"] == pytest.approx(half.update(batch)["critic_loss"], rel=4 / 256)
    after = half.export()
    assert {after[name].dtype for name in after if name.startswith("params/")} == {np.dtype(np.float32)}
    moved = np.abs(after["params/critic/dense0/kernel"] - before["params/critic/dense0/kernel"])
    assert 0 < moved.max() <= 1.01 * config.learning_rate  # bfloat16 itself could not tell such steps from none
    assert np.any(after["params/critic/dense0/kernel"].view(np.uint32) & 0xFFFF)
