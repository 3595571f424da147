"""Measures every hot path and writes the tables of docs; `make bench` runs it, in about ten minutes.

    python benchmarks/speed.py                       all suites
    python benchmarks/speed.py uplink --quick        some of them, shortened about tenfold
    python benchmarks/speed.py encoders reward       those that train, a quarter of an hour each
    python benchmarks/speed.py --table               only the tables, from what was measured before

Each suite is a script beside this one, runs in a process of its own and writes results/<suite>.json. Use a quiet
machine. The last line names every figure that misses its target; that is no error, a suite that crashed is.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from robot_hil.report.benchmarks import update_page
from robot_hil.report.machine import read_results

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGES = [
    HERE.parent / "docs" / name for name in ("acceptance.md", "performance.md", "simulated_person.md", "suites.md")
]
SUITES = (
    "floors",
    "passes",
    "replay_speed",
    "uplink",
    "learner_speed",
    "backends",
    "profiles",
    "control_period",
    "env_speed",
)
LONG = ("encoders", "reward", "persons", "suites")
"""Suites that are not of speed, most of minutes, run only when they are named."""


def run(suite: str, quick: bool) -> bool:
    """Run one suite, its output passed through; return whether it came to its end."""
    command = [sys.executable, str(HERE / f"{suite}.py"), *(["--quick"] if quick else [])]
    return subprocess.run(command).returncode == 0


def missed(suites: list[str]) -> list[str]:
    """Return the figures of `suites` that miss their targets."""
    rows = [(suite, row) for suite in suites for row in read_results(RESULTS / f"{suite}.json")]
    return [f"{suite}: {row['name']}" for suite, row in rows if row.get("reached") is False]


def main() -> int:
    """Measure, write, say what misses its target; return 1 when a suite crashed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suites", nargs="*", help=f"which; by default {' '.join(SUITES)}; others: {' '.join(LONG)}")
    parser.add_argument("--quick", action="store_true", help="shortened about tenfold, for trying out")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.suites) - {*SUITES, *LONG}):
        parser.error(f"no suite {', '.join(unknown)}; there are {' '.join((*SUITES, *LONG))}")
    suites, crashed = asked.suites or list(SUITES), []
    for index, suite in enumerate(() if asked.table else suites, 1):
        print(f"[{index}/{len(suites)}] {suite}", flush=True)
        begin = time.monotonic()
        if not run(suite, asked.quick):
            crashed.append(suite)
        print(f"      {'crashed' if suite in crashed else 'done'} after {time.monotonic() - begin:.0f} s", flush=True)
    for page in PAGES:
        update_page(page, RESULTS)
        print(f"tables written to {page.relative_to(HERE.parent)}")
    print("misses its target: " + ("; ".join(missed(suites)) or "nothing"))
    if crashed:
        print(f"crashed: {', '.join(crashed)}")
    return int(bool(crashed))


if __name__ == "__main__":
    sys.exit(main())
