"""Whether `--backend auto` takes the faster one: the choices of `policies/measured.py` against the other backend.

`python benchmarks/backends.py` times rounds of the agents by both backends in turns and writes
benchmarks/results/backends.json. A figure below 1 says that a choice there should be the other way round; change it
by hand, from a figure of a quiet machine. With one backend installed there is nothing to compare.
"""

import argparse
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from learner_cases import FLOAT32, PIXEL_CASES, STATE_CASES, Case, write_trunk
from learner_speed import BACKENDS, Rounds, busy, prepare
from timing import CpuUse, in_turns

from robot_hil.policies.registry import choose
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "backends.json"
CASES = (STATE_CASES[0], STATE_CASES[3], *PIXEL_CASES)


def compare(case: Case, seconds: float) -> Result:
    """Time rounds of `case` by both backends; the row says how many times as long the one that is not taken needs."""
    rounds = {backend: Rounds(case, backend, FLOAT32) for backend in BACKENDS}
    use = CpuUse()
    medians = {name: float(np.median(times)) for name, times in in_turns(rounds, seconds).items()}
    taken = choose("auto", case.config, any(array.is_image for array in case.observation.values()))
    (other,) = set(BACKENDS) - {taken}
    first = ", ".join(f"{name} {one.first_s:.0f} s" for name, one in rounds.items())
    both = ", ".join(f"{name} {1e3 * took:.1f} ms" for name, took in medians.items())
    return Result(
        name=f"{case.name}: {taken}, against {other}",
        value=medians[other] / medians[taken],
        unit="times as fast",
        higher_is_better=True,
        target=1.0,
        note=f"{both}; first call {first}; {busy(use)}",
    )


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two agents, half a second of each backend")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    if missing := [name for name in BACKENDS if find_spec(name) is None]:
        print(f"nothing to compare: {', '.join(missing)} is not installed")
        return
    write_trunk()
    prepare(list(BACKENDS))
    results = []
    for case in CASES[:2] if args.quick else CASES:
        results.append(compare(case, 0.5 if args.quick else 4.0))
        print(f"{results[-1].name}: {results[-1].value:.2f} ({results[-1].note})", flush=True)
    write_results(args.out, results)


if __name__ == "__main__":
    main()
