"""A page on which a person says what frames show: the ones that a reward model doubts most, one after the other."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import msgspec
from aiohttp import web

from robot_hil.console.auth import Tokens
from robot_hil.errors import ConfigError, RobotHilError

STATIC = Path(__file__).parent / "static" / "label"
PAGE = "/label"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class DoubtfulFrame:
    """One frame on the page."""

    id: str
    label: int | None
    """What it is called now; None when it is taken out."""
    source: str
    """Who called it so."""
    doubt: float
    """In [0, 1]."""
    probabilities: Sequence[float]
    """Of each class, as the model sees it."""
    spread: float
    """Disagreement of the members about success, in [0, 1]."""
    cameras: Sequence[str]
    episode: str
    step: int


@dataclass(frozen=True, kw_only=True)
class LabellingState:
    """What else the page shows."""

    classes: Sequence[str]
    version: int
    figures: Sequence[tuple[str, str]]
    """Name and value of what is known of the model, in words."""
    labelled: int
    """Labels given since the model was trained."""
    training: float | None = None
    """Share done of the training under way; None when there is none."""
    doing: str = ""
    """What the training is doing, in words."""
    problem: str = ""
    """Why the last training failed, else empty."""


class Labelling(Protocol):
    """Frames, labels and model behind the page. Its functions are called by one thread, one after the other."""

    def frames(self) -> list[DoubtfulFrame]:
        """Return the frames to look at, the most doubtful first."""
        ...

    def state(self) -> LabellingState:
        """Return what is known now; any thread may ask."""
        ...

    def image(self, frame: str, camera: str) -> bytes:
        """Return a picture as PNG; raises `ConfigError` for one that is not there."""
        ...

    def label(self, frame: str, label: int | None, operator: str) -> None:
        """Say what a frame shows, None to take it out; raises `ConfigError`, `StorageError`."""
        ...

    def undo(self) -> str:
        """Take back the newest label; return the frame's id, empty when there is none to take back."""
        ...

    def retrain(self) -> None:
        """Begin to train the next version; returns at once, does nothing while one is being trained."""
        ...

    def close(self) -> None:
        """Wait for what is under way; legal twice."""
        ...


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends for a label."""

    frame: Annotated[str, msgspec.Meta(max_length=64)]
    label: Annotated[int, msgspec.Meta(ge=0, le=99)] | None
    operator: Annotated[str, msgspec.Meta(max_length=64)] = ""


_said = msgspec.json.Decoder(Said)


def add_labelling(app: web.Application, work: Labelling, tokens: Tokens) -> None:
    """Serve `work` below `/api/reward/`; who may only watch may look. It is closed with the application."""
    thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="labelling")

    async def do(request: web.Request, call: Callable[[], T], make: Callable[[T], web.Response]) -> web.Response:
        if request.method == "POST" and tokens.role_of_header(request.headers.get("Authorization", "")) != "pilot":
            return _refusal(403, "this address may watch, not label.")
        try:
            return make(await asyncio.get_running_loop().run_in_executor(thread, call))
        except ConfigError as error:
            return _refusal(404, str(error))
        except RobotHilError as error:
            return _refusal(503, str(error))

    async def frames(request: web.Request) -> web.Response:
        return await do(request, work.frames, lambda found: _json({"frames": found}))

    async def state(_: web.Request) -> web.Response:
        return _json(work.state())

    async def image(request: web.Request) -> web.Response:
        at = request.match_info
        call = partial(work.image, at["frame"], at["camera"])
        return await do(request, call, lambda png: web.Response(body=png, content_type="image/png"))

    async def label(request: web.Request) -> web.Response:
        try:
            said = _said.decode(await request.read())
        except msgspec.DecodeError as error:
            return _refusal(400, f"that is no label: {error}.")
        call = partial(work.label, said.frame, said.label, said.operator)
        return await do(request, call, lambda _: _json(work.state()))

    async def undo(request: web.Request) -> web.Response:
        return await do(request, work.undo, lambda frame: _json({"frame": frame}))

    async def retrain(request: web.Request) -> web.Response:
        return await do(request, work.retrain, lambda _: _json(work.state()))

    async def close(_: web.Application) -> None:
        await asyncio.to_thread(work.close)
        thread.shutdown()

    app.router.add_get("/api/reward/frames", frames)
    app.router.add_get("/api/reward/state", state)
    app.router.add_get("/api/reward/frames/{frame}/{camera}.png", image)
    app.router.add_post("/api/reward/label", label)
    app.router.add_post("/api/reward/undo", undo)
    app.router.add_post("/api/reward/retrain", retrain)
    app.on_cleanup.append(close)


def _json(value: Any) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")


def _refusal(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)
