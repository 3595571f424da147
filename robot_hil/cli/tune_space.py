"""What a search may change, and on which seeds it may look: numbers of an experiment by name, and two sets of seeds."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from robot_hil.compare.plan import TUNING
from robot_hil.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from optuna import Trial

    from robot_hil.experiments.base import Experiment

Value = bool | int | float | str
_RANGE = re.compile(r"(?P<low>[^,:]+)\.\.(?P<high>[^,:]+)(?P<log>:log)?")
USUAL = (
    "agent.utd=1,2,4,8",
    "agent.ensemble=2,4,10",
    "agent.actor_rate=1e-4..1e-3:log",
    "agent.anchor=0.5..10:log",
    "agent.exploration=0.02..0.3:log",
    "agent.learning_rate=1e-4..1e-3:log",
    "method.demo_share=0.1..0.5",
    "method.intervention_share=0.1..0.4",
    "learner.rounds_per_step=0.5..2:log",
)
"""Searched unless something else is asked for: of these what the experiment has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Seeds to search on, and others that nothing has been chosen by (Eimer et al. 2023, arXiv 2306.01324)."""

    tuning: tuple[int, ...]
    test: tuple[int, ...]
    rehearsal: bool = False
    """Judge by tuning seeds, too, others than those that choose: to try a search itself, with nothing to report."""

    def __post_init__(self) -> None:
        if not self.tuning or not self.test:
            raise ConfigError(f"both kinds of seeds are needed; tuning are {self.tuning}, test {self.test}.")
        if len(set(self.tuning) | set(self.test)) < len(self.tuning) + len(self.test):
            raise ConfigError(f"a seed is given twice: tuning {self.tuning}, test {self.test}. They must be disjoint.")
        judging = [seed - TUNING if self.rehearsal else seed for seed in self.test]
        if min(self.tuning) < TUNING or min(judging) < 0 or (max(judging) >= TUNING and not self.rehearsal):
            raise ConfigError(
                f"tuning seeds are {self.tuning}, test seeds {self.test}; seeds from {TUNING} on are for tuning, and "
                "those below for what is claimed, in every experiment."
            )

    def check(self, seed: int, *, tuning: bool) -> int:
        """Return `seed`, or raise `ConfigError` when it may not be used now."""
        if seed not in (self.tuning if tuning else self.test):
            raise ConfigError(f"seed {seed} is not of the {'tuning' if tuning else 'test'} seeds; nothing was run.")
        return seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """One number that is searched."""

    name: str
    """With dots, e.g. `agent.utd`."""
    choices: tuple[Value, ...] = ()
    """Empty for a range."""
    low: float = 0.0
    high: float = 0.0
    whole: bool = False
    """A range of integers."""
    log: bool = False

    def suggest(self, trial: "Trial") -> Value:
        """Return the value that `trial` is to have."""
        if self.choices:
            chosen = trial.suggest_categorical(self.name, self.choices)
            assert chosen is not None  # none of the choices is
            return chosen
        if self.whole:
            return int(trial.suggest_int(self.name, int(self.low), int(self.high), log=self.log))
        return float(trial.suggest_float(self.name, self.low, self.high, log=self.log))

    def at(self, place: float) -> Value:
        """Return the value at `place` in [0, 1] between the first choice and the last, or low and high."""
        if self.choices:
            return self.choices[min(int(place * len(self.choices)), len(self.choices) - 1)]
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        value = low + min(max(place, 0.0), 1.0) * (high - low)
        value = min(max(math.exp(value) if self.log else value, self.low), self.high)
        return round(value) if self.whole else value

    def where(self, value: Value) -> float:
        """Return the place of `value`, in [0, 1]; of a choice the middle of its part, of what lies outside the end."""
        if self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices) if value in self.choices else 0.5
        number = min(max(float(value), self.low), self.high)
        low, high = (math.log(self.low), math.log(self.high)) if self.log else (self.low, self.high)
        return ((math.log(number) if self.log else number) - low) / (high - low)


def dimensions(texts: Sequence[str], experiment: "Experiment") -> tuple[Dimension, ...]:
    """Read `name=1,2,4` (choices), `name=0.1..1` (a range) and `name=1e-4..1e-2:log`; nothing given means `USUAL`.

    Raises `ConfigError` for what cannot be read, and for names that the experiment does not have.
    """
    usual = not texts
    found = []
    for text in texts or USUAL:
        name, _, values = text.partition("=")
        if usual and not _has(experiment, name):
            continue
        kind = type(value_of(experiment, name))
        found.append(_dimension(name, values, kind))
    if len({one.name for one in found}) < len(found):
        raise ConfigError(f"a number is searched twice: {', '.join(one.name for one in found)}.")
    if not found:
        raise ConfigError("there is nothing to search; give --space NAME=VALUES.")
    return tuple(found)


def _dimension(name: str, values: str, kind: type) -> Dimension:
    wrong = ConfigError(
        f"--space {name}={values} cannot be read; give {name}=A,B,... or, of numbers, {name}=LOW..HIGH, with :log "
        "behind it for a logarithmic scale."
    )
    if kind not in (bool, int, float, str):
        raise ConfigError(f"{name} is no single number or word and cannot be searched.")
    try:
        if match := _RANGE.fullmatch(values):
            if kind not in (int, float):
                raise wrong
            low, high, log = kind(match["low"]), kind(match["high"]), match["log"] is not None
            if not low < high or (log and low <= 0):
                raise wrong
            return Dimension(name=name, low=low, high=high, whole=kind is int, log=log)
        choices = tuple(_read(one, kind) for one in values.split(",") if one)
    except ValueError as error:
        raise wrong from error
    if len(choices) < 2 or len(set(choices)) < len(choices):
        raise wrong
    return Dimension(name=name, choices=choices)


def _read(text: str, kind: type) -> Value:
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise ValueError(text)
        return text.lower() == "true"
    made: Value = kind(text)
    return made


def value_of(experiment: Any, name: str) -> Any:
    """Return the number called `name`; raises `UnknownNameError` with those there are."""
    for part in name.split("."):
        known = [field.name for field in fields(experiment)] if is_dataclass(experiment) else []
        if part not in known:
            raise UnknownNameError("number", name, known)
        experiment = getattr(experiment, part)
    return experiment


def _has(experiment: Any, name: str) -> bool:
    try:
        value_of(experiment, name)
    except UnknownNameError:
        return False
    return True


def changed(experiment: Any, values: Mapping[str, Value]) -> Any:
    """Return `experiment` with these numbers; raises what its dataclasses raise for such that cannot work together."""
    own: dict[str, Any] = {}
    parts: dict[str, dict[str, Value]] = {}
    for name, value in values.items():
        head, _, rest = name.partition(".")
        if rest:
            parts.setdefault(head, {})[rest] = value
        else:
            own[head] = value
    make: Callable[..., Any] = replace
    return make(experiment, **own, **{head: changed(getattr(experiment, head), inner) for head, inner in parts.items()})
