"""Whether `--backend auto` takes the faster one: the choices of `policies/measured.py` against the other backend.

`python benchmarks/backends.py` compares the rows of results/learner_speed.json and writes results/backends.json. A
figure below 1 says that a choice there should be the other way round; change it by hand, from figures of a quiet
machine. What only one backend has rows of is left out.
"""

import argparse
from pathlib import Path

from learner_cases import FLOAT32, PIXEL_CASES, STATE_CASES, Case
from learner_speed import BACKENDS

from robot_hil.policies.registry import choose
from robot_hil.report.machine import Result, read_results, write_results

HERE = Path(__file__).parent / "results"


def compare(case: Case, rates: dict[str, float]) -> Result | None:
    """Say how many times as long the backend that is not taken needs for a round of `case`; `rates` are by row."""
    found = {name: rates.get(f"{case.name}, {FLOAT32}, {name}") for name in BACKENDS}
    taken = choose("auto", case.config, any(array.is_image for array in case.observation.values()))
    (other,) = set(BACKENDS) - {taken}
    mine, others = found[taken], found[other]
    if mine is None or others is None:
        return None
    return Result(
        name=f"{case.name}: {taken}, against {other}",
        value=mine / others,
        unit="times as fast",
        higher_is_better=True,
        target=1.0,
        note=", ".join(f"{name} {1e3 / rate:.1f} ms" for name, rate in found.items() if rate),
    )


def main() -> None:
    """Compare, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="as always: this only reads")
    parser.add_argument("--out", type=Path, default=HERE / "backends.json")
    args = parser.parse_args()
    rates = {row["name"]: row["value"] for row in read_results(HERE / "learner_speed.json")}
    compared = [compare(case, rates) for case in STATE_CASES + PIXEL_CASES]
    results = [row for row in compared if row is not None]
    for row in results:
        print(f"{row.name}: {row.value:.2f} ({row.note})", flush=True)
    write_results(args.out, results)


if __name__ == "__main__":
    main()
