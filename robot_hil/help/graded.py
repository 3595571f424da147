"""Graded help: replay demonstrations, return to hard states and explore there, or be guided through them.

The three grades are those of the human-in-the-loop protocol of VLAC (Zhai et al. 2025, arXiv 2509.15937); when to
change between them is decided here, from how often the robot succeeds by itself. Pure: outcomes in, plans out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np

from robot_hil.data.specs import FloatArray
from robot_hil.errors import ConfigError, StorageError


class Grade(IntEnum):
    """How much help an episode is given."""

    REPLAY = 1
    """A fresh start; demonstrations are replayed in the learner's batches, as always."""
    RETURN = 2
    """It begins in a hard state, and the robot explores from there."""
    GUIDED = 3
    """It begins in a hard state, and a person drives through it, then lets go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GradedConfig:
    """When help changes its grade."""

    window: int = 20
    """Fresh episodes over which success is averaged, exponentially; evenly while there are fewer than half of them."""
    low: float = 0.8
    """Success below which hard states are returned to, unless it is rising: a robot that stays at half is stuck."""
    rising: float = 0.05
    """Success rises when it is so much above that of half a window ago."""
    patience: int = 6
    """Fresh episodes before anything is decided."""
    tries: int = 2
    """Tries of a hard state without a success before a person guides through it. With more of them, and fresh episodes
    between, guiding would be rarer than it may be."""
    guided_of_ten: int = 2
    """Most guided episodes of the last ten."""
    successes: int = 5
    """Successes running after which help steps back by a grade."""
    fresh_every: int = 3
    """While hard states are returned to, every so many-th episode is a fresh one: what counts in the end."""
    radius: float = 0.5
    """Observations within this distance, Euclidean, are one hard place."""
    capacity: int = 50
    """Hard places that are kept; the least hard is dropped for another."""

    def __post_init__(self) -> None:
        for name in ("window", "patience", "tries", "successes", "fresh_every", "capacity"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be at least 1.")
        if not 0 <= self.low <= 1 or self.radius <= 0 or not 0 <= self.guided_of_ten <= 10:
            raise ConfigError(
                f"low is {self.low}, must lie in [0, 1]; radius {self.radius}, must be above 0; guided_of_ten "
                f"{self.guided_of_ten}, 0 to 10."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One moment of an episode, to which it could be returned."""

    place: tuple[float, ...]
    """Observation as numbers."""
    state: Mapping[str, Any]
    """What the environment begins from; JSON-ready."""


@dataclass(slots=True, kw_only=True)
class HardPlace:
    """A place where the robot fails."""

    number: int
    moment: Moment
    failure: float = 1.0
    """Share of failures of episodes that came by, averaged exponentially."""
    tries: int = 0
    """Returns to it since the robot last succeeded from here, or was guided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the next episode begins."""

    grade: Grade
    place: int = -1
    """Number of the hard place; -1 for a fresh start."""
    state: Mapping[str, Any] | None = None

    @property
    def guided(self) -> bool:
        """Whether a person is to drive from the start."""
        return self.grade is Grade.GUIDED


@dataclass(slots=True)
class GradedSchedule:
    """Plans one episode after the other: `plan`, then `ended`."""

    config: GradedConfig = field(default_factory=GradedConfig)
    success: float = 0.0
    """Of fresh episodes without help, averaged exponentially; at first evenly, or it would seem to rise from 0."""
    places: list[HardPlace] = field(default_factory=list)
    grade: Grade = Grade.REPLAY
    _fresh: int = 0
    """Fresh episodes so far."""
    _history: list[float] = field(default_factory=list)
    _recent: list[int] = field(default_factory=list)
    """Grades of the last ten episodes."""
    _row: int = 0
    """Successes running."""
    _since_fresh: int = 0
    _next: int = 0
    _target: int = -1

    def plan(self) -> Plan:
        """Return how the next episode begins."""
        if self.grade is Grade.REPLAY and self.places and self._stuck():
            self._enter(Grade.RETURN)
        if self.grade is Grade.REPLAY or not self.places or self._since_fresh >= self.config.fresh_every - 1:
            return Plan(grade=Grade.REPLAY)
        place = self._chosen()
        grade = Grade.RETURN
        if place.tries >= self.config.tries:
            guided = sum(recent == Grade.GUIDED for recent in self._recent)
            grade = Grade.GUIDED if guided < self.config.guided_of_ten else Grade.RETURN
        return Plan(grade=grade, place=place.number, state=place.moment.state)

    def ended(self, plan: Plan, *, success: bool, helped: bool, visited: Sequence[Moment], hard: Moment | None) -> None:
        """Take in how the planned episode went.

        `helped` says whether a person drove; `visited` are moments of it, and `hard` the one before it went wrong.
        """
        alone = success and not helped
        self._recent = [*self._recent, int(plan.grade)][-10:]
        self._visit(visited, failed=not alone)
        if plan.grade is Grade.REPLAY:
            self._since_fresh = 0
            self._fresh += 1
            self.success += max(2.0 / (self.config.window + 1), 1.0 / self._fresh) * (alone - self.success)
            self._history.append(self.success)
        else:
            self._since_fresh += 1
        place = self._find(plan.place)
        if place is not None:
            place.tries = 0 if alone or plan.guided else place.tries + 1
        if not plan.guided:
            self._row = self._row + 1 if alone else 0
        if self._row >= self.config.successes and self.grade is not Grade.REPLAY:
            self._enter(Grade.REPLAY)
        if not alone and hard is not None:
            self._remember(hard)

    # -- places ------------------------------------------------------------------------------------------------------

    def _stuck(self) -> bool:
        c = self.config
        if len(self._history) < c.patience or self.success >= c.low:
            return False
        before = self._history[-1 - min(len(self._history) - 1, c.window // 2)]
        return self.success <= before + c.rising

    def _enter(self, grade: Grade) -> None:
        self.grade, self._row, self._since_fresh, self._target = grade, 0, 0, -1

    def _chosen(self) -> HardPlace:
        """Return the place that is being worked on: the worst, until the robot has succeeded from it."""
        place = self._find(self._target)
        if place is None or place.tries == 0:
            place = max(self.places, key=lambda p: (p.failure, p.number))
            self._target = place.number
        return place

    def _find(self, number: int) -> HardPlace | None:
        return next((place for place in self.places if place.number == number), None)

    def _near(self, moment: Moment) -> HardPlace | None:
        if not self.places:
            return None
        apart = np.linalg.norm(_points([p.moment for p in self.places]) - np.asarray(moment.place), axis=1)
        nearest = int(apart.argmin())
        return self.places[nearest] if apart[nearest] <= self.config.radius else None

    def _visit(self, visited: Sequence[Moment], *, failed: bool) -> None:
        """Let every place that the episode came by know how it went, once."""
        if not self.places or not visited:
            return
        apart = _points([p.moment for p in self.places])[:, None] - _points(visited)[None]
        came_by = (np.linalg.norm(apart, axis=-1) <= self.config.radius).any(1)
        rate = 2.0 / (self.config.window + 1)
        for place, here in zip(self.places, came_by, strict=True):
            if here:
                place.failure += rate * (failed - place.failure)

    def _remember(self, hard: Moment) -> None:
        if self._near(hard) is not None:
            return
        if len(self.places) == self.config.capacity:
            self.places.remove(min(self.places, key=lambda p: p.failure))
        self.places.append(HardPlace(number=self._next, moment=hard))
        self._next += 1

    # -- across processes --------------------------------------------------------------------------------------------

    def export(self) -> dict[str, Any]:
        """Return everything, JSON-ready."""
        return {
            "success": self.success, "fresh": self._fresh, "grade": int(self.grade),
            "history": self._history[-self.config.window :],
            "recent": self._recent, "row": self._row, "since_fresh": self._since_fresh, "next": self._next,
            "target": self._target,
            "places": [
                {"number": p.number, "place": list(p.moment.place), "state": dict(p.moment.state), "failure": p.failure,
                 "tries": p.tries} for p in self.places
            ],
        }  # fmt: skip

    def load(self, saved: Mapping[str, Any]) -> None:
        """Go on from what `export` returned; raises `StorageError` for anything else."""
        try:
            places = [
                HardPlace(
                    number=int(p["number"]), moment=Moment(place=tuple(p["place"]), state=p["state"]),
                    failure=float(p["failure"]), tries=int(p["tries"]),
                )
                for p in saved["places"]
            ]  # fmt: skip
            self.success, self.grade = float(saved["success"]), Grade(saved["grade"])
            self._history, self._recent = list(saved["history"]), list(saved["recent"])
            self._fresh = int(saved["fresh"])
            self._row, self._since_fresh = int(saved["row"]), int(saved["since_fresh"])
            self._next, self._target = int(saved["next"]), int(saved["target"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"the schedule of graded help cannot be gone on with: {error!r}.") from error
        self.places = places


def arrival(seen: FloatArray, radius: float) -> int:
    """Return the first moment from which all of `seen` (n, D) lie within `radius`, Euclidean, of the last one.

    A robot that is stuck fails only when its time is over; what led there is before this moment.
    """
    away = np.flatnonzero(np.linalg.norm(seen - seen[-1], axis=1) > radius)
    return int(away[-1]) + 1 if len(away) else 0


def _points(moments: Sequence[Moment]) -> FloatArray:
    return np.array([moment.place for moment in moments], np.float64)
