"""`labels.jsonl` in a run folder: verdicts on episodes that are over. Rows are only appended; the newest counts."""

import logging
from pathlib import Path

import msgspec

from robot_hil.data.labels import EpisodeKey, LabelRow, Verdict
from robot_hil.errors import StorageError
from robot_hil.report.metrics import JsonlSink

LABELS_FILE = "labels.jsonl"
_LOG = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(LabelRow)


def write_label(folder: Path, row: LabelRow) -> None:
    """Append `row` to the labels of the run in `folder`; raises `StorageError`. One process writes."""
    with JsonlSink(folder / LABELS_FILE) as sink:
        sink.write(row)


def read_labels(folder: Path) -> dict[EpisodeKey, LabelRow]:
    """Return the verdict that counts for every episode that has one; those taken back are left out.

    A line that is no label is skipped and said in the log, so that it never stops a training; a torn last line waits.
    """
    path = folder / LABELS_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error}.") from error
    newest: dict[EpisodeKey, LabelRow] = {}
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            row = _decoder.decode(line)
        except (msgspec.MsgspecError, ValueError) as error:  # ValueError: bytes that are no text
            _LOG.warning("%s, line %d, is no label and does not count: %s", path, number, error)
            continue
        newest[row.key] = row
    return {key: row for key, row in newest.items() if row.verdict is not Verdict.NONE}


class LabelWatch:
    """Tells what changed in the labels of a run, while another process writes them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int, int] | None = None
        self._verdicts: dict[EpisodeKey, Verdict] = {}

    def poll(self) -> dict[EpisodeKey, Verdict]:
        """Return the verdicts that changed since the last call, NONE for those taken back; cheap when nothing did."""
        try:
            stat = (self._folder / LABELS_FILE).stat()
            seen: tuple[int, int, int] | None = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            seen = None
        if seen == self._seen:
            return {}
        verdicts = {key: row.verdict for key, row in read_labels(self._folder).items()}
        changes = {key: verdict for key, verdict in verdicts.items() if self._verdicts.get(key) is not verdict}
        changes |= {key: Verdict.NONE for key in self._verdicts if key not in verdicts}
        self._seen, self._verdicts = seen, verdicts
        return changes
