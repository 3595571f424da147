"""How fast agents learn and act on this machine, with every backend that is installed; use a quiet machine.

`python benchmarks/learner_speed.py` writes benchmarks/results/learner_speed.json, each backend from a process of its
own; bfloat16 only where the processor has it. Batches are made beforehand: this is
the agent alone, a whole call of `Agent.update`, which ends when the numbers are there. Variants take turns, together
with the products and convolutions from whose rates the floors come (`flops.py` counts). Acting includes scaling the
images down; it is measured in a process of its own that has one core.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from floors import conv_flop, conv_rate, conv_work, product_work
from learner_cases import ACTING, BFLOAT16, FLOAT32, PIXEL_CASES, STATE_CASES, Case, batches, spec_with, write_trunk
from timing import CpuUse, in_turns, seconds_of

from robot_hil.policies.registry import make_agent
from robot_hil.policies.runtime import keep_freed_memory
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "learner_speed.json"
BACKENDS = ("torch", "jax")
THREADS = 2


class Rounds:
    """Rounds of one agent, one per call."""

    def __init__(self, case: Case, backend: str, precision: str) -> None:
        self.case, self.backend, self.precision = case, backend, precision
        spec = spec_with(case.observation)
        self._agent = make_agent(replace(case.config, precision=precision), backend=backend, device="cpu")
        self._state = self._agent.init(spec, 0)
        self._parts = itertools.cycle(batches(self._agent, spec, case.rows * self._agent.updates_per_round))
        begin = time.perf_counter()
        self()
        self.first_s = time.perf_counter() - begin

    def __call__(self) -> None:
        self._state, _ = self._agent.update(self._state, next(self._parts))

    @property
    def name(self) -> str:
        """Name of its row."""
        return f"{self.case.name}, {self.precision}, {self.backend}"

    def result(self, times: list[float], product_rate: float, convolution_rate: float, note: str) -> Result:
        """Return its row."""
        goal = self.case.targets.get(self.precision)
        return Result(
            name=self.name,
            value=1.0 / float(np.median(times)),
            unit="1/s",
            higher_is_better=True,
            target=goal,
            floor=1.0 / self.case.work.seconds(product_rate, convolution_rate),
            others=self.case.others if self.precision == FLOAT32 else "",
            note=f"best {1.0 / min(times):.1f}, first call {self.first_s:.1f} s; {note}",
        )


def learning(cases: tuple[Case, ...], precisions: tuple[str, ...], backends: list[str], seconds: float) -> list[Result]:
    """Time rounds of all cases in turns; print and return a row for each."""
    rounds = []
    for case, precision, backend in itertools.product(cases, precisions, backends):
        rounds.append(Rounds(case, backend, precision))
        print(f"  made {rounds[-1].name} ({rounds[-1].first_s:.1f} s)", flush=True)
    use = CpuUse()
    size, batch = 256, 10
    kinds = [kind for kind in (FLOAT32, BFLOAT16) if kind == FLOAT32 or computes_bfloat16()]
    works = {f"product {kind}": product_work(size, batch, kind) for kind in kinds}
    works |= {f"convolution {kind}": conv_work(kind) for kind in kinds}
    times = in_turns(works | {one.name: one for one in rounds}, seconds)
    products = {kind: 2.0 * batch * size**3 / min(times[f"product {kind}"]) for kind in kinds}
    convolutions = {kind: conv_flop() / min(times[f"convolution {kind}"]) for kind in kinds}
    note = f"{THREADS} threads; {busy(use)}"
    results = []
    for one in rounds:
        kind = one.precision if one.precision in kinds else FLOAT32
        told = note if kind == one.precision else f"{note}; this processor has no instructions for bfloat16"
        results.append(one.result(times[one.name], products[kind], convolutions[kind], told))
    for row in results:
        print(
            f"{row.name:100s} {row.value:9.2f} 1/s, target {row.target}, floor {row.floor:.0f}; {row.note}", flush=True
        )
    return results


def acting(backend: str, seconds: float) -> None:
    """Keep to one core; print median, 99th percentile and floor of the time of one action [ms] as a line of JSON."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # before a library makes its threads
    rate = 0.0
    if find_spec("torch") is not None:
        import torch

        torch.set_num_threads(1)
        rate = conv_rate(seconds / 4)
    rng, rows = np.random.default_rng(0), []
    for case in ACTING:
        spec = spec_with(case.observation)
        agent = make_agent(case.config, backend=backend, device="cpu")
        actor = agent.load_actor(agent.actor_params(agent.init(spec, 0)))
        views = itertools.cycle([{n: a.sample(rng) for n, a in spec.observation.items()} for _ in range(16)])
        for _ in range(50):
            agent.act(actor, next(views), False, rng)
        times = seconds_of(lambda a=agent, p=actor, v=views: a.act(p, next(v), False, rng), seconds)
        floor = 1e3 * case.work.convolutions / rate if rate and case.work.convolutions else None
        rows.append((*(1e3 * np.percentile(times, [50, 99])), floor))
    print(json.dumps(rows))


def acting_rows(backend: str, seconds: float) -> list[Result]:
    """Measure `acting` in a process of its own."""
    command = [sys.executable, __file__, "--acting", backend, "--seconds", str(seconds)]
    use = CpuUse()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    note = f"one core; {busy(use)}"
    results = []
    for case, (median, worst, floor) in zip(ACTING, json.loads(done.stdout.splitlines()[-1]), strict=True):
        same: dict[str, Any] = {"unit": "ms", "higher_is_better": False, "floor": floor, "note": note}
        name = f"one action, {case.name}"
        results.append(Result(name=f"{name}, median, {backend}", value=median, others=case.others, **same))
        results.append(Result(name=f"{name}, 99 %, {backend}", value=worst, target=case.target_ms, **same))
        print(f"{name}, {backend}: median {median:.3f} ms, 99 % {worst:.3f} ms, target {case.target_ms}", flush=True)
    return results


def computes_bfloat16() -> bool:
    """Tell whether this processor multiplies bfloat16 itself; False where nothing says so."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def busy(use: CpuUse) -> str:
    """Return who else had the processors."""
    steal, others = use.shares()
    return f"stolen {steal:.0%}, other processes {others:.0%}"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cases in float32, half a second of each")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=("state", "pixels", "acting"), help="a part; its rows replace the older ones")
    parser.add_argument("--backend", choices=BACKENDS, help="one alone")
    parser.add_argument(
        "--precision", choices=(FLOAT32, BFLOAT16), help="one alone; by default bfloat16 where the processor has it"
    )
    parser.add_argument("--acting", choices=BACKENDS, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    seconds = args.seconds or (0.5 if args.quick else 4.0)
    if args.acting:
        acting(args.acting, seconds)
        return
    for missing in sorted(name for name in BACKENDS if find_spec(name) is None):
        print(f"{missing} is not installed: its rows are left out")
    for backend in (name for name in BACKENDS if find_spec(name) and args.backend in (None, name)):
        if args.backend is None:  # threads of the two would meet
            subprocess.run([sys.executable, __file__, *sys.argv[1:], "--backend", backend], check=True)
        else:
            write_results(args.out, rows_of(backend, args.only, args.precision, seconds, args.quick))


def rows_of(backend: str, only: str | None, precision: str | None, seconds: float, quick: bool) -> list[Result]:
    """Measure all that is asked for of one backend."""
    write_trunk()
    prepare(backend)
    results = []
    precisions = (precision,) if precision else (FLOAT32,)
    if not precision and computes_bfloat16() and not quick:
        precisions = (FLOAT32, BFLOAT16)
    for part, cases in (("state", STATE_CASES), ("pixels", PIXEL_CASES)):
        if only in (None, part):
            results += learning((cases[0], cases[-1]) if quick else cases, precisions, [backend], seconds)
    return results + (acting_rows(backend, seconds) if only in (None, "acting") else [])


def prepare(backend: str) -> None:
    """Set this process up as the learner does."""
    keep_freed_memory()
    if backend == "torch":
        from robot_hil.policies.torch.runtime import prepare_training

        prepare_training(THREADS)


if __name__ == "__main__":
    main()
