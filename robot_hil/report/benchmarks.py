"""Results of benchmarks as Markdown tables inside pages that are otherwise written by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from robot_hil.errors import StorageError
from robot_hil.report.machine import read_results

BEGIN, END = "<!-- table: {} -->", "<!-- end of table -->"
"""Lines between which the table of a suite stands in a page."""
COLUMNS = {
    "what": "---",
    "measured": "--:",
    "target": "--:",
    "reached": "---",
    "floor": "--:",
    "ratio": "--:",
    "other systems": "---",
    "run": "---",
}
"""Heading -> alignment."""


def update_page(path: Path, results: Path) -> None:
    """Write every table of the page at `path` anew, from `results`/<suite>.json.

    A suite without results is said to be not measured. Raises StorageError for a page that lacks an end of a table.
    """
    page = path.read_text()
    suites = [part.partition(" -->")[0] for part in page.split(BEGIN.partition("{}")[0])[1:]]
    path.write_text(fill_in(page, {suite: table(read_results(results / f"{suite}.json")) for suite in suites}))


def fill_in(page: str, tables: Mapping[str, str]) -> str:
    """Return `page` with the table of each suite between its `BEGIN` and `END` lines; the rest stays as it is."""
    for suite, text in tables.items():
        head, mark, rest = page.partition(BEGIN.format(suite))
        _, end, tail = rest.partition(END)
        if not mark or not end:
            raise StorageError(
                f"the page has no place for the table of {suite!r}: it lacks the line {BEGIN.format(suite)!r} or, "
                f"after it, {END!r}. Write both where the table belongs."
            )
        page = f"{head}{mark}\n{text}\n{end}{tail}"
    return page


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of `read_results` as a Markdown table; below it, on what, when and with which code each run was made.

    Columns that no row fills are left out.
    """
    if not rows:
        return "Not measured yet."
    runs = list(dict.fromkeys(_run(row) for row in rows))
    lines = [_cells(row, _letter(runs.index(_run(row))) if len(runs) > 1 else "") for row in rows]
    used = [i for i in range(len(COLUMNS)) if any(line[i] for line in lines)]
    head = [[list(COLUMNS)[i] for i in used], [list(COLUMNS.values())[i] for i in used]]
    body = [[line[i] for i in used] for line in lines]
    below = [f"{_letter(i)}: {run}" if len(runs) > 1 else run for i, run in enumerate(runs)]
    return "\n".join(["| " + " | ".join(line) + " |" for line in head + body] + ["", *(f"{run}  " for run in below)])


def _cells(row: Mapping[str, Any], run: str) -> list[str]:
    target, ratio = row.get("target"), row.get("ratio")
    bound = {True: ">= ", False: "<= ", None: ""}[row.get("higher_is_better")]
    cells = [
        row["name"],
        "never" if row["value"] is None else f"{_number(row['value'])} {row['unit']}".rstrip(),
        _number(target) if isinstance(target, str) or target is None else bound + _number(target),
        {True: "yes", False: "**no**", None: ""}[row.get("reached")],
        _number(row.get("floor")),
        "" if ratio is None else f"{ratio:.0%}",
        row.get("others") or "",
        run,
    ]
    return [cell.replace("|", "/").replace("\n", " ") for cell in cells]


def _number(value: float | str | None) -> str:
    """Return three significant digits, but all those before the point; a text is taken as it is.

    >>> [_number(v) for v in (98601.0, 1574.94, 0.13651, 7, 0, None, "about 1")]
    ['98,601', '1,575', '0.137', '7', '0', '', 'about 1']
    """
    if value is None or isinstance(value, str):
        return value or ""
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _run(row: Mapping[str, Any]) -> str:
    commit, dirty, _ = str(row["commit"]).partition("-dirty")
    return f"{row['machine']}; {row['date']}; commit {commit[:9]}{dirty}"


def _letter(index: int) -> str:
    """Return a to z, then aa, ab, ...

    >>> [_letter(i) for i in (0, 25, 26, 27)]
    ['a', 'z', 'aa', 'ab']
    """
    return (_letter(index // 26 - 1) if index >= 26 else "") + ascii_lowercase[index % 26]
