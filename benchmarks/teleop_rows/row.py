"""One measured figure with its limit."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A line of `benchmarks/results/teleop.json`."""

    name: str
    """Which acceptance row and what of it, e.g. `S3 unplugged: command zero`."""
    value: float | str
    unit: str
    target: str
    """The limit in words, e.g. `<= 100`."""
    passed: bool
    note: str = ""
    """Circumstances that a reader must know."""


def at_most(name: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """Return a row that passes when `value` <= `limit`."""
    return Row(name, round(value, 4), unit, f"<= {limit:g}", value <= limit, note)


def at_least(name: str, value: float, limit: float, unit: str, note: str = "") -> Row:
    """Return a row that passes when `value` >= `limit`."""
    return Row(name, round(value, 4), unit, f">= {limit:g}", value >= limit, note)


def exactly(name: str, value: float, wanted: float, unit: str, note: str = "") -> Row:
    """Return a row that passes when `value` == `wanted`."""
    return Row(name, value, unit, f"{wanted:g}", value == wanted, note)
