"""RLPD (Ball et al. 2023): half of each batch from prior human data, half from everything online."""

from dataclasses import dataclass

from robot_hil.methods.base import Method


@dataclass(frozen=True, slots=True, kw_only=True)
class Rlpd(Method):
    """The defaults of `Method`, under their published name."""
