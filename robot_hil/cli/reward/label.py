"""`robot-hil reward label`: the frames that a model doubts most, on a page for a person who knows; then train again."""

import asyncio
import contextlib
import logging
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from robot_hil.cli.reward import show
from robot_hil.cli.reward.models import LoadedModel, frames_of, load_model
from robot_hil.console.labelling import PAGE, STATIC, DoubtfulFrame, LabellingState, add_labelling
from robot_hil.errors import ConfigError, RobotHilError
from robot_hil.policies.reward.dataset import FrameSet

if TYPE_CHECKING:
    from robot_hil.cli.reward.options import LabelFrames
    from robot_hil.console.server import ConsoleServer

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Before:
    """What a frame was called before a label."""

    frame: str
    label: int | None
    source: str
    operator: str


class LabelSession:
    """Implements `robot_hil.console.labelling.Labelling` for a model in its folder. Making it looks at all frames."""

    def __init__(self, model: LoadedModel, frames: FrameSet, count: int, operator: str = "") -> None:
        if model.dense:
            raise ConfigError(f"{model.folder} is a critic of progress; only classifiers are labelled for.")
        if frames.classes != model.trained.classes:
            raise ConfigError(f"{frames.path} has classes {frames.classes}, {model.folder} {model.trained.classes}.")
        if count < 1:
            raise ConfigError(f"--count is {count}; it must be at least 1.")
        self._model, self._frames, self._count, self._operator = model, frames, count, operator
        self._done: list[_Before] = []
        self._training: tuple[float, str] | None = None
        self._problem = ""
        self._thread: threading.Thread | None = None
        self._newer: LoadedModel | None = None
        self._labelled = 0
        self._choose()

    def frames(self) -> list[DoubtfulFrame]:
        """See `Labelling.frames`."""
        if self._newer is not None:
            self._model, self._newer = self._newer, None
            self._done.clear()
            self._choose()
        return [self._shown(*one) for one in self._doubtful]

    def state(self) -> LabellingState:
        """See `Labelling.state`."""
        model, training = self._newer or self._model, self._training
        report = model.trained.report
        return LabellingState(
            classes=model.trained.classes,
            version=model.version,
            figures=[
                ("false positives", show.rate(report.false_positive)),
                ("false negatives", show.rate(report.false_negative)),
                ("ended before a success", show.rate(report.false_episodes)),
                ("threshold", f"{report.threshold:.3f}"),
            ],
            labelled=self._labelled,
            training=None if training is None else training[0],
            doing="" if training is None else training[1],
            problem=self._problem,
        )

    def image(self, frame: str, camera: str) -> bytes:
        """See `Labelling.image`."""
        files = self._frames.files(frame)
        if camera not in files:
            raise ConfigError(f"there is no camera {camera!r}; there are {', '.join(files)}.")
        try:
            return files[camera].read_bytes()
        except OSError as error:
            raise ConfigError(f"the picture of frame {frame} cannot be read: {error}.") from error

    def label(self, frame: str, label: int | None, operator: str) -> None:
        """See `Labelling.label`."""
        before = _Before(frame, *self._frames.label(frame), self._operator)
        who = operator or self._operator
        if label is None:
            self._frames.discard(frame, "review", who)
        else:
            self._frames.relabel(frame, label, "review", who)
        self._done.append(before)
        self._labelled += 1

    def undo(self) -> str:
        """See `Labelling.undo`."""
        if not self._done:
            return ""
        before = self._done.pop()
        if before.label is None:
            self._frames.discard(before.frame, before.source, before.operator)
        else:
            self._frames.relabel(before.frame, before.label, before.source, before.operator)
        self._labelled = max(0, self._labelled - 1)
        return before.frame

    def retrain(self) -> None:
        """See `Labelling.retrain`."""
        if self._training is not None:
            return
        self._training, self._problem = (0.0, "starting"), ""
        self._thread = threading.Thread(target=self._retrain, name="reward-training")
        self._thread.start()

    def close(self) -> None:
        """See `Labelling.close`."""
        if self._thread is not None:
            self._thread.join()

    def _choose(self) -> None:
        self._doubtful: list[tuple[str, float]] = self._model.trained.most_doubtful(self._frames, self._count)
        trained, self._seen = self._model.trained, dict[str, Any]()
        for name, _ in self._doubtful:
            frame = self._frames.get(name)
            members = trained.look([frame.obs])[:, 0]
            spread = float(members[:, trained.setup.success].std())
            self._seen[name] = members.mean(0).tolist(), min(1.0, 2.0 * spread), frame.step_index

    def _shown(self, name: str, doubt: float) -> DoubtfulFrame:
        label, source = self._frames.label(name)
        actor, _, number = self._frames.episode(name)
        probabilities, spread, step = self._seen[name]
        return DoubtfulFrame(
            id=name, label=label, source=source, doubt=doubt, probabilities=probabilities, spread=spread,
            cameras=sorted(self._frames.files(name)), episode=f"{actor} #{number}", step=step,
        )  # fmt: skip

    def _retrain(self) -> None:
        def told(share: float, what: str) -> None:
            self._training = share, what

        folder, there = self._model.folder, self._labelled
        try:
            self._model.trained.retrain(FrameSet.open(self._frames.path), progress=told).save(folder)
            self._newer = load_model(folder)
            self._labelled -= there
        except RobotHilError as error:
            self._problem = str(error)
        except Exception as error:  # a thread that dies must say so on the page
            _log.exception("the model could not be trained")
            self._problem = repr(error)
        finally:
            self._training = None


def label(asked: "LabelFrames") -> int:
    """Serve the page until interrupted; return the exit code."""
    path = asked.frames or frames_of(asked.model)
    if path is None:
        raise ConfigError(f"the data set that {asked.model} was trained from is not there any more: name it.")
    frames = FrameSet.open(path)
    print(f"looking at the {len(frames.ids)} frames of {path} ...", flush=True)
    session = LabelSession(load_model(asked.model), frames, asked.count, asked.name)
    return asyncio.run(_serve(asked, session, path))


def serving(session: LabelSession, host: str, port: int, token: str) -> "ConsoleServer":
    """Return a console that serves the page beside its own."""
    from robot_hil.console.address import is_loopback
    from robot_hil.console.auth import Tokens
    from robot_hil.console.server import ConsoleConfig, ConsoleServer

    config = ConsoleConfig(token=token, host=host, port=port, tls=not is_loopback(host), pages={PAGE: STATIC})
    return ConsoleServer(config, extra_routes=lambda app: add_labelling(app, session, Tokens(token)))


async def _serve(asked: "LabelFrames", session: LabelSession, frames: Path) -> int:
    from robot_hil.console.auth import new_token

    served = serving(session, asked.host, asked.port, new_token())
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await served.start()
    print(f"label frames of {frames}: {served.url(PAGE + '/')}")
    print("Every label is stored at once. Ctrl-C ends it.", flush=True)
    failed = asyncio.ensure_future(served.wait())
    try:
        waiting = asyncio.ensure_future(stop.wait())
        await asyncio.wait((failed, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if failed.done():
            failed.result()
    finally:
        failed.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await served.stop()
    return 0
