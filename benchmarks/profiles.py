"""Where the time of an update goes: shares of products, convolutions and passes over activations, per backend.

`python benchmarks/profiles.py` traces rounds of some agents on one core with the profilers of torch and jax and writes
benchmarks/results/profiles.json. Only computing counts: not Python, not the calls. jax's library of fused products is
switched off for it, as its names do not tell products from sums; rounds take about as long without.
"""

import argparse
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

from learner_cases import FLOAT32, PIXEL_CASES, STATE_CASES
from learner_speed import BACKENDS, Rounds, prepare

from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "profiles.json"
CASES = (STATE_CASES[0], STATE_CASES[1], *PIXEL_CASES[:2])
KINDS = {
    "products": ("dot", "aten::mm", "aten::bmm", "aten::addmm", "aten::baddbmm", "aten::matmul", "_Column"),
    "convolutions": ("conv", "aten::mkldnn_convolution", "aten::convolution", "aten::_slow_conv", "aten::thnn"),
    "moving and converting": ("copy", "transpose", "wrapped_convert", "concatenate", "aten::copy_", "aten::cat"),
    "sums along an axis": ("wrapped_reduce", "reduce", "aten::sum", "aten::mean", "aten::native_layer_norm"),
}
"""Kind -> beginnings of operations' names in either library; all else is point by point."""
REST = "point by point, Adam"


def kind_of(name: str) -> str:
    """Return the kind of an operation."""
    return next((kind for kind, begin in KINDS.items() if name.startswith(begin)), REST)


def traced_jax(rounds: Rounds, count: int) -> Counter[str]:
    """Return the time [us] of every operation of the compiled routine, by name."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, create_perfetto_trace=True):
            for _ in range(count):
                rounds()
        (file,) = glob.glob(f"{folder}/**/perfetto_trace.json.gz", recursive=True)
        with gzip.open(file) as stream:
            events = json.load(stream)["traceEvents"]
    spent: Counter[str] = Counter()
    for event in events:
        if event.get("ph") == "X" and "hlo_op" in event.get("args", {}):
            spent[event["name"]] += event["dur"]
    return spent


def traced_torch(rounds: Rounds, count: int) -> Counter[str]:
    """Return the time [us] of every operation without those that it calls, by name."""
    import torch

    torch.set_num_threads(1)  # two on one core would wait for each other
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(count):
            rounds()
    return Counter({event.key: event.self_cpu_time_total for event in profile.key_averages()})


def shares(backend: str, count: int) -> list[Result]:
    """Trace all cases with one backend."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # what waits for another thread is not computing
    prepare(backend)
    trace = traced_jax if backend == "jax" else traced_torch
    results = []
    for case in CASES:
        rounds = Rounds(case, backend, FLOAT32)
        for _ in range(3):
            rounds()
        spent = trace(rounds, count)
        total = sum(spent.values())
        by_kind: Counter[str] = Counter()
        for name, time_us in spent.items():
            by_kind[kind_of(name)] += time_us
        note = f"of {total / count / 1e3:.1f} ms per round on one core, traced"
        for kind in (*KINDS, REST):
            if by_kind[kind]:
                row = f"{case.name}, {backend}: {kind}"
                results.append(
                    Result(name=row, value=by_kind[kind] / total, unit="share", higher_is_better=False, note=note)
                )
                print(f"{row:110s} {by_kind[kind] / total:5.0%} {note}", flush=True)
    return results


def main() -> None:
    """Trace, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three rounds in place of twenty")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--backend", choices=BACKENDS, help="one alone")
    args = parser.parse_args()
    for backend in (name for name in BACKENDS if find_spec(name) and args.backend in (None, name)):
        if args.backend is None:
            flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_experimental_ynn_fusion_type="
            command = [sys.executable, __file__, *sys.argv[1:], "--backend", backend]
            subprocess.run(command, check=True, env=os.environ | {"XLA_FLAGS": flags.strip()})
        else:
            write_results(args.out, shares(backend, 3 if args.quick else 20))


if __name__ == "__main__":
    main()
