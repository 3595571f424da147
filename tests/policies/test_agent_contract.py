"""The torch agents fulfil the contract, from state and from pixels."""

from dataclasses import replace

import pytest
from contracts import AgentContract, agent_spec

from robot_hil.data.specs import EnvSpec
from robot_hil.errors import SpecError
from robot_hil.policies.torch.anchored import AnchoredConfig, AnchoredRlpd
from robot_hil.policies.torch.hil_serl import HilSerl, HilSerlConfig

SMALL_ANCHORED = AnchoredConfig(hidden=(16, 16), ensemble=3, utd=2, filters=(4, 4), image_size=8, shift=2)
SMALL_HIL_SERL = HilSerlConfig(hidden=(16, 16), filters=(4, 4), image_size=8, shift=2)


class TestAnchoredState(AgentContract):
    spec = agent_spec()

    def make_agent(self) -> AnchoredRlpd:
        return AnchoredRlpd(SMALL_ANCHORED)


class TestAnchoredPixels(TestAnchoredState):
    spec = agent_spec(pixels=True, gripper=True)


class TestAnchoredTrainedEncoder(AgentContract):
    spec = agent_spec(pixels=True)

    def make_agent(self) -> AnchoredRlpd:
        return AnchoredRlpd(replace(SMALL_ANCHORED, freeze_encoder=False))


class TestAnchoredCategorical(AgentContract):
    spec = agent_spec()

    def make_agent(self) -> AnchoredRlpd:
        return AnchoredRlpd(AnchoredConfig(hidden=(16,), ensemble=2, utd=1, bins=21, activation="silu", anchor=0.0))


class TestHilSerlState(AgentContract):
    spec = agent_spec()

    def make_agent(self) -> HilSerl:
        return HilSerl(SMALL_HIL_SERL)


class TestHilSerlGripper(TestHilSerlState):
    spec = agent_spec(gripper=True)


class TestHilSerlPixels(TestHilSerlState):
    spec = agent_spec(pixels=True, gripper=True)


@pytest.mark.parametrize("make", [lambda: AnchoredRlpd(SMALL_ANCHORED), lambda: HilSerl(SMALL_HIL_SERL)])
def test_images_that_do_not_fit_the_encoder_are_refused(make) -> None:
    spec: EnvSpec = agent_spec(pixels=True, side=12)
    with pytest.raises(SpecError, match="12x12"):
        make().bind(spec)
