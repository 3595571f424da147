"""From the control loop to the learner's replay: steps per second, delay, bytes on the wire, many actors at once.

`python benchmarks/uplink.py` writes benchmarks/results/uplink.json. A step has two 128x128x3 frames, 18 numbers and
7 actions. Every actor is a process of its own; this one is the learner, with its log on disk and a real replay. Spool
and log share a disk here, and actors and learner share the processors: floors are measured between the runs.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from floors import GROUP, RECORD, copy_rate, crc32_rate, sync_rate, sync_times
from timing import seconds_of
from uplink_actor import SPEC, make_steps
from uplink_rig import Run, run

from robot_hil.data import codec
from robot_hil.policies.torch.runtime import prepare_training
from robot_hil.replay.step_log import StepLog
from robot_hil.report.machine import Result, write_results
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.keys import Keys, load_keys, make_keys
from robot_hil.transport.protocol import StepCheck
from robot_hil.transport.uplink import Uplink
from robot_hil.transport.weights import WeightPublisher, WeightSubscriber

RESULTS = Path(__file__).parent / "results" / "uplink.json"
OBSERVATION = sum(int(np.prod(spec.shape)) * np.dtype(spec.dtype).itemsize for spec in SPEC.observation.values())
TOTAL_HZ = 320.0
"""Steps per second of all actors together, where their number is compared."""
ACTORS = (1, 4, 16)
BOTH = ", both disks waited for"
"""Rows of actors that wait for their own disk as well, though the learner's would do."""
LONG = 100_000
"""Steps in the log that is opened."""


def stage_rows(seconds: float) -> list[Result]:
    """Time what is done to one step, each by itself: no other thread, nothing to wait for."""
    step = next(make_steps(1))
    blob = codec.encode(step, actor_id="actor", epoch=1, seq=0)
    check, key = StepCheck(SPEC), codec.peek(blob)
    crc, copy = RECORD / crc32_rate(seconds), RECORD / copy_rate(RECORD, seconds)
    numbers = iter(range(1 << 40))
    rows = []
    with tempfile.TemporaryDirectory() as name, StepLog(Path(name) / "log", sync=False) as log:

        def write() -> None:
            log.append([blob] * GROUP, [replace(key, seq=next(numbers)) for _ in range(GROUP)])

        for label, work, share, floor, note in (
            ("check", lambda: check(step), 1, None, ""),
            ("encode", lambda: codec.encode(step), 1, crc + copy, "floor: crc32 and a copy"),
            ("decode", lambda: codec.decode(blob), 1, crc, "floor: crc32"),
            ("peek", lambda: codec.peek(blob), 1, None, ""),
            (f"write, groups of {GROUP}, nothing synced", write, GROUP, copy, "floor: a copy"),
        ):
            value = float(np.median(seconds_of(work, seconds))) / share
            rows.append(_row(f"stage: {label}, median", value, "us", 1e6, floor=floor, note=note))
    return rows


def open_rows(steps: int) -> list[Result]:
    """Time opening a long log. Steps without images: the last file, which is verified, has as many as it can."""
    first = next(make_steps(1))
    small = {name: first.obs[name] for name in ("state",)}
    with tempfile.TemporaryDirectory() as name:
        with StepLog(Path(name) / "log", sync=False) as log:
            for number in range(0, steps, 1000):
                group = [replace(first, obs=small, epoch=1, seq=number + index) for index in range(1000)]
                log.append([codec.encode(step) for step in group], group)
        begin = time.perf_counter()
        with StepLog(Path(name) / "log") as log:
            value = time.perf_counter() - begin
            if log.info().steps != steps:
                raise SystemExit(f"the log has {log.info().steps} steps of {steps}")
    return [_row(f"open a log of {steps:,} steps without images", value, "s")]


def rate_floor(seconds: float, groups_per_step: int = 1) -> float:
    """Return steps per second that the disk takes, if a step is written to it so many times."""
    with tempfile.TemporaryDirectory() as name:
        return sync_rate(Path(name), seconds, GROUP) / groups_per_step


def commit_floors(seconds: float) -> tuple[float, float]:
    """Return median and 99 % of the time in which the disk takes a single step, as often as it can [s]."""
    with tempfile.TemporaryDirectory() as name:
        times = sync_times(Path(name), seconds, 1)
    return float(np.median(times)), float(np.percentile(times, 99))


def rate_rows(name: str, steps: int, seconds: float, keys: Path | None) -> list[Result]:
    """Send as fast as it goes."""
    rows = []
    for label, sync_after in (("", None), (BOTH, 0.0)):
        floor = rate_floor(seconds, 1 if sync_after is None else 2)
        measured = run(1, steps, keys=keys, sync_after=sync_after)
        note = (
            f"learner {1e6 * measured.cpu:.0f} us, actor {1e6 * measured.actor_cpu:.0f} us of processor time per step"
        )
        target = 2500.0 if keys is None else None
        title = f"{name}: steps durable and acknowledged{label}"
        rows.append(_row(title, measured.rate, "1/s", higher=True, target=target, floor=floor, note=note))
        if sync_after is None:
            rows.append(_row(f"{name}: put as fast as possible, median", np.median(measured.costs), "us", 1e6))
        rows.append(_row(f"{name}: steps lost{label}", measured.lost, "", target=0.0))
    return rows


def delay_rows(name: str, steps: int, seconds: float, keys: Path | None) -> list[Result]:
    """Put steps at the rate of a control loop and time how long each takes to the learner's replay."""
    rows = []
    for hz, sync_after in ((50.0, None), (20.0, None), (50.0, 0.0)):
        usual, worst = commit_floors(2 * seconds)
        measured = run(1, round(steps * hz / 50.0), hz=hz, keys=keys, sync_after=sync_after)
        at = f"{name}: put to replay at {hz:.0f} Hz" + ("" if sync_after is None else BOTH)
        target = 3e-3 if keys is None else None
        rows.append(_row(f"{at}, median", np.median(measured.delays), "ms", 1e3, floor=usual))
        slow = np.percentile(measured.delays, 99)
        rows.append(
            _row(
                f"{at}, 99 %",
                slow,
                "ms",
                1e3,
                target=target,
                floor=worst,
                note="floor: 99 % of bare writes, synced",
            )
        )
        if sync_after is None and hz == 50.0:
            for share in (50, 99):
                cost = float(np.percentile(measured.costs, share))
                rows.append(_row(f"{name}: put at 50 Hz, {share} %", cost, "us", 1e6, target=1e-3))
    return rows


def wire_rows(steps: int) -> list[Result]:
    """Count the bytes that pass, acknowledgements and heartbeats included."""
    measured = run(1, steps, hz=50.0, counted=True)
    both = 2 * OBSERVATION
    note = "floor: each observation once, and the last of every 100 steps"
    floor = 0.5 * (1 + 1 / SPEC.max_episode_steps)
    return [
        _row("wire bytes per transition", measured.wire, "kB", 1e-3),
        _row("wire bytes / (obs + next obs)", measured.wire / both, "", target=0.51, floor=floor, note=note),
    ]


def actor_rows(steps: int, seconds: float, rounds: int) -> list[Result]:
    """Compare the learner's cost per step with 1, 4 and 16 actors, at the same rate in all and as fast as it goes."""
    paced: dict[int, list[Run]] = {count: [] for count in ACTORS}
    flooded: dict[int, list[Run]] = {count: [] for count in ACTORS}
    floor = rate_floor(seconds)
    for _ in range(rounds):  # in turn, so that a busy machine is unfair to none
        for count in ACTORS:
            paced[count].append(run(count, steps // count, hz=TOTAL_HZ / count))
            flooded[count].append(run(count, 2 * steps // count))
    rows = []
    for count in ACTORS:
        cost, fast = (np.median([one.cpu for one in runs[count]]) for runs in (paced, flooded))
        rate = np.median([one.rate for one in flooded[count]])
        actors = f"{count} actor{'s' if count > 1 else ''}"
        rows += [
            _row(f"learner, {actors}, {TOTAL_HZ:.0f} steps per second: processor time per step", cost, "us", 1e6),
            _row(f"learner, {actors}, as fast as it goes: processor time per step", fast, "us", 1e6),
            _row(f"learner, {actors}: steps durable and acknowledged", rate, "1/s", higher=True, floor=floor),
        ]
    for label, runs in ((f"{TOTAL_HZ:.0f} steps per second", paced), ("as fast as it goes", flooded)):
        one, most = (np.median([one.cpu for one in runs[count]]) for count in (ACTORS[0], ACTORS[-1]))
        rows.append(_row(f"learner, cost per step of 16 actors / of 1, {label}", most / one, "", target=1.2, floor=1.0))
    return rows


def wake_rows(name: str, tries: int, keys: Keys | None) -> list[Result]:
    """Time from a larger budget until a simulated actor that waits for it goes on."""
    wakes = []
    with (
        tempfile.TemporaryDirectory() as folder,
        StepLog(Path(folder) / "log") as log,
        IngestServer(log, SPEC, run_id="benchmark", endpoint="tcp://127.0.0.1:*", keys=keys) as server,
        Uplink(Path(folder) / "spool", SPEC, endpoint=server.endpoint, keys=keys) as uplink,
    ):
        uplink.wait_welcome(10)
        for budget in range(tries):
            server.set_progress(step_budget=budget)
            uplink.put(next(make_steps(1)))
            while uplink.may_step() or uplink.info().unacked:
                time.sleep(0.001)
            begun = [0.0]

            def allow(budget: int = budget, begun: list[float] = begun) -> None:
                begun[0] = time.perf_counter()
                server.set_progress(step_budget=budget + 2)

            timer = threading.Timer(0.01, allow)
            timer.start()
            if not uplink.throttle(5):
                raise SystemExit(f"the actor was not woken in try {budget}")
            wakes.append(time.perf_counter() - begun[0])
            timer.join()
    return [_row(f"{name}: waking a waiting actor, median", np.median(wakes), "ms", 1e3)]


def weight_rows(name: str, tries: int, keys: Keys | None) -> list[Result]:
    """Time one set of weights, 4 MB, from publish to usable."""
    params = {f"layer{i}": np.random.default_rng(i).normal(size=(256, 1024)).astype(np.float32) for i in range(4)}
    times = []
    with (
        WeightPublisher(endpoint="tcp://127.0.0.1:*", keys=keys) as publisher,
        WeightSubscriber(endpoint=publisher.endpoint, keys=keys) as subscriber,
    ):
        for version in range(tries):
            start = time.perf_counter()
            publisher.publish(version, params)
            if subscriber.wait(version - 1, 10) is None:
                raise SystemExit("weights did not arrive")
            times.append(time.perf_counter() - start)
    return [_row(f"{name}: 4 MB of weights, median", np.median(times), "ms", 1e3)]


def _row(
    name: str,
    value: float,
    unit: str,
    scale: float = 1.0,
    *,
    higher: bool = False,
    target: float | None = None,
    floor: float | None = None,
    note: str = "",
) -> Result:
    """Return a result in `unit`, which is 1 / `scale` of what value, target and floor are given in."""
    result = Result(
        name=name,
        value=round(scale * float(value), 4),
        unit=unit,
        higher_is_better=higher,
        target=None if target is None else scale * target,
        floor=None if floor is None else round(scale * floor, 4),
        note=note,
    )
    goal = "" if result.target is None else f"   target {result.target:g}"
    limit = "" if result.floor is None else f"   floor {result.floor:.4g}"
    print(f"{name:75} {result.value:>10.3f} {unit}{goal}{limit}", flush=True)
    return result


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the steps")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--only", choices=("stages", "open", "rate", "delay", "wire", "actors", "wake", "weights"))
    args = parser.parse_args()
    size, seconds = (0.1, 0.1) if args.quick else (1.0, 0.5)
    prepare_training(1)  # the learner's process keeps freed memory, as in a run
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys"
        make_keys(path)
        parts: dict[str, list[Callable[[], list[Result]]]] = {
            "stages": [lambda: stage_rows(seconds)],
            "open": [lambda: open_rows(round(LONG * size))],
            "wire": [lambda: wire_rows(max(200, round(1000 * size)))],
            "actors": [lambda: actor_rows(max(480, round(4800 * size)), seconds, 1 if args.quick else 3)],
        }
        for name, keys in (("plain", None), ("curve", path)):
            loaded = None if keys is None else load_keys(keys)
            for part, work in (
                ("rate", lambda n=name, k=keys: rate_rows(n, round(20_000 * size), seconds, k)),
                ("delay", lambda n=name, k=keys: delay_rows(n, round(1500 * size), seconds, k)),
                ("wake", lambda n=name, k=loaded: wake_rows(n, round(100 * size), k)),
                ("weights", lambda n=name, k=loaded: weight_rows(n, round(30 * size), k)),
            ):
                parts.setdefault(part, []).append(work)
        results = [
            row for part, works in parts.items() if args.only in (None, part) for work in works for row in work()
        ]
    if args.only is None:
        args.out.unlink(missing_ok=True)  # rows of earlier names
    write_results(args.out, results)


if __name__ == "__main__":
    main()
