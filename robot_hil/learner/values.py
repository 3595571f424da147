"""`values.json` in a run folder: what the critics think of the newest episode, step by step, for people to look at."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from robot_hil.protocols import Valuing
from robot_hil.report.metrics import write_json

if TYPE_CHECKING:
    from robot_hil.learner.learner import Learner

VALUES_FILE = "values.json"
EVERY_S = 2.0
SHARE = 0.002
"""Part of the time that may go into it: what took longer is done again later."""
MAX_POINTS = 64


def values_of(learner: "Learner") -> dict[str, Any] | None:
    """Return the newest episode that has ended with its values; None before the first, or if the agent has none.

    `steps` are the steps judged, all of a short episode, `MAX_POINTS` of a longer one; `values` and `human` (1 where a
    person had authority) are of these steps. It changes nothing, and draws nothing at random.
    """
    agent = learner.agent
    episode = learner.replay.newest_episode()
    if episode is None or not len(episode.rows) or not isinstance(agent, Valuing):
        return None
    picked = np.linspace(0, len(episode.rows) - 1, min(MAX_POINTS, len(episode.rows))).round().astype(int)
    rows = episode.rows[picked]
    values = agent.values(learner.state, learner.replay.observations(rows, agent.reads["obs"]))
    facts = learner.replay.columns(rows)
    actor_id, epoch, episode_id = episode.key
    return {
        "actor_id": actor_id,
        "epoch": epoch,
        "episode_id": episode_id,
        "steps": facts["step_index"].tolist(),
        "values": [round(value, 4) for value in values.tolist()],
        "human": facts["is_human"].astype(int).tolist(),
    }


class ValuesFile:
    """Writes `values.json` at most every `EVERY_S`, and seldom enough to take no more than `SHARE` of the time."""

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self._path = folder / VALUES_FILE
        self._now = now
        self._due: float | None = None

    def write(self, learner: "Learner") -> bool:
        """Write if it is time and there is something to write; return whether it was written."""
        began = self._now()
        if self._due is not None and began < self._due:
            return False
        content = values_of(learner)
        if content is not None:
            write_json(self._path, content, durable=False)
        now = self._now()
        self._due = now + max(EVERY_S, (now - began) / SHARE)
        return content is not None
