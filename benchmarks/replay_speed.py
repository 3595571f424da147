"""How fast the replay buffer takes steps in and gives batches out, beside what this machine's memory can do.

`python benchmarks/replay_speed.py` writes benchmarks/results/replay_speed.json. Every figure is taken in turn with its
floor, the bare copy of the same bytes, so that a busy machine slows both alike; both are medians. Takes a minute and
`--slots` x 98.6 kB of memory, and two gigabytes more.
"""

import argparse
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from floors import FRAME, RECORD, aligned
from replay_works import (
    ACTION_DIM,
    BATCH,
    CAMERAS,
    CHUNK,
    EPISODE,
    FEATURES,
    STATE,
    TOGETHER,
    Copying,
    Inserting,
    gathering,
    medians,
    sampling,
    steps,
)
from timing import CpuUse

from robot_hil.data.step import Segment, Step
from robot_hil.methods.anchored import Anchored
from robot_hil.methods.hil_serl import HilSerl
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.report.machine import Result, write_results

RESULTS = Path(__file__).parent / "results" / "replay_speed.json"
INSERT_TARGET, SAMPLE_TARGET, STATE_TARGET, BYTES_TARGET = 20_000, 190, 600, 98_600
SAMPLE_OTHERS, MEMORY_OTHERS = "HIL-SERL 147, LeRobot 11.6", "HIL-SERL 98,500, LeRobot 393,000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is measured."""

    slots: int
    seconds: float
    """Of each comparison."""


def first_inserts(buffer: ReplayBuffer, some: Sequence[Step]) -> Result:
    """Fill the buffer, the first gigabyte in turn with bare copies into memory as new as the buffer's."""
    chunks = min(len(some), 10_000) // CHUNK
    copy = Copying(np.empty((2 * CHUNK * (chunks + 1), FRAME), np.uint8), some)
    own, bare = [], []
    for i in range(chunks):
        begin = time.perf_counter()
        for step in some[i * CHUNK : (i + 1) * CHUNK]:
            buffer.add(step)
        own.append(time.perf_counter() - begin)
        copy()
        bare.append(time.perf_counter() - begin - own[-1])
    for step in some[chunks * CHUNK :]:
        buffer.add(step)
    return Result(
        name="insert, two 128x128 cameras, memory first touched",
        value=CHUNK / float(np.median(own)),
        unit="1/s",
        higher_is_better=True,
        floor=CHUNK / float(np.median(bare)),
        note="the system makes memory when it is first written; floor: bare copies into new memory",
    )


def adding_beside_sampling(buffer: ReplayBuffer, some: Sequence[Step], seconds: float) -> Result:
    """Measure how long a step waits while another thread draws batches without a pause."""
    stop, sample, taken = threading.Event(), sampling(buffer, Anchored()), []

    def work() -> None:
        while not stop.is_set():
            sample()

    thread = threading.Thread(target=work)
    thread.start()
    end = time.perf_counter() + seconds
    for step in some:
        if time.perf_counter() > end:
            break
        begin = time.perf_counter()
        buffer.add(step, source="beside")
        taken.append(time.perf_counter() - begin)
        time.sleep(0.002)
    stop.set()
    thread.join()
    return Result(
        name="add, evicting, beside a thread that samples without pause, p99",
        value=1e3 * float(np.percentile(taken, 99)),
        unit="ms",
        higher_is_better=False,
        note=f"{len(taken)} steps, one every 2 ms",
    )


def measure_images(size: Size) -> list[Result]:
    """Measure the buffer with two cameras."""
    buffer = ReplayBuffer(CAMERAS | STATE, ACTION_DIM, size.slots)
    fresh = steps(CAMERAS | STATE, size.slots - size.slots // EPISODE)
    results = [first_inserts(buffer, fresh)]
    sources = [aligned((min(size.slots, 10_000), FRAME)) for _ in CAMERAS]
    again = [step for step in fresh if step.segment is not Segment.DEMO]
    inserting = {"": Inserting(buffer, again), ", one by one": Inserting(buffer, again, 1)}
    *owns, bare = medians(size.seconds, *inserting.values(), Copying(sources[0], fresh))
    for how, own in zip(inserting, owns, strict=True):
        results.append(
            Result(
                name=f"insert, two 128x128 cameras, evicting{how}",
                value=CHUNK / own,
                unit="1/s",
                higher_is_better=True,
                target=None if how else INSERT_TARGET,
                floor=CHUNK / bare,
                note=f"{TOGETHER if not how else 1} at a time; floor: bare copies of the two frames",
            )
        )
    results.append(
        Result(
            name="memory per transition, two 128x128 cameras",
            value=buffer.bytes_per_slot,
            unit="B",
            higher_is_better=False,
            target=BYTES_TARGET,
            floor=RECORD + 4 * 20,
            others=MEMORY_OTHERS,
            note="floor: the observation alone",
        )
    )
    views = {"one-step": sampling(buffer, HilSerl()), "three-step": sampling(buffer, Anchored())}
    bare_works = [gathering(sources, threads) for threads in (1, 2)]
    *drawn, one, two = medians(size.seconds, *views.values(), *bare_works)
    for threads, taken in ((1, one), (2, two)):
        rate = 2 * BATCH * RECORD / taken / 1e9
        name = f"bare gather of a batch's frames, {threads} thread{'s' * (threads > 1)}"
        results.append(Result(name=name, value=rate, unit="GB/s", higher_is_better=True))
    for name, taken in zip(views, drawn, strict=True):
        results.append(
            Result(
                name=f"sample 256 {name}, two 128x128 cameras, obs and next",
                value=1 / taken,
                unit="1/s",
                higher_is_better=True,
                target=SAMPLE_TARGET,
                floor=1 / min(one, two),
                others=SAMPLE_OTHERS,
                note="floor: the faster bare gather; to reach: 80 % of it",
            )
        )
        results.append(
            Result(
                name=f"sample 256 {name}, two cameras, share of the bare gather's speed",
                value=min(one, two) / taken,
                unit="",
                higher_is_better=True,
                target=0.8,
            )
        )
    results.append(adding_beside_sampling(buffer, again, size.seconds))
    return results


def measure_features(size: Size) -> Result:
    """Measure the draw of one cached view of two cameras' features, of eight kept."""
    slots = min(size.slots, 8_000)
    buffer = ReplayBuffer(FEATURES | STATE, ACTION_DIM, slots)
    for step in steps(FEATURES | STATE, slots - slots // EPISODE):
        buffer.add(step)
    row = 2 * FEATURES["encoding"].shape[1] * 2
    bare = gathering([aligned((slots * 8, row))], 2)
    own, floor = medians(size.seconds, sampling(buffer, Anchored()), bare)
    return Result(
        name="sample 256 three-step, cached features 2 x 4096 float16, one of 8 views",
        value=1 / own,
        unit="1/s",
        higher_is_better=True,
        floor=1 / floor,
        note="floor: bare gather of the views drawn, 2 threads",
    )


def measure_state(size: Size) -> list[Result]:
    """Measure the buffer without images: what Python costs."""
    buffer = ReplayBuffer(STATE, ACTION_DIM, 50_000)
    some = steps(STATE, 40_000)
    for step in some:
        buffer.add(step)
    again = [step for step in some if step.segment is not Segment.DEMO]
    room, bytes_per_step = aligned((50_000, buffer.bytes_per_slot)), np.ones(buffer.bytes_per_slot, np.uint8)

    def copy() -> None:
        for i in range(CHUNK):
            room[i] = bytes_per_step

    own, bare = medians(size.seconds, Inserting(buffer, again), copy)
    insert = Result(
        name="insert, state, evicting",
        value=CHUNK / own,
        unit="1/s",
        higher_is_better=True,
        target=INSERT_TARGET,
        floor=CHUNK / bare,
        note="floor: one numpy copy of as many bytes, called from Python",
    )
    state_rows = gathering([aligned((50_000, 80))], 1)
    plain, floor = medians(size.seconds, sampling(buffer, Anchored()), state_rows)
    every = buffer.rows("online")
    buffer.set_weights(every, np.random.default_rng(0).random(len(every)))
    (weighted,) = medians(size.seconds, sampling(buffer, Anchored()))
    note = "floor: the observations' bare gather, two calls of numpy"
    return [
        insert,
        *(
            Result(
                name=name, value=1 / taken, unit="1/s", higher_is_better=True, target=target, floor=1 / floor, note=n
            )
            for name, taken, target, n in (
                ("sample 256 three-step, state", plain, STATE_TARGET, note),
                ("sample 256 three-step, state, weighted", weighted, None, ""),
            )
        ),
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slots", type=int, default=40_000, help="observations in the buffer with images")
    parser.add_argument("--quick", action="store_true", help="half a second of each comparison, a fifth of the slots")
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    size = Size(slots=args.slots // 5, seconds=0.5) if args.quick else Size(slots=args.slots, seconds=4.0)
    use = CpuUse()
    results = [*measure_images(size), measure_features(size), *measure_state(size)]
    stolen, others = use.shares()
    busy = f"stolen {stolen:.0%}, other processes {others:.0%}"
    results = [replace(row, note=f"{row.note}; {busy}" if row.note else busy) for row in results]
    write_results(args.out, results)
    for row in results:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f} of the floor"
        print(f"{row.name:75s} {row.value:12,.2f} {row.unit:5s} target {row.target}  {ratio}")


if __name__ == "__main__":
    main()
