"""Numbers that cannot work are refused."""

import re
from typing import Any

import pytest

from robot_hil.errors import ConfigError
from robot_hil.policies.config import AnchoredConfig, BcConfig, HilSerlConfig
from robot_hil.policies.registry import AgentConfig


@pytest.mark.parametrize("wrong", [{"bins": 1}, {"bins": -3}, {"subset": 0}, {"subset": 5, "ensemble": 4}])
def test_impossible_numbers_are_refused(wrong: dict[str, Any]) -> None:
    name = next(iter(wrong))
    with pytest.raises(ConfigError, match=re.escape(f"{name} is {wrong[name]}")):
        AnchoredConfig(**wrong)


@pytest.mark.parametrize("kind", [AnchoredConfig, HilSerlConfig, BcConfig])
def test_every_convolution_needs_its_stride(kind: type[AgentConfig]) -> None:
    with pytest.raises(ConfigError, match=r"strides are \(2,\).*filters \(8, 8\)"):
        kind(filters=(8, 8), strides=(2,))
