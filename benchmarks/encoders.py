"""What a cached encoding costs and whether it teaches as much as fresh augmentation.

    python benchmarks/encoders.py            # cost, then learning on the test seeds 0, 1, 2: about 15 minutes
    python benchmarks/encoders.py --quick    # cost, and one short run of each kind
    python benchmarks/encoders.py --only cost

Rows go to benchmarks/results/encoders.json; use a quiet machine.

Cost: a frozen ResNet-10 with random weights (speed does not depend on what it has learnt), two cameras of 128x128
pixels. Learning: pick_cube from its two cameras, the small encoder frozen after the warm start in either case;
`cached` draws one of eight shifted views that were encoded once, `fresh` (views=0) shifts and encodes the images anew
in every update. All else is equal, seeds included; runs are made two at a time, each with one thread, and end after
so many steps, so that both kinds have learnt from as much. Tuning used seed 100 and above.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flops
import numpy as np
from floors import conv_rate
from learner_cases import CAMERAS, PIXEL_CASES, STATE, TRUNK_FILE, batches, spec_with, write_trunk
from timing import CpuUse, seconds_of

from robot_hil.policies.config import HilSerlConfig, TrunkConfig
from robot_hil.policies.registry import make_agent
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.report.machine import Result, write_results
from robot_hil.report.summary import SUMMARY_FILE

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "encoders.json"
RUNS = ROOT / "runs" / "encoders"
BACKENDS = ("torch", "jax")
ARMS = {"cached, 8 views": 8, "fresh": 0}
"""Name -> views."""
OPTIONS = (
    "--learner.batch-size", "128", "--goal.settle-episodes", "0", "--goal.check-episodes", "0",
)  # fmt: skip
RAW = 2 * 128 * 128 * 3


def config_of(views: int, together: int = 1) -> HilSerlConfig:
    """Return the agent of which the cost is measured."""
    trunk = TrunkConfig(file=TRUNK_FILE, frames_per_call=together)
    return HilSerlConfig(critic_to_actor=1, trunk=trunk, views=views)


def encoding(backend: str, seconds: float) -> list[Result]:
    """Time what a frame takes on its way into the replay: both cameras, all views."""
    spec = spec_with(STATE | CAMERAS)
    rng = np.random.default_rng(0)
    rows = []
    for views, together in ((1, 1), (4, 1), (8, 1), (4, 8)):
        agent = make_agent(config_of(views, together), backend, device="cpu")
        state = agent.init(spec, 0)
        prepared = agent.prepare({name: array.sample(rng) for name, array in spec.observation.items()})
        frames = {"stacked_images": np.repeat(prepared["stacked_images"][None], together, 0)}
        use = CpuUse()
        times = seconds_of(lambda a=agent, s=state, f=frames: a.encode(s, f), seconds)  # type: ignore[misc]
        rate = conv_rate(seconds / 4)
        work = flops.residual(side=128, images=2 * views)
        stolen, others = use.shares()
        rows.append(
            Result(
                name=f"encoding a frame, two cameras, ResNet-10, {views} views, {together} at a time, {backend}",
                value=1e3 * float(np.median(times)) / together,
                unit="ms",
                higher_is_better=False,
                floor=1e3 * work.convolutions / rate,
                note=f"best {1e3 * min(times) / together:.1f}; host took {stolen:.0%}, others {others:.0%}",
            )
        )
        tell(rows[-1])
    return rows


def memory() -> list[Result]:
    """Count what the replay keeps of a frame and its step."""
    spec = spec_with(STATE | CAMERAS)
    rows = []
    for views in (0, 1, 2, 4, 8):
        agent = make_agent(config_of(views), "torch", device="cpu")
        agent.bind(spec)
        replay = ReplayBuffer(agent.stored(spec), spec.action.shape[0], 64)
        what = f"{views} cached views" if views else "raw images"
        rows.append(
            Result(
                name=f"memory of a frame, two 128x128 cameras, ResNet-10, {what}",
                value=float(replay.bytes_per_slot),
                unit="B",
                higher_is_better=False,
                floor=float(views * 2 * 16 * 512 * 2 if views else RAW),
                note="with its state, action and facts; floor: the maps in half precision, or the pixels",
            )
        )
        tell(rows[-1])
    return rows


def updating(backend: str, seconds: float) -> Result:
    """Time full updates from cached maps."""
    case = PIXEL_CASES[0]
    spec = spec_with(case.observation)
    agent = make_agent(config_of(4), backend, device="cpu")
    state = agent.init(spec, 0)
    batch = batches(agent, spec, case.rows, count=1)[0]
    use = CpuUse()
    times = seconds_of(lambda: agent.update(state, batch), seconds)
    stolen, others = use.shares()
    row = Result(
        name=f"full update, batch 256, two 128x128 cameras, cached ResNet-10, {backend}",
        value=1.0 / float(np.median(times)),
        unit="1/s",
        higher_is_better=True,
        target=12.0,
        others=case.others,
        note=f"best {1 / min(times):.1f}; host took {stolen:.0%}, others {others:.0%}; floor: see learner_speed.json",
    )
    tell(row)
    return row


def tell(row: Result) -> None:
    """Print a row."""
    floor = "" if row.floor is None else f", floor {row.floor:.1f}"
    print(f"{row.name}: {row.value:.1f} {row.unit}{floor}; {row.note}", flush=True)


# Learning ------------------------------------------------------------------------------------------------------


def start(arm: str, seed: int, steps: int, episodes: int) -> tuple[Path, "subprocess.Popen[bytes]"]:
    """Start one run, from scratch, in a process and a thread of its own."""
    out = RUNS / f"{ARMS[arm]}-views-{seed}-{steps}"
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    options = [
        "pick_cube", "--in-process", "--seed", str(seed), "--out", str(out), "--agent.views", str(ARMS[arm]),
        "--goal.max-env-steps", str(steps), "--goal.max-train-s", "100000", "--eval-episodes", str(episodes), *OPTIONS,
    ]  # fmt: skip
    command = [sys.executable, "-m", "robot_hil.cli.main", "train", *options]
    with (out.parent / f"{out.name}.log").open("wb") as log:
        single = {**os.environ, "OMP_NUM_THREADS": "1"}
        return out, subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=single)


def learning(seeds: Sequence[int], steps: int, episodes: int) -> list[Result]:
    """Make all runs, both kinds of a seed side by side; return their rows and the difference of the means."""
    rows: list[Result] = []
    found: dict[str, list[float]] = {arm: [] for arm in ARMS}
    for seed in seeds:
        begin = time.perf_counter()
        for arm, (out, process) in {arm: start(arm, seed, steps, episodes) for arm in ARMS}.items():
            if process.wait():
                raise SystemExit(f"the run in {out} failed; see {out}.log")
            summary = json.loads((out / SUMMARY_FILE).read_text())
            found[arm].append(float(summary["success_rate"]))
            rows += rows_of(f"pick_cube, {arm}, seed {seed}, {steps} steps", summary)
        print(f"seed {seed}: {({arm: values[-1] for arm, values in found.items()})}, "
              f"{time.perf_counter() - begin:.0f} s", flush=True)  # fmt: skip
    means = {arm: float(np.mean(values)) for arm, values in found.items()}
    cached, fresh = (means[arm] for arm in ARMS)
    spread = float(np.sqrt(sum(np.var(values, ddof=1) / len(values) for values in found.values()))) if seeds[1:] else 0
    rows.append(
        Result(
            name=f"pick_cube, {steps} steps: success with cached views less that with fresh ones",
            value=cached - fresh,
            unit="share",
            higher_is_better=True,
            note=f"{cached:.2f} and {fresh:.2f}, seeds {list(seeds)}, {episodes} trials each; standard error of the "
            f"difference over seeds {spread:.2f}",
        )
    )
    tell(rows[-1])
    return rows


def rows_of(label: str, summary: dict[str, Any]) -> list[Result]:
    """Turn one summary into rows."""
    wanted: list[tuple[str, str, bool]] = [
        ("success_rate", "share", True),
        ("env_steps_to_95", "steps", False),
        ("env_steps", "steps", False),
        ("human_steps", "steps", False),
        ("cycle_steps", "steps per success", False),
        ("updates_per_s", "1/s", True),
    ]
    return [
        Result(name=f"{label}: {key}", value=summary[key], unit=unit, higher_is_better=up) for key, unit, up in wanted
    ]


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("cost", "learning"))
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--steps", type=int, help="environment steps of a run")
    parser.add_argument("--episodes", type=int, help="trials of the learnt policy")
    args = parser.parse_args()
    if args.only != "learning":
        write_trunk()
        seconds = 1.0 if args.quick else 4.0
        write_results(RESULTS, [*memory(), *(row for b in BACKENDS for row in encoding(b, seconds))])
        write_results(RESULTS, [updating(backend, seconds) for backend in BACKENDS])
    if args.only != "cost":
        seeds = args.seeds or ([0] if args.quick else [0, 1, 2])
        steps = args.steps or (200 if args.quick else 350)
        write_results(RESULTS, learning(seeds, steps, args.episodes or (10 if args.quick else 50)))


if __name__ == "__main__":
    main()
