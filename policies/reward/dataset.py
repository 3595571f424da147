"""Labelled frames on disk, in a folder that a person can look at: PNG files and one row per word said about them.

```
dataset.json            classes, specification of the environment, crops
labels.jsonl            a row per label; the newest label of an id counts, null takes the frame out
frames/<id>.<camera>.png
```

Several processes may read and append at once: an id is claimed by creating a file, a row is appended in one write, and
every reader takes in what others have written since. A row that a crash tore is ignored, and so is its frame.
"""

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from robot_hil.data.fingerprint import spec_to_dict
from robot_hil.data.labels import EpisodeKey
from robot_hil.data.reward import LabelledFrame
from robot_hil.data.specs import Array, ArraySpec, EnvSpec
from robot_hil.errors import ConfigError, SpecError, StorageError
from robot_hil.policies.reward.config import Crop
from robot_hil.policies.reward.files import read_png, write_file, write_png
from robot_hil.policies.reward.split import split_episodes

DATASET_FILE, LABELS_FILE, FRAMES = "dataset.json", "labels.jsonl", "frames"
HARD_NEGATIVE = "false_positive"
_FORMAT = 1
_LOG = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class _Entry:
    """What the rows about one frame say, the newest label in it; `label` None is a frame taken out."""

    files: Mapping[str, str]
    vectors: Mapping[str, list[float]]
    episode: EpisodeKey
    step_index: int
    label: int | None
    source: str
    operator: str
    t: float


class FrameSet:
    """A folder of labelled frames. `create` or `open` it; nothing is kept in memory but the rows."""

    def __init__(self, path: Path, classes: tuple[str, ...], spec: EnvSpec, crops: Mapping[str, Crop]) -> None:
        self.path, self.classes, self.spec, self.crops = path, classes, spec, dict(crops)
        self._entries: dict[str, _Entry] = {}
        self._read = 0
        self._next = 0
        self._warned: set[int] = set()

    @staticmethod
    def create(
        path: Path, classes: Sequence[str], spec: EnvSpec, crops: Mapping[str, Crop] | None = None
    ) -> "FrameSet":
        """Make the folder; raises `StorageError` where there is a data set already, `SpecError` without images."""
        if not spec.images:
            raise SpecError(f"{spec.env_id} shows no images; a reward from images needs one. Use obs_type='pixels'.")
        if len(set(classes)) != len(classes) or len(classes) < 2:
            raise ConfigError(f"classes are {list(classes)}; give at least two different names, success among or last.")
        _check_crops(crops or {}, spec)
        path = Path(path)
        if (path / DATASET_FILE).exists():
            raise StorageError(f"{path} holds a data set already; open it, or choose another folder.")
        about = {
            "format": _FORMAT,
            "classes": list(classes),
            "spec": spec_to_dict(spec),
            "crops": {name: asdict(crop) for name, crop in (crops or {}).items()},
        }
        try:
            (path / FRAMES).mkdir(parents=True, exist_ok=True)
            temporary = path / f".{DATASET_FILE}.{os.getpid()}.tmp"
            write_file(temporary, (json.dumps(about, indent=2) + "\n").encode(), "wb")
            temporary.replace(path / DATASET_FILE)
        except OSError as error:
            raise StorageError(f"{path} cannot be made a data set: {error}.") from error
        return FrameSet.open(path)

    @staticmethod
    def open(path: Path) -> "FrameSet":
        """Read what is there; raises `StorageError` when that is no data set."""
        path = Path(path)
        try:
            about = json.loads((path / DATASET_FILE).read_text())
            if about["format"] != _FORMAT:
                raise StorageError(f"{path} has format {about['format']}; this version reads format {_FORMAT}.")
            spec = spec_from_dict(about["spec"])
            crops = {name: Crop(**crop) for name, crop in about["crops"].items()}
            found = FrameSet(path, tuple(about["classes"]), spec, crops)
        except FileNotFoundError as error:
            raise StorageError(f"{path} is no data set: {DATASET_FILE} is missing.") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(f"{path / DATASET_FILE} cannot be read: {error!r}.") from error
        found.refresh()
        return found

    def refresh(self) -> None:
        """Take in rows that were written since, by this process or another."""
        try:
            with (self.path / LABELS_FILE).open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        offset = self._read
        for line in whole.splitlines(keepends=True):
            if line.strip() and not self._take(line) and offset not in self._warned:
                self._warned.add(offset)
                _LOG.warning("%s: the row at byte %d is damaged and does not count", self.path / LABELS_FILE, offset)
            offset += len(line)
        self._read += len(whole)

    def add(self, frame: LabelledFrame, *, durable: bool = True) -> str:
        """Store `frame` and return its id; raises `SpecError` for one that does not fit, and stores nothing then.

        `durable` waits until the disk has it (some 15 ms); leave that to the system where the frame is elsewhere, too.
        """
        self._check_label(frame.label)
        self.spec.validate_observation(frame.obs)
        try:
            frame_id, files = self._store_images(frame, durable)
        except OSError as error:
            raise StorageError(f"{self.path} cannot be written: {error}. The frame was not stored.") from error
        row = {
            "id": frame_id,
            "files": files,
            "vectors": {name: np.asarray(frame.obs[name]).tolist() for name in self.spec.vectors},
            "episode": list(frame.episode),
            "step_index": int(frame.step_index),
        }
        self._append(row | _said(frame.label, frame.source, frame.operator, frame.t), durable)
        return frame_id

    def relabel(self, frame_id: str, label: int, source: str, operator: str = "") -> None:
        """Say something else about a stored frame, discarded ones included; it counts from now on."""
        self._check_label(label)
        self._entry(frame_id)
        self._append({"id": frame_id} | _said(label, source, operator, 0.0))

    def discard(self, frame_id: str, source: str = "review", operator: str = "") -> None:
        """Take a frame out; its files stay, and `relabel` brings it back."""
        self._entry(frame_id)
        self._append({"id": frame_id} | _said(None, source, operator, 0.0))

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the frames that count, in the order in which they came."""
        self.refresh()
        return tuple(sorted(name for name, entry in self._entries.items() if entry.label is not None))

    def frames(self) -> Iterator[LabelledFrame]:
        """Read all frames that count, in the order of `ids`."""
        for name in self.ids:
            yield self.get(name)

    def get(self, frame_id: str) -> LabelledFrame:
        """Read one frame; raises `StorageError` when its images are gone or damaged, `ConfigError` if discarded."""
        entry = self._entry(frame_id)
        if entry.label is None:
            raise ConfigError(f"frame {frame_id} of {self.path} was discarded; relabel it to use it again.")
        obs: dict[str, Array] = {
            name: np.asarray(values, self.spec.observation[name].dtype) for name, values in entry.vectors.items()
        }
        obs |= {camera: read_png(self.path / file) for camera, file in entry.files.items()}
        self.spec.validate_observation(obs)
        return LabelledFrame(
            obs=obs, label=entry.label, episode=entry.episode, step_index=entry.step_index, source=entry.source,
            operator=entry.operator, t=entry.t,
        )  # fmt: skip

    def files(self, frame_id: str) -> dict[str, Path]:
        """Return the image files of a frame, by camera."""
        return {camera: self.path / file for camera, file in self._entry(frame_id).files.items()}

    def label(self, frame_id: str) -> tuple[int | None, str]:
        """Return the label that counts, None for a discarded frame, and who said so; reads no image."""
        entry = self._entry(frame_id)
        return entry.label, entry.source

    def episode(self, frame_id: str) -> EpisodeKey:
        """Return the episode that a frame comes from."""
        return self._entry(frame_id).episode

    @property
    def counts(self) -> dict[str, int]:
        """Frames that count, per class."""
        labels = [self._entries[name].label for name in self.ids]
        return {name: labels.count(index) for index, name in enumerate(self.classes)}

    @property
    def episodes(self) -> tuple[EpisodeKey, ...]:
        """Episodes with at least one frame that counts, sorted."""
        return tuple(sorted({self._entries[name].episode for name in self.ids}))

    def split(self, test_share: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the ids to train and to test with. No episode is in both; each has every class where that can be."""
        ids = self.ids
        rows = [(self._entries[name].episode, self._entries[name].label or 0) for name in ids]
        test = split_episodes(rows, test_share, seed)
        train_ids = tuple(name for name, (episode, _) in zip(ids, rows, strict=True) if episode not in test)
        return train_ids, tuple(name for name in ids if name not in set(train_ids))

    def _check_label(self, label: int) -> None:
        if not 0 <= label < len(self.classes):
            raise ConfigError(f"label is {label}; this data set has 0 to {len(self.classes) - 1}: {self.classes}.")

    def _entry(self, frame_id: str) -> _Entry:
        if frame_id not in self._entries:
            self.refresh()
        if frame_id not in self._entries:
            raise ConfigError(f"there is no frame {frame_id!r} in {self.path}.")
        return self._entries[frame_id]

    def _store_images(self, frame: LabelledFrame, durable: bool) -> tuple[str, dict[str, str]]:
        """Claim an id by creating the first camera's file, and write all of them."""
        first, *others = self.spec.images
        self._next = max(self._next, len(self._entries))
        while True:
            frame_id = f"{self._next:06d}"
            self._next += 1
            try:
                write_png(self._file(frame_id, first), frame.obs[first], "xb", durable)
            except FileExistsError:
                continue
            break
        for camera in others:
            write_png(self._file(frame_id, camera), frame.obs[camera], "wb", durable)
        return frame_id, {camera: f"{FRAMES}/{frame_id}.{camera}.png" for camera in self.spec.images}

    def _file(self, frame_id: str, camera: str) -> Path:
        return self.path / FRAMES / f"{frame_id}.{camera}.png"

    def _append(self, row: Mapping[str, Any], durable: bool = True) -> None:
        """Append a row in one write; a torn row before it is closed first."""
        path = self.path / LABELS_FILE
        try:
            with path.open("ab+") as file:
                torn = False
                if file.tell():
                    file.seek(-1, os.SEEK_END)
                    torn = file.read(1) != b"\n"
                file.write((b"\n" if torn else b"") + json.dumps(row, allow_nan=False).encode() + b"\n")
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{path} cannot be written: {error}. The label was not stored.") from error
        self.refresh()

    def _take(self, line: bytes) -> bool:
        """Take one row in; return False for one that cannot be."""
        try:
            row = json.loads(line)
            name, label = str(row["id"]), row["label"]
            if label is not None:
                self._check_label(label)
            if "files" not in row:
                entry = self._entries[name]
                entry.label, entry.source = label, row["source"]
                entry.operator, entry.t = row["operator"], row["t"]
                return True
            actor, epoch, episode = row["episode"]
            self._entries[name] = _Entry(
                files=row["files"], vectors=row["vectors"], episode=(actor, epoch, episode),
                step_index=row["step_index"], label=label, source=row["source"], operator=row["operator"], t=row["t"],
            )  # fmt: skip
        except (ValueError, KeyError, TypeError, ConfigError):
            return False
        return True


def _said(label: int | None, source: str, operator: str, t: float) -> dict[str, Any]:
    return {"label": label, "source": source, "operator": operator, "t": t or time.time()}


def _check_crops(crops: Mapping[str, Crop], spec: EnvSpec) -> None:
    for camera, crop in crops.items():
        if camera not in spec.images:
            raise ConfigError(f"a crop is for camera {camera!r}; {spec.env_id} has {', '.join(spec.images)}.")
        height, width, _ = spec.observation[camera].shape
        if crop.top + crop.height > height or crop.left + crop.width > width:
            raise ConfigError(f"{crop} leaves the image of {camera!r}, which has {height} rows and {width} columns.")


def spec_from_dict(plain: Mapping[str, Any]) -> EnvSpec:
    """Undo `spec_to_dict`."""
    arrays = {name: _array_from(array) for name, array in plain["observation"].items()}
    return EnvSpec(**{**plain, "observation": arrays, "action": _array_from(plain["action"])})


def _array_from(plain: Mapping[str, Any]) -> ArraySpec:
    return ArraySpec(
        shape=tuple(plain["shape"]), dtype=plain["dtype"], low=float(plain["low"]), high=float(plain["high"]),
        names=tuple(plain["names"]),
    )  # fmt: skip
