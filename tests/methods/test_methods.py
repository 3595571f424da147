"""Which data a method asks for and with which rewards, cuts and weights."""

import numpy as np
import pytest

from robot_hil.errors import ConfigError
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.base import Method
from robot_hil.methods.hil_serl import HilSerl
from robot_hil.methods.rlpd import Rlpd
from robot_hil.replay.sampling import View

METHODS = [Method(), Rlpd(), HilSerl(), Anchored()]


def facts(count=4, **columns):
    nan = np.full(count, np.nan, np.float32)
    no = np.zeros(count, bool)
    base = {f"reward/{source}": nan for source in ("env", "human", "classifier", "progress")}
    base |= {"terminated": no, "handover": no, "steps_to_onset": np.full(count, 999, np.int16)}
    return base | {name: np.asarray(values) for name, values in columns.items()}


@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
def test_contract(method):
    view: View = method
    assert view.n_step >= 1
    for sizes in ((0, 0, 1), (5, 0, 0), (20, 3, 100)):
        shares = view.share(dict(zip(("demo", "intervention", "online"), sizes, strict=True)), 3_000)
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0
    reward, mask, cut = view.reward(facts())
    assert reward.shape == mask.shape == cut.shape == (4,)
    assert np.isfinite(reward).all()
    assert cut.dtype == bool
    critic, actor = view.weights({"reward": reward})
    assert critic.dtype == actor.dtype == np.float32
    assert critic.shape == actor.shape == (4,)


def test_rlpd_draws_people_as_one_pool_and_half_of_everything():
    assert HilSerl().share({"demo": 300, "intervention": 100, "online": 7}, 0) == {
        "demo": 0.375,
        "intervention": 0.125,
        "online": 0.5,
    }
    assert HilSerl().n_step == 1
    assert not HilSerl().cut_at_handover


def test_a_persons_verdict_stands_above_the_environment():
    nan = np.nan
    columns = facts(**{"reward/env": [1.0, 1.0, nan, nan], "reward/human": [nan, 0.0, 1.0, nan]})
    np.testing.assert_array_equal(Method().reward(columns)[0], [1, 0, 1, 0])


def test_of_each_row_the_first_source_in_the_order_counts():
    nan = np.nan
    columns = facts(
        **{
            "reward/env": [1.0, 1.0, 1.0, nan],
            "reward/progress": [0.2, 0.2, nan, nan],
            "reward/classifier": [0.5, nan, nan, nan],
            "reward/human": [nan, nan, nan, nan],
        }
    )
    np.testing.assert_allclose(Method().reward(columns)[0], [0.5, 0.2, 1, 0])
    np.testing.assert_allclose(Method(reward_sources=("progress", "human")).reward(columns)[0], [0.2, 0.2, 0, 0])
    np.testing.assert_allclose(Method(reward_sources=("env",)).reward(columns)[0], [1, 1, 1, 0])


def test_a_verdict_after_the_fact_stands_above_the_classifier():
    columns = facts(1, **{"reward/env": [0.0], "reward/classifier": [1.05], "reward/human": [0.0]})
    assert Method().reward(columns)[0].tolist() == [0.0]


def test_only_termination_masks():
    mask = Method().reward(facts(terminated=[True, False, False, False], truncated=[False, True, False, False]))[1]
    np.testing.assert_array_equal(mask, [0, 1, 1, 1])


@pytest.mark.parametrize(("method", "cuts"), [(HilSerl(n_step=3), False), (Anchored(), True)])
def test_cut_at_handover(method, cuts):
    handover = np.array([True, False, True, False])
    np.testing.assert_array_equal(method.reward(facts(handover=handover))[2], handover & cuts)


def test_demonstrations_fade_in_favour_of_online_steps():
    method, sizes = Anchored(anneal_steps=1_000), {"demo": 1, "intervention": 1, "online": 1}
    assert method.share(sizes, 0) == {"demo": 0.25, "intervention": 0.25, "online": 0.5}
    assert method.share(sizes, 500) == pytest.approx({"demo": 0.175, "intervention": 0.25, "online": 0.575})
    assert method.share(sizes, 9_999) == pytest.approx({"demo": 0.1, "intervention": 0.25, "online": 0.65})


def test_reaction_cost_is_spread_over_the_steps_before_a_take_over():
    method = Anchored(reaction_steps=2, reaction_cost=0.1)
    reward = method.reward(facts(**{"steps_to_onset": [3, 2, 1, 999], "reward/env": [1.0, 1.0, 1.0, 1.0]}))[0]
    np.testing.assert_allclose(reward, [1, 0.95, 0.95, 1])
    np.testing.assert_array_equal(Anchored().reward(facts(steps_to_onset=[3, 2, 1, 999]))[0], 0)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Method(n_step=0), "n_step is 0"),
        (lambda: Method(online_share=1.5), "1.5"),
        (lambda: Method(reward_sources=()), "reward_sources are"),
        (lambda: Method(reward_sources=("env", "env")), "each once"),
        (lambda: Method(reward_sources=("env", "guess")), "guess"),
        (lambda: Anchored(demo_share=0.9), "0.9"),
        (lambda: Anchored(demo_share_end=0.5), "0.5"),
        (lambda: Anchored(reaction_steps=-1), "-1"),
        (lambda: Anchored(n_step=0), "n_step is 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, named):
    with pytest.raises(ConfigError, match=named):
        make()
