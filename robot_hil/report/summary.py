"""What a run came to: success windows, confidence intervals, and the `summary.json` of a run."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from robot_hil.errors import StorageError
from robot_hil.report.metrics import EpisodeRow, LearnerRow, write_json

SUMMARY_FILE = "summary.json"
WINDOW = 20
"""Episodes in a window."""
GOAL_SUCCESS = 0.95
GOAL_HUMAN = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The last `WINDOW` online episodes, or fewer in the beginning, after one of them ended."""

    env_steps: int
    t_wall_s: float
    episodes: int
    success_rate: float
    unaided_rate: float
    """Episodes that succeeded without any human step."""
    human_share: float
    """Steps in which the person had authority, as a share of all: the intervention rate."""
    cycle_steps: float | None
    """Mean steps of the successful episodes; None without one."""

    @property
    def is_goal(self) -> bool:
        """True for a full window with at least 95 % success and at most 5 % human steps."""
        return self.episodes == WINDOW and self.success_rate >= GOAL_SUCCESS and self.human_share <= GOAL_HUMAN


def mean_cycle(episodes: Sequence[EpisodeRow]) -> float | None:
    """Return the mean steps of the successful episodes, None without one."""
    steps = [row.steps for row in episodes if row.success]
    return sum(steps) / len(steps) if steps else None


def human_share(episodes: Sequence[EpisodeRow]) -> float:
    """Return human steps / steps; 0 without any step."""
    return sum(row.human_steps for row in episodes) / max(1, sum(row.steps for row in episodes))


def window_of(episodes: Sequence[EpisodeRow]) -> Window:
    """Return the window that ends with the last of `episodes`, which must not be empty."""
    recent = episodes[-WINDOW:]
    return Window(
        env_steps=recent[-1].env_steps,
        t_wall_s=recent[-1].t_wall_s,
        episodes=len(recent),
        success_rate=sum(row.success for row in recent) / len(recent),
        unaided_rate=sum(row.success and row.human_steps == 0 for row in recent) / len(recent),
        human_share=human_share(recent),
        cycle_steps=mean_cycle(recent),
    )


def windows(episodes: Sequence[EpisodeRow]) -> list[Window]:
    """Return the window after every online episode; other phases are left out."""
    online = [row for row in episodes if row.phase == "train"]
    return [window_of(online[max(0, end - WINDOW) : end]) for end in range(1, len(online) + 1)]


def env_steps_to_goal(episodes: Sequence[EpisodeRow]) -> int | None:
    """Return the online steps until the first full window with 95 % success and 5 % human steps; None if never."""
    return next((window.env_steps for window in windows(episodes) if window.is_goal), None)


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a success probability, 95 % by default; (0, 1) without trials."""
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials; give 0 <= successes <= trials")
    if trials == 0:
        return 0.0, 1.0
    share, z2 = successes / trials, z * z
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = z / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    low = 0.0 if successes == 0 else centre - half  # exactly, where rounding would leave 1e-17
    high = 1.0 if successes == trials else centre + half
    return low, high


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The result of one run. None means not measured, or never reached."""

    experiment: str
    observation: Literal["pixels", "state"]
    seed: int
    env_steps: int
    """Online steps; demonstrations and evaluation do not count."""
    env_steps_to_95: int | None
    """Online steps until the first 20-episode window with >= 95 % success and <= 5 % human steps."""
    wall_s: float
    """Seconds of the whole run, demonstrations and evaluation included."""
    demos: int
    """Demonstrations recorded."""
    human_steps: int
    """Online steps in which the person had authority; demonstrations do not count."""
    interventions: int
    intervention_rate_last_20: float | None
    """Human steps / steps over the last 20 online episodes."""
    success_rate: float | None
    """Of the autonomous evaluation: person off, deterministic policy."""
    success_ci95: tuple[float, float] | None
    """Wilson interval of `success_rate`."""
    eval_episodes: int
    cycle_steps: float | None
    """Mean steps of the successful evaluation episodes."""
    demo_cycle_steps: float | None
    """Mean steps of the successful demonstrations."""
    updates_per_s: float | None
    """Critic updates per second while the learner was updating."""
    utd: float | None
    """Critic updates per online step."""
    deadline_misses: int
    steps_logged: int
    """Steps in the learner's log."""
    steps_lost: int
    steps_duplicated: int
    extras: dict[str, Any] = field(default_factory=dict)
    """More facts: git hash, machine, date, seconds of training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCounts:
    """How the learner's log compares with what was executed."""

    steps_logged: int
    steps_lost: int
    steps_duplicated: int


def summarize(
    *,
    experiment: str,
    observation: Literal["pixels", "state"],
    seed: int,
    wall_s: float,
    episodes: Sequence[EpisodeRow],
    learner: Sequence[LearnerRow],
    log: LogCounts,
    extras: Mapping[str, Any] | None = None,
) -> Summary:
    """Return the summary of a run from its rows; rows of any phase may be missing."""
    demos = [row for row in episodes if row.phase == "demo"]
    online = [row for row in episodes if row.phase == "train"]
    evaluation = [row for row in episodes if row.phase == "eval"]
    successes = sum(row.success for row in evaluation)
    return Summary(
        experiment=experiment,
        observation=observation,
        seed=seed,
        env_steps=online[-1].env_steps if online else 0,
        env_steps_to_95=env_steps_to_goal(online),
        wall_s=wall_s,
        demos=len(demos),
        human_steps=sum(row.human_steps for row in online),
        interventions=sum(row.interventions for row in online),
        intervention_rate_last_20=human_share(online[-WINDOW:]) if online else None,
        success_rate=successes / len(evaluation) if evaluation else None,
        success_ci95=wilson_interval(successes, len(evaluation)) if evaluation else None,
        eval_episodes=len(evaluation),
        cycle_steps=mean_cycle(evaluation),
        demo_cycle_steps=mean_cycle(demos),
        updates_per_s=_update_rate(learner),
        utd=learner[-1].utd if learner else None,
        deadline_misses=sum(row.deadline_misses for row in episodes),
        steps_logged=log.steps_logged,
        steps_lost=log.steps_lost,
        steps_duplicated=log.steps_duplicated,
        extras=dict(extras or {}),
    )


def _update_rate(learner: Sequence[LearnerRow]) -> float | None:
    """Return updates per second over the intervals in which updates were made; None without such an interval."""
    updates, seconds = 0, 0.0
    for before, after in pairwise(learner):
        if after.updates > before.updates and after.t_wall_s > before.t_wall_s:
            updates += after.updates - before.updates
            seconds += after.t_wall_s - before.t_wall_s
    return updates / seconds if seconds else None


def write_summary(path: Path, summary: Summary) -> None:
    """Write `summary` as JSON, atomically."""
    write_json(path, asdict(summary))


def read_summary(path: Path) -> Summary:
    """Return what `write_summary` wrote; fields of a newer version go into `extras`."""
    try:
        content: Any = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist. Name a run folder that has finished.") from error
    except ValueError as error:
        raise StorageError(f"{path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise StorageError(f"{path} is not a summary of a run: it holds a {type(content).__name__}.")
    known = {entry.name for entry in fields(Summary)}
    extras = content.pop("extras", {}) | {name: content.pop(name) for name in set(content) - known}
    if (ci := content.get("success_ci95")) is not None:
        content["success_ci95"] = tuple(ci)
    try:
        return Summary(**content, extras=extras)
    except TypeError as error:
        raise StorageError(f"{path} is not a summary of a run: {error}.") from error
