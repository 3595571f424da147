"""What a run writes down for people: rows in `actor.jsonl` and `learner.jsonl`, one per line, and a small `live.json`.

Rows survive a crash of the writer: a line is written whole or it is not there for the reader.
"""

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from robot_hil.clock import Clock
from robot_hil.errors import StorageError

ACTOR_FILE = "actor.jsonl"
LEARNER_FILE = "learner.jsonl"
LIVE_FILE = "live.json"

Phase = Literal["demo", "train", "check", "eval"]
"""A check is a trial without the person during training, the evaluation comes after it."""
RECORDED: tuple[Phase, ...] = ("demo", "train")
"""Phases whose steps go to the learner and into its log."""
Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeRow:
    """One finished episode, a row of `actor.jsonl`."""

    t_wall_s: float
    """Seconds the run has lasted at the end of the episode; the time between a stop and a resume does not count."""
    env_steps: int
    """Online steps of the run, this episode included; demonstrations, checks and evaluation do not count."""
    episode_id: int
    steps: int
    """Steps of this episode."""
    success: bool
    human_steps: int
    """Steps in which the person had authority; all of them in a demonstration."""
    interventions: int
    """How often the person took over."""
    phase: Phase
    policy_version: int = -1
    """Version of the weights at the end of the episode; -1 for none."""
    policy_age_s: float | None = None
    """Seconds since those weights arrived; None for none."""
    deadline_misses: int = 0
    lateness_p99_s: float | None = None
    """99th percentile of the lateness of control periods [s]; None when not in real time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnerRow:
    """State of the learner, about one row per second in `learner.jsonl`."""

    t_wall_s: float
    """Seconds the run has lasted, as in `EpisodeRow`."""
    updates: int
    """Critic updates since the beginning of the run."""
    env_steps: int
    """Online steps that the learner has received."""
    updates_per_s: float
    utd: float
    """Critic updates per online step so far."""
    losses: dict[str, float] = field(default_factory=dict)
    """Losses and other scalars of the agent, averaged since the last row."""
    replay: dict[str, int] = field(default_factory=dict)
    """Transitions in each pool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveState:
    """What the operator must see at once; the actor writes it into `live.json`."""

    t_wall_s: float
    phase: Phase
    control: str
    """Who is in control: a state of the arbiter (policy, engaging, human, releasing, hold, estop), blended or idle."""
    env_steps: int
    episode_id: int
    policy_version: int = -1
    policy_age_s: float | None = None
    message: str = ""
    """One line for the operator: what is going on or what to do next."""


def plain(value: Any) -> Any:
    """Return `value` as JSON knows it: dataclasses as dicts, numpy scalars as numbers, NaN and infinity as None."""
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_json(path: Path, value: Any, durable: bool = True) -> None:
    """Write `value` into `path` atomically: a reader sees the old file or the new one, never a part.

    `durable` also survives a power failure (costs a disk flush). Raises StorageError and leaves the old file.
    """
    write_text(path, json.dumps(plain(value), indent=2, allow_nan=False) + "\n", durable)


def write_text(path: Path, text: str, durable: bool = True) -> None:
    """Write `text` into `path` as `write_json` writes a value."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"cannot write {path}: {error}. Free space or choose another folder.") from error


class JsonlSink:
    """Appends rows to a file, one JSON object per line; opens it at the first row, after repairing a torn end.

    A row is handed to the operating system in one piece, so it survives a crash of this process (not a power failure).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: int | None = None

    def write(self, row: Any) -> None:
        """Append one row, a mapping or a dataclass; a full disk raises StorageError and leaves the file readable."""
        line = (json.dumps(plain(row), separators=(",", ":"), allow_nan=False) + "\n").encode()
        try:
            if self._file is None:
                self._file = _open_repaired(self.path)
            size = os.fstat(self._file).st_size
            try:
                if os.write(self._file, line) != len(line):
                    raise OSError("disk full")
            except OSError:
                os.ftruncate(self._file, size)
                raise
        except OSError as error:
            raise StorageError(
                f"cannot append to {self.path}: {error}. Free space or choose another folder."
            ) from error

    def close(self) -> None:
        """Close the file; legal twice. A later `write` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> "JsonlSink":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open_repaired(path: Path) -> int:
    """Open `path` for appending, without the torn line that a crashed writer may have left at its end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    content = path.read_bytes()
    os.ftruncate(file, content.rfind(b"\n") + 1)
    return file


class JsonlTail:
    """Reads a growing file of rows bit by bit, while another process writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._line = 0

    def poll(self) -> list[Row]:
        """Return the rows that were completed since the last call; none while the file is missing.

        A torn last line waits until it is complete. A line that is no JSON object raises StorageError with its number.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        rows = []
        for line in content[: content.rfind(b"\n") + 1].splitlines(keepends=True):
            self._offset += len(line)
            self._line += 1
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                raise StorageError(f"{self.path}, line {self._line}, is not a JSON object. Remove the line by hand.")
            rows.append(row)
        return rows


def read_rows(path: Path) -> list[Row]:
    """Return all complete rows of `path`; a torn last line is ignored, a missing file has no rows."""
    return JsonlTail(path).poll()


RowType = TypeVar("RowType", EpisodeRow, LearnerRow, LiveState)


def parse_row(kind: type[RowType], row: Mapping[str, Any]) -> RowType:
    """Return `row` as a dataclass; columns it does not know (of a newer version) are dropped, missing ones refused."""
    known = {entry.name for entry in fields(kind)}
    try:
        return kind(**{name: value for name, value in row.items() if name in known})
    except TypeError as error:
        raise StorageError(f"a row is not a {kind.__name__}: {error}. It has {', '.join(sorted(row))}.") from error


def read_episodes(path: Path) -> list[EpisodeRow]:
    """Return the episodes of an `actor.jsonl`, in the order they ended."""
    return [parse_row(EpisodeRow, row) for row in read_rows(path)]


def read_learner(path: Path) -> list[LearnerRow]:
    """Return the rows of a `learner.jsonl`."""
    return [parse_row(LearnerRow, row) for row in read_rows(path)]


class LiveFile:
    """Writes `live.json` at most every `min_period_s`; the newest state between two writes is dropped, not queued."""

    def __init__(self, path: Path, clock: Clock, min_period_s: float = 0.2) -> None:
        self.path = path
        self._clock = clock
        self._min_period_s = min_period_s
        self._last = -math.inf

    def write(self, state: LiveState, force: bool = False) -> bool:
        """Write `state` when the period has passed or `force` is given; return whether it was written."""
        now = self._clock.now()
        if not force and now - self._last < self._min_period_s:
            return False
        self._last = now
        write_json(self.path, state, durable=False)
        return True


def read_live(path: Path) -> LiveState | None:
    """Return the state in `live.json`, None while there is none."""
    try:
        return parse_row(LiveState, json.loads(path.read_text()))
    except FileNotFoundError:
        return None
