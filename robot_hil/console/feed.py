"""What a run folder says about learning, for the console: read bit by bit while the run writes it."""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from robot_hil.console.advice import Advice
from robot_hil.console.coach import advise
from robot_hil.data.labels import EpisodeKey, LabelRow
from robot_hil.errors import StorageError
from robot_hil.report.labels import LabelWatch, read_labels
from robot_hil.report.metrics import (
    ACTOR_FILE,
    LEARNER_FILE,
    EpisodeRow,
    JsonlTail,
    LearnerRow,
    parse_row,
    plain,
)
from robot_hil.report.summary import WINDOW, window_of

HISTORY = 200
"""Points of each curve."""
VALUES_FILE = "values.json"
CONFIG_FILE = "config.json"
_LEARNER_ROWS = 4000
_MAX_VALUES_BYTES = 1_000_000

Body = dict[str, Any]


class RunFeed:
    """Follows `actor.jsonl`, `learner.jsonl` and `values.json` of one folder; `poll` is for a thread, one at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        experiment = _experiment_of(folder)
        self.experiment = str(experiment.get("name", ""))
        """Name of the experiment; empty when the folder does not say."""
        demos = experiment.get("demos")
        self._demos = demos if isinstance(demos, int) else 0
        self.episodes: list[EpisodeRow] = []
        self.learner: deque[LearnerRow] = deque(maxlen=_LEARNER_ROWS)
        self._actor_tail = JsonlTail(folder / ACTOR_FILE)
        self._learner_tail = JsonlTail(folder / LEARNER_FILE)
        self._label_watch = LabelWatch(folder)
        self._labels: dict[EpisodeKey, LabelRow] = {}
        self._values_stamp: tuple[int, int] | None = None
        self._values: Any = None
        self._problem = ""
        self._told: str | None = None

    def poll(self, control_hz: float = 0.0, takeovers: Sequence[int] = ()) -> Body | None:
        """Return the metrics as pages get them, None when nothing is new; `control_hz` turns steps into seconds.

        `takeovers`: at which steps the person took over in the newest trials, for advice.
        """
        changed = self._read()
        if not changed and self._told == self._problem:
            return None
        self._told = self._problem
        return {
            **self._of_episodes(control_hz),
            "learner": self._of_learner(),
            "values": self._values,
            "advice": [asdict(one) for one in self._advice(takeovers)],
            "problem": self._problem,
        }

    def _read(self) -> bool:
        try:
            episodes = [parse_row(EpisodeRow, row) for row in self._actor_tail.poll()]
            learner = [parse_row(LearnerRow, row) for row in self._learner_tail.poll()]
        except (StorageError, OSError) as error:
            self._problem = str(error)  # stays: rows are missing from now on
            return False
        self.episodes += episodes
        self.learner.extend(learner)
        return any([self._read_values(), self._read_labels(), episodes, learner])

    def _read_labels(self) -> bool:
        changed = bool(self._label_watch.poll())
        if changed:
            self._labels = read_labels(self.folder)
        return changed

    def _read_values(self) -> bool:
        """Read the learner's values of one episode, if the file changed."""
        path = self.folder / VALUES_FILE
        try:
            known = path.stat()
            stamp = (known.st_mtime_ns, known.st_size)
            if stamp == self._values_stamp or known.st_size > _MAX_VALUES_BYTES:
                return False
            self._values = plain(json.loads(path.read_text()))
        except (OSError, ValueError):  # not there, or about to be replaced
            return False
        self._values_stamp = stamp
        return True

    def _advice(self, takeovers: Sequence[int]) -> list[Advice]:
        return advise(self.episodes, tuple(self.learner), self._demos, takeovers=takeovers, labels=self._labels)

    def _of_episodes(self, control_hz: float) -> Body:
        online = [row for row in self.episodes if row.phase == "train"]
        checks = [row for row in self.episodes if row.phase in ("check", "eval")][-WINDOW:]
        body: Body = {
            "window": WINDOW,
            "demos": sum(row.phase == "demo" for row in self.episodes),
            "episodes": len(online),
            "env_steps": online[-1].env_steps if online else 0,
            "success_rate": None,
            "intervention_rate": None,
            "takeovers": None,
            "cycle_steps": None,
            "cycle_s": None,
            "check_success": sum(row.success for row in checks) / len(checks) if checks else None,
            "history": self._curves(),
        }
        if online:
            window = window_of(online)
            body |= {
                "success_rate": window.success_rate,
                "intervention_rate": window.human_share,
                "takeovers": sum(row.interventions for row in online[-WINDOW:]) / window.episodes,
                "cycle_steps": window.cycle_steps,
            }
            if window.cycle_steps is not None and control_hz > 0:
                body["cycle_s"] = window.cycle_steps / control_hz
        if self.episodes:
            last = self.episodes[-1]
            body |= {"policy_version": last.policy_version, "policy_age_s": last.policy_age_s}
        return body

    def _curves(self) -> Body:
        rows = self.episodes[-HISTORY:]
        return {
            "episode": [row.episode_id for row in rows],
            "t": [row.t_wall_s for row in rows],
            "env_steps": [row.env_steps for row in rows],
            "phase": [row.phase for row in rows],
            "success": [int(row.success) for row in rows],
            "steps": [row.steps for row in rows],
            "human": [row.human_steps / max(1, row.steps) for row in rows],
            "takeovers": [row.interventions for row in rows],
            "policy_version": [row.policy_version for row in rows],
        }

    def _of_learner(self) -> Body | None:
        if not self.learner:
            return None
        rows = tuple(self.learner)[-HISTORY:]
        last = rows[-1]
        names = sorted({name for row in rows for name in row.losses})
        return {
            "t": last.t_wall_s,
            "updates": last.updates,
            "updates_per_s": last.updates_per_s,
            "utd": last.utd,
            "env_steps": last.env_steps,
            "replay": last.replay,
            "losses": last.losses,
            "history": {
                "t": [row.t_wall_s for row in rows],
                "updates": [row.updates for row in rows],
                "updates_per_s": [row.updates_per_s for row in rows],
                "losses": {name: [row.losses.get(name) for row in rows] for name in names},
            },
        }


def _experiment_of(folder: Path) -> Body:
    """Return what the run's configuration says of its experiment; empty when it says nothing."""
    try:
        experiment = json.loads((folder / CONFIG_FILE).read_text())["experiment"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return experiment if isinstance(experiment, dict) else {}
