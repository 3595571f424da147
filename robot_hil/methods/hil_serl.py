"""HIL-SERL (Luo et al. 2024): as RLPD; interventions count as demonstrations and stay in the online half too."""

from dataclasses import dataclass

from robot_hil.methods.base import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class HilSerl(Method):
    """Of 256 rows, 128 uniform over demonstrations and interventions together, 128 uniform over every online step.

    One-step targets, nothing cut at a hand-over. Unlike the original a time-out bootstraps.
    """
