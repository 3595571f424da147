"""When training ends."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from robot_hil.report.metrics import EpisodeRow
from robot_hil.report.summary import GOAL_SUCCESS, WINDOW, mean_cycle, window_of

if TYPE_CHECKING:
    from robot_hil.experiments.base import Goal


class GoalTracker:
    """Judges after each episode whether training is done; give it the earlier rows of a resumed run, too."""

    def __init__(self, goal: "Goal", rows: Sequence[EpisodeRow] = ()) -> None:
        self._goal = goal
        self._recent: list[EpisodeRow] = []
        self._demos: list[EpisodeRow] = []
        self._since: int | None = None
        self._train_started_s: float | None = None
        self._last: EpisodeRow | None = None
        self._check: list[EpisodeRow] = []
        self._since_failed_check: int | None = None
        for row in rows:
            self.add(row)

    @property
    def env_steps(self) -> int:
        """Online steps so far."""
        return self._last.env_steps if self._last else 0

    @property
    def demos(self) -> int:
        """Successful demonstrations so far."""
        return len(self._demos)

    def add(self, row: EpisodeRow) -> None:
        """Take in a finished episode."""
        if row.phase == "train":
            self._add_trial(row)
        elif row.phase == "check":
            self._add_check(row)
        elif row.phase == "demo" and row.success:
            self._demos.append(row)

    def contradict(self, episode_id: int) -> None:
        """A person says that the success of an episode that was taken in was none."""
        self._recent = [replace(row, success=row.success and row.episode_id != episode_id) for row in self._recent]
        self._demos = [row for row in self._demos if row.episode_id != episode_id]
        if any(row.episode_id == episode_id for row in self._check):
            self._check, self._since_failed_check = [], 0

    def check_due(self) -> bool:
        """Whether the next episode should be a check: training seems done, and checks have yet to confirm it."""
        rested = self._since_failed_check is None or self._since_failed_check >= self._goal.check_pause
        return not self.done() and self._ready() and rested

    def done(self) -> str:
        """Return why training is over, in words; empty while it goes on."""
        goal = self._goal
        if self._last is None:
            return ""
        assert self._train_started_s is not None
        if self._ready() and len(self._check) >= goal.check_episodes:
            return "goal reached"
        if self._last.env_steps >= goal.max_env_steps:
            return f"{self._last.env_steps} env steps made (--goal.max-env-steps)"
        if self._last.t_wall_s - self._train_started_s >= goal.max_train_s:
            return f"{goal.max_train_s:.0f} s of training passed (--goal.max-train-s)"
        return ""

    def _add_trial(self, row: EpisodeRow) -> None:
        if self._train_started_s is None:
            self._train_started_s = row.t_wall_s
        self._last = row
        self._check = []
        if self._since_failed_check is not None:
            self._since_failed_check += 1
        self._recent = [*self._recent[-WINDOW + 1 :], row]
        if self._since is not None:
            self._since += 1
        elif window_of(self._recent).is_goal:
            self._since = 0

    def _add_check(self, row: EpisodeRow) -> None:
        self._check.append(row)
        slow = len(self._check) >= self._goal.check_episodes and not self._fast_enough(self._check)
        if slow or not row.success:
            self._check, self._since_failed_check = [], 0

    def _ready(self) -> bool:
        settled = self._since is not None and self._since >= self._goal.settle_episodes
        return settled and self._steady() and self._fast_enough(self._recent)

    def _steady(self) -> bool:
        """The newest episodes too went well without help: what is kept is the policy of now, not that of the goal."""
        return window_of(self._recent).unaided_rate >= GOAL_SUCCESS

    def _fast_enough(self, episodes: Sequence[EpisodeRow]) -> bool:
        cycle, demo_cycle = mean_cycle(episodes), mean_cycle(self._demos)
        if not self._goal.cycle_ratio or demo_cycle is None:
            return True
        return cycle is not None and cycle <= self._goal.cycle_ratio * demo_cycle
