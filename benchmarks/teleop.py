"""The table of the operator's side: every row with its limit, measured here. Run it on a quiet machine.

    python benchmarks/teleop.py                  all rows (about half an hour)
    python benchmarks/teleop.py S1 V4 --quick    some rows, shortened
    python benchmarks/teleop.py --table          write the table of docs/teleop.md from the results

Each row runs in a process of its own; those that are run replace the ones in `results/teleop.json`.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tests")]

from robot_hil.report.machine import describe_machine, git_hash, today  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "teleop.json"
DOC = Path(__file__).parent.parent / "docs" / "teleop.md"
MODULES = {
    "S": "spacemouse", "V": "webxr", "K": "page", "G": "gamepad", "L": "leader", "A": "arbiter", "E": "console",
    "N": "console", "C": "console", "R": "recording",
}  # fmt: skip
ORDER = (
    "S1", "S2", "S3", "S4", "S5", "S6", "V1", "V2", "V3", "V4", "V5", "V6", "V7", "V8", "K1", "G1", "L1",
    "A1", "A2", "A3", "E1", "E2", "N1", "C1", "C2", "R1",
)  # fmt: skip
BEGIN, END = "<!-- table: made by benchmarks/teleop.py -->", "<!-- end of table -->"
LIMIT_S = 1500


def measure(row: str, quick: bool) -> list[dict[str, Any]]:
    """Run one row here; return its figures."""
    functions = import_module(f"teleop_rows.{MODULES[row[0]]}").ROWS
    return [asdict(figure) for figure in functions[row](quick)]


def in_process(row: str, quick: bool) -> list[dict[str, Any]]:
    """Run one row in a process of its own; a row that crashed is one that did not pass."""
    command = [sys.executable, __file__, "--only", row, *(["--quick"] if quick else [])]
    begin = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
        lines = [line.removeprefix("RESULT ") for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        figures: list[dict[str, Any]] = json.loads(lines[-1]) if lines else []
        problem = (done.stderr or done.stdout)[-400:]
    except subprocess.TimeoutExpired:
        figures, problem = [], f"not done after {LIMIT_S} s"
    if not figures:
        figures = [{"name": f"{row} could not be measured", "value": problem, "unit": "", "target": "", "passed": False,
                    "note": ""}]  # fmt: skip
    took = time.monotonic() - begin
    common = {"row": row, "machine": machine(), "date": today(), "commit": git_hash()[:9], "quick": quick}
    return [{**figure, **common, "took_s": round(took, 1)} for figure in figures]


def machine() -> str:
    """Return what was measured on, in short."""
    return f"{describe_machine()}, Python {platform.python_version()}"


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as Markdown."""
    lines = ["| | measured | limit | |", "|---|---|---|---|"]
    for row in rows:
        value = row["value"] if isinstance(row["value"], str) else f"{row['value']:g}"
        mark = "yes" if row["passed"] else "**no**"
        cells = (f"{row['name']}", f"{value} {row['unit']}".strip(), row["target"], mark)
        lines.append("| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def write_table(rows: list[dict[str, Any]]) -> None:
    """Replace the table in the page."""
    text = DOC.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    DOC.write_text(f"{head}{BEGIN}\n{table(rows)}\n{END}{tail}")


def main() -> int:
    """Measure, print, write; return 1 when a row did not pass."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", help=f"which, e.g. S1 V4; all by default: {' '.join(ORDER)}")
    parser.add_argument("--quick", action="store_true", help="shortened about tenfold, for trying out")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="only write the table of docs/teleop.md")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.only:
        print("RESULT " + json.dumps(measure(asked.only, asked.quick)))
        return 0
    if unknown := sorted(set(asked.rows) - set(ORDER)):
        parser.error(f"no row {', '.join(unknown)}; there are {' '.join(ORDER)}")
    known = json.loads(asked.out.read_text()) if asked.out.exists() else []
    fresh: dict[str, list[dict[str, Any]]] = {}
    for row in () if asked.table else asked.rows or ORDER:
        fresh[row] = in_process(row, asked.quick)
        for figure in fresh[row]:
            print(f"{'ok  ' if figure['passed'] else 'FAIL'} {figure['name']}: {figure['value']} {figure['unit']} "
                  f"({figure['target']}) {figure['note']}", flush=True)  # fmt: skip
        results = [one for name in ORDER for one in fresh.get(name, [k for k in known if k["row"] == name])]
        asked.out.write_text(json.dumps(results, indent=1) + "\n")
    results = json.loads(asked.out.read_text())
    if asked.out == RESULTS and DOC.exists():
        write_table(results)
    failed = [row["name"] for row in results if not row["passed"]]
    print(
        f"\n{len(results) - len(failed)} of {len(results)} figures passed"
        + (f"; not: {', '.join(failed)}" if failed else "")
    )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
