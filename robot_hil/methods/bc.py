"""Behaviour cloning: batches of what people did, and of nothing else."""

from dataclasses import dataclass

from robot_hil.methods.base import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Bc(Method):
    """Demonstrations and interventions as one pool; with the latter it is DAgger's aggregation (Ross et al. 2011)."""

    online_share: float = 0.0
