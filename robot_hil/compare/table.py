"""The tables of a comparison in Markdown, from the rows that `compare.rows` stored."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

Row = Mapping[str, Any]
HEAD = {
    "method": "---", "family": "---", "success alone": "---", "human steps to 80 %": "--:",
    "takeovers to 80 %": "--:", "human steps to first alone": "--:", "takeovers to first alone": "--:",
    "cycle": "--:", "area": "--:", "from one log": "---",
}  # fmt: skip
"""Heading -> alignment."""


def tables(rows: Sequence[Row]) -> str:
    """Return one table for each task and person, best first; below them on what, when and with which code.

    What failed is a row that says so; what is not over yet is counted, and without a table where nothing of it is.
    """
    if not rows:
        return "Not measured yet."
    groups = [list(group) for _, group in groupby(rows, key=lambda row: (row["task"], row["person"]))]
    parts = [_table(group) for group in groups if any(row["seeds"] or row["failures"] for row in group)]
    missing = sum(len(row["missing"]) for row in rows)
    parts += [f"{missing} trainings have yet to be made."] if missing else []
    origins = dict.fromkeys(
        f"{found['machine']}; {found['date']}; commit {_commit(found['commit'])}"
        for row in rows
        for found in row["origins"]
    )
    return "\n\n".join([*parts, "  \n".join(origins)])


def _table(rows: Sequence[Row]) -> str:
    online = {row["method"]: row for row in rows if row["way"] == "online"}
    logged = {row["method"]: row for row in rows if row["way"] == "log"}
    names = sorted(dict.fromkeys([*online, *logged]), key=lambda name: -_order(online.get(name), logged.get(name)))
    lines = [_line(name, online.get(name), logged.get(name)) for name in names]
    used = [i for i in range(len(HEAD)) if any(line[i] for line in lines)]
    head = [[list(HEAD)[i] for i in used], [list(HEAD.values())[i] for i in used]]
    body = [[line[i].replace("|", "/") for i in used] for line in lines]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in head + body)
    return f"**`{rows[0]['task']}`, person `{rows[0]['person']}`** ({_amounts(rows)})\n\n{table}"


def _amounts(rows: Sequence[Row]) -> str:
    seeds = sorted({seed for row in rows for seed in row["seeds"]})
    online = [row for row in rows if row["way"] == "online"]
    logged = [row for row in rows if row["way"] == "log"]
    parts = [f"seeds {', '.join(map(str, seeds)) or 'none'}"]
    parts += [f"{online[0]['steps']:,} online steps"] if online else []
    parts += [f"{logged[0]['steps']:,} rounds on the log"] if logged else []
    demos = [row["demo_steps"] for row in online if row["demo_steps"] is not None]
    parts += [f"{demos[0]:.0f} steps of demonstrations"] if demos else []
    return "; ".join(parts)


def _line(name: str, online: Row | None, logged: Row | None) -> list[str]:
    row = online or logged
    assert row is not None
    if online is None or online["success"] is None:
        costs = [_success(online)] + [""] * 6
    else:
        reached, of = online["reached"], len(online["seeds"])
        share = "" if reached == of or not reached else f" ({reached}/{of})"
        costs = [
            _success(online),
            _number(online["human_steps_to_80"]) + share,
            _number(online["interventions_to_80"]),
            _number(online["human_steps_to_first"]),
            _number(online["interventions_to_first"]),
            _number(online["cycle_steps"], "-"),
            f"{online['area']:.2f}",
        ]
    return [f"`{name}`", row["family"], *costs, _success(logged)]


def _success(row: Row | None) -> str:
    """Return success with its interval, and what is wanting."""
    if row is None:
        return ""
    parts = []
    if row["success"] is not None:
        low, high = row["success_ci95"]
        parts.append(f"{row['success']:.2f} [{low:.2f}, {high:.2f}]")
    parts += [f"**failed**, {why.splitlines()[0]}" for why in row["failures"]]
    parts += [f"{len(row['missing'])} not run"] if row["missing"] else []
    return "; ".join(parts)


def _order(online: Row | None, logged: Row | None) -> float:
    return next((row["success"] for row in (online, logged) if row and row["success"] is not None), -1.0)


def _number(value: float | None, none: str = "never") -> str:
    return none if value is None else f"{value:,.0f}"


def _commit(commit: str) -> str:
    known, dirty, _ = commit.partition("-dirty")
    return known[:9] + dirty
