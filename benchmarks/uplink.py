"""How fast steps become durable on the learner's disk and acknowledged, with and without encryption.

`python benchmarks/uplink.py` writes benchmarks/results/uplink.json. A step has two 128x128x3 frames and 18 numbers.
"""

import datetime
import json
import os
import platform
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from robot_hil.data import codec
from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.data.step import Step
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.keys import Keys, make_keys
from robot_hil.transport.uplink import Uplink
from robot_hil.transport.weights import WeightPublisher, WeightSubscriber

STEPS = 1000
PACED = 200
WAKES = 100
RESULTS = Path(__file__).parent / "results" / "uplink.json"
SPEC = EnvSpec(
    env_id="benchmark/Pixels-v0",
    observation={
        "front": ArraySpec(shape=(128, 128, 3), dtype="uint8"),
        "wrist": ArraySpec(shape=(128, 128, 3), dtype="uint8"),
        "state": ArraySpec(shape=(18,)),
    },
    action=ArraySpec(shape=(7,), low=-1.0, high=1.0),
    control_hz=20.0,
    max_episode_steps=100,
)


def make_step(index: int) -> Step:
    """Make a step with random pixels."""
    rng = np.random.default_rng(index)
    action = SPEC.action.sample(rng)
    return Step(
        obs={name: spec.sample(rng) for name, spec in SPEC.observation.items()},
        action_policy=action,
        action_human=np.full(7, np.nan, np.float32),
        action_executed=action,
        authority=np.zeros(7, np.uint8),
        reward={"env": 0.0},
        terminated=False,
        truncated=False,
        success=False,
        episode_id=0,
        step_index=index,
    )


def main() -> None:
    """Measure and write the results."""
    rows = codec_rows()
    for name, encrypted in (("plain", False), ("curve", True)):
        with tempfile.TemporaryDirectory() as folder:
            keys = make_keys(Path(folder) / "keys") if encrypted else None
            rows += uplink_rows(name, Path(folder), keys)
            rows += weight_rows(name, keys)
    stamp = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=RESULTS.parent.parent, capture_output=True, text=True
        ).stdout.strip(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([row | stamp for row in rows], indent=1) + "\n")
    for row in rows:
        target = f"   target {row['target']}" if row["target"] else ""
        print(f"{row['name']:45} {row['value']:>10} {row['unit']}{target}")


def codec_rows() -> list[dict[str, object]]:
    """Time encoding and decoding one step."""
    step = make_step(0)
    blob = codec.encode(step)
    rows = []
    for name, work in (
        ("encode", lambda: codec.encode(step)),
        ("decode", lambda: codec.decode(blob)),
        ("peek", lambda: codec.peek(blob)),
    ):
        times = []
        for _ in range(500):
            start = time.perf_counter()
            work()
            times.append(time.perf_counter() - start)
        rows.append(_row(f"codec {name}, median", np.median(times) * 1e6, "us"))
    return rows


def uplink_rows(name: str, folder: Path, keys: Keys | None) -> list[dict[str, object]]:
    """Send steps through both disks; then time how long a waiting actor takes to wake."""
    steps = [make_step(index) for index in range(STEPS)]
    costs, wakes, total = [], [], STEPS + PACED
    with (
        StepLog(folder / "log") as log,
        IngestServer(log, SPEC, run_id="benchmark", endpoint="tcp://127.0.0.1:*", keys=keys) as server,
        Uplink(folder / "spool", SPEC, endpoint=server.endpoint, keys=keys) as uplink,
    ):
        uplink.wait_welcome(10)
        begin = time.perf_counter()
        for step in steps:
            start = time.perf_counter()
            uplink.put(step)
            costs.append(time.perf_counter() - start)
        if not uplink.flush(120):
            raise SystemExit(f"not everything was acknowledged: {uplink.info()}")
        seconds = time.perf_counter() - begin
        server.drain()
        paced = []
        for step in steps[:PACED]:
            time.sleep(0.02)
            start = time.perf_counter()
            uplink.put(step)
            paced.append(time.perf_counter() - start)
        uplink.flush(120)
        server.drain()
        for index in range(WAKES):
            server.set_progress(step_budget=total)
            while uplink.progress.step_budget != total:
                time.sleep(0.001)
            begun = [0.0]

            def allow(begun: list[float] = begun) -> None:
                begun[0] = time.perf_counter()
                server.set_progress(step_budget=total + 1)

            timer = threading.Timer(0.01, allow)
            timer.start()
            if not uplink.throttle(5):
                raise SystemExit(f"the actor was not woken in try {index}")
            wakes.append(time.perf_counter() - begun[0])
            timer.join()
        lost = log.info().lost + total - log.info().steps
    return [
        _row(f"{name}: steps durable and acknowledged", STEPS / seconds, "1/s", ">= 400"),
        _row(f"{name}: put as fast as possible, median", np.median(costs) * 1e6, "us", "< 1000"),
        _row(f"{name}: put at 50 Hz, median", np.median(paced) * 1e6, "us", "< 1000"),
        _row(f"{name}: put at 50 Hz, 99 %", np.percentile(paced, 99) * 1e6, "us", "< 1000"),
        _row(f"{name}: waking a waiting actor, median", np.median(wakes) * 1e3, "ms", "about 1"),
        _row(f"{name}: steps lost", lost, "", "0"),
    ]


def weight_rows(name: str, keys: Keys | None) -> list[dict[str, object]]:
    """Time one set of weights, 4 MB, from publish to usable."""
    params = {f"layer{i}": np.random.default_rng(i).normal(size=(256, 1024)).astype(np.float32) for i in range(4)}
    times = []
    with (
        WeightPublisher(endpoint="tcp://127.0.0.1:*", keys=keys) as publisher,
        WeightSubscriber(endpoint=publisher.endpoint, keys=keys) as subscriber,
    ):
        for version in range(30):
            start = time.perf_counter()
            publisher.publish(version, params)
            if subscriber.wait(version - 1, 10) is None:
                raise SystemExit("weights did not arrive")
            times.append(time.perf_counter() - start)
    return [_row(f"{name}: 4 MB of weights, median", np.median(times) * 1e3, "ms")]


def _row(name: str, value: float, unit: str, target: str = "") -> dict[str, object]:
    return {"name": name, "value": round(float(value), 2), "unit": unit, "target": target}


if __name__ == "__main__":
    main()
