"""Where, when and from which source a number was measured; results of benchmarks as committed JSON files."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from robot_hil.report.metrics import plain, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine a number was measured on."""

    cpu: str
    cores: int
    """Cores this process may use."""
    memory_gib: float
    os: str
    python: str

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.memory_gib:g} GiB, {self.os}, Python {self.python}"


def describe_machine() -> Machine:
    """Return the machine this runs on; a value that cannot be found is empty or 0, never an error."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 0
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        memory = 0
    return Machine(
        cpu=_cpu_model(),
        cores=cores,
        memory_gib=round(memory / 2**30, 1),
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
    )


def _cpu_model() -> str:
    """Return the name of the processor as the system gives it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_hash(folder: Path | None = None) -> str:
    """Return the commit of the checkout, with `-dirty` when tracked files differ from it; empty outside a checkout.

    `folder` defaults to where this library lies.
    """
    place = folder or Path(__file__).resolve().parent
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty", "--match", "no-tag-at-all"]
    try:
        found = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return found.stdout.strip() if found.returncode == 0 else ""


def today() -> str:
    """Return the date in UTC as YYYY-MM-DD."""
    return datetime.now(UTC).date().isoformat()


def origin() -> dict[str, str]:
    """Return what stands beside a number that is measured now: `machine`, `date` and `commit`."""
    return {"machine": str(describe_machine()), "date": today(), "commit": git_hash()}


def origin_in(content: Mapping[str, Any]) -> dict[str, str]:
    """Return the origin that stands in `content` beside a number; empty strings where nobody noted it."""
    return {name: str(content.get(name, "")) for name in ("machine", "date", "commit")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One measured number."""

    name: str
    value: float | None
    """None when the goal was never reached, e.g. steps to a success rate."""
    unit: str
    higher_is_better: bool
    target: float | None = None
    """What it must reach; None for a number without a promise."""
    floor: float | None = None
    """What the machine itself allows, in the same unit: bytes over its bandwidth, FLOPs over its rate."""
    others: str = ""
    """What other systems reach, measured on a machine of this kind, e.g. `HIL-SERL 176, LeRobot 52`."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Share of what the machine allows that was reached, in [0, 1] or so; None without a floor."""
        if not self.floor or not self.value:
            return None
        return self.value / self.floor if self.higher_is_better else self.floor / self.value

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        if self.value is None:
            return False
        return self.value >= self.target if self.higher_is_better else self.value <= self.target


def write_results(path: Path, results: Sequence[Result]) -> None:
    """Write `results` into a JSON file with machine, date and commit per row; rows of other names are kept.

    So a benchmark can be repeated in parts, and every number still says where it comes from.
    """
    here = origin()
    rows = {row["name"]: row for row in read_results(path)}
    rows |= {
        result.name: {**plain(result), "ratio": result.ratio, "reached": result.reached, **here} for result in results
    }
    write_json(path, list(rows.values()))


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the rows that `write_results` wrote; none when the file is missing."""
    if not path.exists():
        return []
    rows: list[dict[str, Any]] = json.loads(path.read_text())
    return rows
