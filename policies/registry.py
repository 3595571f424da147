"""Agents by the type of their configuration; a backend is imported only when its agent is made."""

from robot_hil.errors import ConfigError
from robot_hil.policies.config import AnchoredConfig, HilSerlConfig
from robot_hil.protocols import Agent

AgentConfig = AnchoredConfig | HilSerlConfig


def make_agent(config: AgentConfig) -> Agent:
    """Return the agent that `config` describes."""
    if isinstance(config, AnchoredConfig):
        from robot_hil.policies.torch.anchored import AnchoredRlpd

        return AnchoredRlpd(config)
    if isinstance(config, HilSerlConfig):
        from robot_hil.policies.torch.hil_serl import HilSerl

        return HilSerl(config)
    raise ConfigError(f"no agent takes a {type(config).__name__}.")
