"""The learning agents fulfil the contract, from state and from pixels, on both backends."""

from dataclasses import replace

import pytest
from agent_rig import SMALL, SMALL_BC, SMALL_HIL_SERL, shared_agent
from contracts import AgentContract, agent_spec

from robot_hil.errors import SpecError
from robot_hil.policies.agent import LearningAgent
from robot_hil.policies.config import AnchoredConfig
from robot_hil.policies.registry import AgentConfig, make_agent


class Contract(AgentContract):
    """An agent by its numbers and its backend."""

    config: AgentConfig
    backend = "torch"
    pixels = False
    gripper = False

    @property
    def spec(self):
        return agent_spec(pixels=self.pixels, gripper=self.gripper)

    def make_agent(self) -> LearningAgent:
        return make_agent(self.config, self.backend)

    def usual_agent(self) -> LearningAgent:
        if self.backend == "torch":
            return self.make_agent()
        return shared_agent(self.config, self.backend, self.pixels, self.gripper)


class TestAnchoredState(Contract):
    config = replace(SMALL, ensemble=3)


class TestAnchoredPixels(Contract):
    config = replace(SMALL, ensemble=3)
    pixels = gripper = True


class TestAnchoredTrainedEncoder(Contract):
    config = replace(SMALL, ensemble=3, freeze_encoder=False)
    pixels = True


class TestAnchoredCategorical(Contract):
    config = AnchoredConfig(hidden=(16,), ensemble=2, utd=1, bins=21, activation="silu", anchor=0.0)


class TestHilSerlState(Contract):
    config = SMALL_HIL_SERL


class TestHilSerlGripper(TestHilSerlState):
    gripper = True


class TestHilSerlPixels(TestHilSerlState):
    pixels = gripper = True


class TestBcState(Contract):
    config = replace(SMALL_BC, exploration=0.1)


class TestBcPixels(TestBcState):
    pixels = gripper = True


class TestAnchoredGoal(Contract):
    config = replace(SMALL, ensemble=3, goal_features=("number 1",), anchor_filter="all")
    pixels = True


# jax: what is compiled for a class is shared by its tests, which therefore stay in one process
@pytest.mark.xdist_group("jax goal")
class TestAnchoredGoalJax(TestAnchoredGoal):
    backend = "jax"


@pytest.mark.xdist_group("jax trained")
class TestAnchoredTrainedEncoderJax(TestAnchoredTrainedEncoder):
    config = replace(SMALL, ensemble=2, utd=1, bins=11, freeze_encoder=False)
    backend = "jax"


@pytest.mark.xdist_group("jax hil-serl")
class TestHilSerlPixelsJax(TestHilSerlPixels):
    backend = "jax"


@pytest.mark.xdist_group("jax bc")
class TestBcPixelsJax(TestBcPixels):
    backend = "jax"


@pytest.mark.parametrize("config", [SMALL, SMALL_HIL_SERL, SMALL_BC])
def test_images_that_do_not_fit_the_encoder_are_refused(backend: str, config: AgentConfig) -> None:
    spec = agent_spec(pixels=True)
    wide = {name: replace(array, shape=(16, 24, 3)) for name, array in spec.observation.items() if array.is_image}
    with pytest.raises(SpecError, match="16x24"):
        make_agent(config, backend).bind(replace(spec, observation={**spec.observation, **wide}))
