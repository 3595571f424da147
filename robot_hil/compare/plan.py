"""What a comparison runs: every method with every person on every task, each with several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from robot_hil.errors import ConfigError, UnknownNameError

Way = Literal["online", "log"]
"""How a method learns: while the robot tries and the person helps, or from a log that is there already."""
WAYS: tuple[Way, ...] = ("online", "log")
TUNING = 100
"""Seeds from here on are for tuning; what is claimed comes from those below, which nothing was tuned on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training with what follows from it: a run folder of its own."""

    task: str
    """Experiment."""
    person: str
    """Profile of the simulated person."""
    entry: str
    """Name of what is compared, a key of `Plan.entries`."""
    way: Way
    seed: int

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.task}-{self.person}-{self.entry}-{self.way}-{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A comparison. Making one runs nothing."""

    name: str
    purpose: str
    """One sentence, for people."""
    entries: Mapping[str, tuple[str, ...]]
    """What is compared -> options of `robot-hil train` that make it."""
    persons: tuple[str, ...]
    tasks: Mapping[str, int]
    """Experiment -> online steps of each training."""
    seeds: tuple[int, ...]
    options: tuple[str, ...] = ()
    """Options of `robot-hil train` that all have in common."""
    task_options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Experiment -> further such options, of all entries alike."""
    points: int = 6
    """Evaluations along each training, the last at its end; one more follows its first episode."""
    trials: int = 15
    """Episodes of each of them: the person off, the policy without noise."""
    final_trials: int = 50
    """Episodes of the last."""
    rounds: int = 0
    """Training rounds on a recorded log; 0 learns online only."""
    log_by: str = ""
    """Entry whose online training records the log that all learn from."""
    shortened: bool = False
    """Whether it only shows that everything works."""
    minutes: float = 0.0
    """No cell goes on after that time; 0 has no such limit."""

    def __post_init__(self) -> None:
        for name in ("entries", "persons", "tasks", "seeds"):
            if not getattr(self, name):
                raise ConfigError(f"plan {self.name!r} has no {name}; give at least one.")
        for name in ("points", "trials", "final_trials"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; give at least 1.")
        if self.rounds and self.log_by not in self.entries:
            raise UnknownNameError("entry that records the log", self.log_by, self.entries)

    @property
    def for_tuning(self) -> bool:
        """Whether it runs on seeds that nothing may be claimed from."""
        return max(self.seeds) >= TUNING

    @property
    def published(self) -> bool:
        """Whether its results stand in the documentation."""
        return not self.shortened and not self.for_tuning

    def cells(self) -> list[Cell]:
        """Return all cells in the order in which they are begun.

        One seed after the other, so that what was done when the time ran out is a whole comparison with fewer seeds;
        of each seed those first that record a log for others.
        """
        online = [self.log_by, *(name for name in self.entries if name != self.log_by)] if self.log_by else self.entries
        ways = [("online", name) for name in online] + [("log", name) for name in self.entries if self.rounds]
        return [
            Cell(task=task, person=person, entry=entry, way="log" if way == "log" else "online", seed=seed)
            for seed in self.seeds
            for way, entry in ways
            for task in self.tasks
            for person in self.persons
        ]

    def cells_of(self, seed: int) -> list[Cell]:
        """Return the cells of one seed."""
        return replace(self, seeds=(seed,)).cells()

    def recorder(self, cell: Cell) -> Cell | None:
        """Return the cell whose log `cell` learns from; None for one that learns online."""
        return replace(cell, entry=self.log_by, way="online") if cell.way == "log" else None

    def limits(self, task: str) -> list[int]:
        """Return the online steps after which a training is evaluated, ascending."""
        steps = self.tasks[task]
        return sorted({1, *(max(1, round(steps * part / self.points)) for part in range(1, self.points + 1))})

    def argv(self, cell: Cell) -> list[str]:
        """Return the command line of `robot-hil train` that makes the same experiment."""
        return [
            cell.task, *self.entries[cell.entry], *self.options, *self.task_options.get(cell.task, ()),
            "--person.profile", cell.person, "--goal.max-env-steps", str(self.tasks[cell.task]),
            "--eval-episodes", str(self.final_trials),
        ]  # fmt: skip

    def weight(self, cell: Cell) -> float:
        """Return about how much work `cell` is, in rounds of training."""
        return float(self.rounds if cell.way == "log" else self.tasks[cell.task])


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which cells of a plan are run now; what is empty selects all."""

    entries: tuple[str, ...] = ()
    persons: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    ways: tuple[Way, ...] = field(default=())

    def of(self, plan: Plan) -> list[Cell]:
        """Return the selected cells in their order, with those whose logs they learn from.

        Raises `UnknownNameError` for a name that the plan does not have.
        """
        known: dict[str, Sequence[object]] = {
            "method": list(plan.entries), "person": plan.persons, "task": list(plan.tasks), "seed": plan.seeds,
        }  # fmt: skip
        for (kind, names), asked in zip(
            known.items(), (self.entries, self.persons, self.tasks, self.seeds), strict=True
        ):
            for name in asked:
                if name not in names:
                    raise UnknownNameError(kind, str(name), map(str, names))
        wanted = {cell for cell in plan.cells() if self._has(cell)}
        wanted |= {log for cell in wanted if (log := plan.recorder(cell)) is not None}
        return [cell for cell in plan.cells() if cell in wanted]

    def _has(self, cell: Cell) -> bool:
        return all(
            not asked or value in asked
            for value, asked in (
                (cell.entry, self.entries),
                (cell.person, self.persons),
                (cell.task, self.tasks),
                (cell.seed, self.seeds),
                (cell.way, self.ways),
            )
        )


def for_tuning(plan: Plan) -> Plan:
    """Return `plan` on tuning seeds, under a name of its own."""
    return replace(plan, name=f"{plan.name}-tuning", seeds=tuple(TUNING + seed for seed in plan.seeds))


def quick(plan: Plan) -> Plan:
    """Return `plan` with as little of everything as shows that it works, under a name of its own."""
    return replace(
        plan,
        name=f"{plan.name}-quick",
        shortened=True,
        tasks=dict.fromkeys(plan.tasks, 40),
        rounds=min(plan.rounds, 2),
        points=1,
        trials=1,
        final_trials=2,
        options=(*plan.options, "--demos", "2", "--learner.clone-updates", "2"),
    )
