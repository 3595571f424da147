"""PVP's view: no reward, what was overridden, no TD where control passes on."""

import numpy as np
import pytest
from methods.made import columns

from robot_hil.data.specs import Array
from robot_hil.errors import ConfigError
from robot_hil.methods.proposals import proposals
from robot_hil.methods.pvp import Pvp

ONE = {"reward/env": np.float32([0, 0, 0, 0, 0, 0, 1])}


def policy(unknown: list[int]) -> dict[str, Array]:
    """Proposals of 0.5 for the seven steps of "dd.hht." in which the policy was asked."""
    actions = np.full((7, 2), 0.5, np.float32)
    actions[unknown, 1] = np.nan
    return {"action_policy": actions, "action_executed": np.full((7, 2), -1.0, np.float32)}


def test_proposals_are_compared_where_there_were_any() -> None:
    found = proposals(columns("dd.hht.", **policy([0, 1, 4])))
    assert found["proposed"].tolist() == [0, 0, 1, 1, 0, 0, 1]  # neither demonstrations nor the release tail
    assert found["overridden"].tolist() == [0, 0, 0, 1, 0, 0, 0]
    assert found["action_policy"][:, 1].tolist() == [-1, -1, 0.5, 0.5, -1, -1, 0.5]
    assert found["action_policy"].dtype == np.float32


def test_a_demonstration_has_no_proposal_even_where_the_policy_was_asked() -> None:
    assert not proposals(columns("ddd"))["proposed"].any()


def test_nothing_is_rewarded_unless_that_is_asked_for() -> None:
    facts = columns("dd.hht.", **ONE)
    assert not Pvp().reward(facts)[0].any()
    assert Pvp(task_reward=True).reward(facts)[0].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_a_proposal_that_was_about_what_the_person_did_was_not_overridden() -> None:
    facts = columns(".hhh", action_executed=np.float32([[0.5, 0]] * 4))
    facts["action_policy"] = np.float32([[-1, 0], [0.3, 0], [0.1, 0], [0.5, 0.3]])
    assert Pvp().aux(facts)["overridden"].tolist() == [0, 0, 1, 1]
    assert Pvp(least_difference=0.0).aux(facts)["overridden"].tolist() == [0, 1, 1, 1]
    with pytest.raises(ConfigError, match="least_difference is -1"):
        Pvp(least_difference=-1.0)


def td_weights(method: Pvp, **more: object) -> tuple[list[float], list[float]]:
    """Weights of five steps, of which the last ended the task."""
    facts = columns("..hh.", terminated=np.array([False] * 4 + [True]), **more)
    critic, actor = method.weights({**method.aux(facts), "reward": np.zeros(5)})
    return critic.tolist(), actor.tolist()


def test_neither_handing_over_nor_an_end_that_nobody_explains_teaches_by_td() -> None:
    assert td_weights(Pvp()) == ([1, 0, 1, 0, 0], [1] * 5)


def test_an_end_that_was_rewarded_teaches() -> None:
    assert td_weights(Pvp(task_reward=True))[0] == [1, 0, 1, 0, 1]


def test_half_of_a_batch_are_peoples() -> None:
    shares = {"demo": 0.375, "intervention": 0.125, "online": 0.5}
    assert Pvp().share({"demo": 9, "intervention": 3, "online": 20}, 0) == shares
