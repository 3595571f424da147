"""Episodes that are over, to look at and to judge: listed and shown from the step log, labelled in the run folder.

Read beside the processes that write the log, and without disturbing them: the learner's log, or where there is none
(the learner is on another machine) the actor's spool, which holds what the learner does not have yet.
"""

import asyncio
import threading
import time
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from robot_hil.console.video import encode
from robot_hil.data.codec import Header
from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.data.operator_input import Label
from robot_hil.data.step import Segment
from robot_hil.errors import StorageError
from robot_hil.replay.log_reader import StepLogReader
from robot_hil.report.labels import read_labels, write_label

T = TypeVar("T")
MAX_EPISODES = 500
"""Episodes kept in mind; older ones are not listed."""
FIRST_LOOK, FURTHEST_LOOK = 1_000, 20_000
"""Steps that a look goes back first, and at most: each is a place on the disk of its own, and a cold one is slow."""
_IMAGE = 1
"""Group of an observation's arrays in a header."""


@dataclass(slots=True)
class _Episode:
    """What the list says of an episode, and where its steps are."""

    demo: bool
    cameras: list[str]
    arrivals: "array[int]" = field(default_factory=lambda: array("q"))
    indices: "array[int]" = field(default_factory=lambda: array("q"))
    """Step indices, rising; `arrivals` are in the same order."""
    interventions: list[list[int]] = field(default_factory=list)
    """First and last step index of each."""
    intervention_id: int = -1
    total: float = 0.0
    success: bool = False
    complete: bool = False

    def add(self, arrival: int, header: Header) -> None:
        index = header.step_index
        if self.indices and index <= self.indices[-1]:
            return  # came late, after its successors: of no use for looking at it in order
        self.arrivals.append(arrival)
        self.indices.append(index)
        self.total += header.reward.get("human", header.reward.get("env", 0.0))
        self.success |= header.success
        self.complete |= header.terminated or header.truncated
        if header.intervention_id >= 0:
            if header.intervention_id != self.intervention_id:
                self.interventions.append([index, index])
            self.interventions[-1][1] = index
        self.intervention_id = header.intervention_id


class Review:
    """The stored episodes of the run in `folder`. Making it touches nothing; its functions are for one thread.

    `listed` and `image` raise `StorageError` when the log cannot be read, and `LookupError` for what is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reader = StepLogReader(folder / "steps")
        self._file: tuple[int, int] | None = None
        self._start = self._next = -1
        """Arrival numbers of the first step looked at, and of the next to come."""
        self._episodes: OrderedDict[EpisodeKey, _Episode] = OrderedDict()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="review")
        self._writing = threading.Lock()

    def listed(self, last: int = 50) -> list[dict[str, Any]]:
        """Return the newest `last` episodes, newest first; the one under way is among them, not `complete` yet."""
        self._refresh()
        self._look_back(last)
        labels = read_labels(self.folder)
        newest = self._whole()[:last]
        return [
            {
                "actor_id": key[0],
                "epoch": key[1],
                "episode_id": key[2],
                "phase": "demo" if episode.demo else "train",
                "steps": len(episode.indices),
                "complete": episode.complete,
                "success": episode.success,
                "label": str(labels[key].verdict) if key in labels else "",
                "interventions": [list(stretch) for stretch in episode.interventions],
                "cameras": episode.cameras,
                "return": round(episode.total, 6),
            }
            for key, episode in newest
        ]

    def image(self, key: EpisodeKey, camera: str, index: int) -> bytes:
        """Return what `camera` saw before step `index` as JPEG; one more than the last step: what it saw at the end."""
        if key not in self._episodes:
            self._refresh()
        episode = self._episodes.get(key)
        if episode is None:
            raise LookupError(f"there is no episode {key[2]} of {key[0]} (start {key[1]}) here, or it is too old.")
        if camera not in episode.cameras:
            raise LookupError(f"there is no camera {camera!r}; there are {', '.join(episode.cameras) or 'none'}.")
        at_end = episode.complete and index == episode.indices[-1] + 1
        wanted = index - 1 if at_end else index
        place = bisect_left(episode.indices, wanted)
        if place == len(episode.indices) or episode.indices[place] != wanted:
            raise LookupError(f"there is no step {index} in episode {key[2]}; the last is {episode.indices[-1]}.")
        step = self._reader.step(episode.arrivals[place])
        seen = None if step is None else step.final_obs if at_end else step.obs
        if seen is None:
            raise LookupError(f"step {index} of episode {key[2]} is not stored here any more.")
        return encode(seen[camera])

    def write_label(self, label: Label, operator: str) -> None:
        """Write down a verdict, also on an episode that has not arrived yet; raises `StorageError`."""
        row = LabelRow(
            actor_id=label.actor_id,
            epoch=label.epoch,
            episode_id=label.episode_id,
            verdict=Verdict(label.verdict),
            reason=label.reason,
            operator=operator,
            t=time.time(),
        )
        with self._writing:
            write_label(self.folder, row)

    async def label(self, label: Label, operator: str) -> str:
        """As `write_label`, from an event loop; returns why it failed, or an empty string."""
        try:
            await asyncio.to_thread(self.write_label, label, operator)  # does not wait for those who look
        except StorageError as error:
            return str(error)
        return ""

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Do `work` in the one thread that reads here, so that no event loop waits for the disk."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Let go of the log and end the thread; legal twice."""
        self._thread.shutdown()
        self._reader.close()

    def _refresh(self) -> None:
        """Take in what was written since the last look."""
        learnt = self.folder / "steps"
        path = learnt if StepLogReader(learnt).file is not None else self.folder / "spool"
        if path != self._reader.path:
            self._reader.close()
            self._reader = StepLogReader(path)
        if self._reader.file != self._file:
            self._file = self._reader.file
            self._look_from(-1)
        if self._start < 0:
            first, end = self._reader.bounds()
            self._look_from(max(first, end - FIRST_LOOK))
        self._catch_up()

    def _look_back(self, wanted: int) -> None:
        """Go back twice as far as before, again and again, until there are enough episodes."""
        first, end = self._reader.bounds()
        furthest = max(first, end - FURTHEST_LOOK)
        while self._start > furthest and len(self._whole()) < wanted:
            self._look_from(max(furthest, end - 2 * (end - self._start)))
            self._catch_up()

    def _whole(self) -> list[tuple[EpisodeKey, _Episode]]:
        """Return the episodes whose beginning was seen, newest first."""
        return [item for item in reversed(self._episodes.items()) if item[1].indices[0] == 0]

    def _look_from(self, start: int) -> None:
        self._start = self._next = start
        self._episodes.clear()

    def _catch_up(self) -> None:
        while rows := self._reader.headers(self._next):
            for arrival, header in rows:
                self._take(arrival, header)
            self._next = rows[-1][0] + 1

    def _take(self, arrival: int, header: Header) -> None:
        key = (header.actor_id, header.epoch, header.episode_id)
        episode = self._episodes.get(key)
        if episode is None:
            images = [part.name for part in header.arrays if part.group == _IMAGE and _is_image(part.dtype, part.shape)]
            episode = self._episodes[key] = _Episode(header.segment == Segment.DEMO, images)
            while len(self._episodes) > MAX_EPISODES:
                self._episodes.popitem(last=False)
        episode.add(arrival, header)


def _is_image(dtype: str, shape: list[int]) -> bool:
    return dtype == "uint8" and len(shape) == 3 and shape[2] == 3


def add_routes(app: web.Application, review: Review, authorised: Callable[[web.Request], bool]) -> None:
    """Serve the list and the images to whom `authorised` lets in; `review` is closed with the application."""

    async def answer(request: web.Request, work: Callable[[], web.Response]) -> web.Response:
        if not authorised(request):
            return _refusal(401, "open the link that the robot's console printed; this page has no valid token.")
        try:
            return await review.in_thread(work)
        except LookupError as error:
            return _refusal(404, str(error.args[0]))
        except StorageError as error:
            return _refusal(503, str(error))

    async def episodes(request: web.Request) -> web.Response:
        last = request.query.get("last", "50")

        def work() -> web.Response:
            if not (last.isascii() and last.isdigit() and len(last) < 6 and 1 <= int(last) <= MAX_EPISODES):
                return _refusal(400, f"last is {last[:50]!r}; give a number from 1 to {MAX_EPISODES}.")
            return web.json_response({"episodes": review.listed(int(last))})

        return await answer(request, work)

    async def image(request: web.Request) -> web.Response:
        at = request.match_info
        key = (at["actor"], int(at["epoch"]), int(at["episode"]))

        def work() -> web.Response:
            jpeg = review.image(key, at["camera"], int(at["index"]))
            return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

        return await answer(request, work)

    async def close(_: web.Application) -> None:
        await asyncio.to_thread(review.close)

    app.router.add_get("/api/episodes", episodes)
    number = r"\d{1,15}"
    app.router.add_get(
        rf"/api/episodes/{{actor}}/{{epoch:{number}}}/{{episode:{number}}}/{{camera}}/{{index:{number}}}.jpg", image
    )
    app.on_cleanup.append(close)


def _refusal(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)
