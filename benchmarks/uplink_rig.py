"""What `benchmarks/uplink.py` measures with: a learner, actors in processes of their own, a wire that counts."""

import json
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from uplink_actor import SPEC, make_steps

from robot_hil.data.specs import Array
from robot_hil.replay.buffer import ReplayBuffer
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer
from robot_hil.transport.keys import load_keys

ACTOR = Path(__file__).parent / "uplink_actor.py"
SLOTS = 2048
"""Of the replay. It is full before anything is measured; then a step leaves it for every one that comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of some actors and a learner gave."""

    rate: float
    """Steps per second, from the first `put` to the last acknowledgement."""
    cpu: float
    """Processor time of the learner's process per step, its kernel time included [s]."""
    actor_cpu: float
    """The same of the actors' processes [s]."""
    delays: Array
    """From `put` until the step is in the replay [s]."""
    costs: Array
    """Of each `put` [s]."""
    lost: int
    """Steps that are not in the learner's log at the end."""
    wire: float
    """Bytes sent in both directions per step, all of the protocol included; 0 if not counted."""


class Learner:
    """A learner that only takes steps into its log and its replay, which is full and warm."""

    def __init__(self, folder: Path, keys: Path | None) -> None:
        self.log = StepLog(folder / "log")
        loaded = None if keys is None else load_keys(keys)
        self.ingest = IngestServer(self.log, SPEC, run_id="benchmark", endpoint="tcp://127.0.0.1:*", keys=loaded)
        self.replay = ReplayBuffer(SPEC.observation, 7, SLOTS)
        self.arrivals: list[tuple[float, float]] = []
        """When each step was put, and when it was in the replay [s, monotonic]."""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Open the log, fill the replay, listen."""
        for step in make_steps(SLOTS):
            self.replay.add(step, source="before")
        self.log.open()
        self.ingest.start()
        self._thread.start()

    def close(self) -> None:
        """End everything."""
        self._stopping = True
        self._thread.join()
        self.ingest.stop()
        self.log.close()

    def _run(self) -> None:
        while not self._stopping:
            self.ingest.wait(0.1)
            for step in self.ingest.drain():
                self.replay.add(step)
                self.arrivals.append((step.t_cmd, time.monotonic()))


class CountingWire:
    """Passes one connection on to a learner and counts its bytes."""

    def __init__(self, endpoint: str) -> None:
        self.bytes = 0
        self._learner = ("127.0.0.1", int(endpoint.rpartition(":")[2]))
        self._door = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._door.getsockname()[1]}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        actor, _ = self._door.accept()
        with actor, socket.create_connection(self._learner) as learner:
            other = {actor: learner, learner: actor}
            while True:
                for end in select.select(list(other), [], [])[0]:
                    data = end.recv(1 << 20)
                    if not data:
                        return
                    self.bytes += len(data)
                    other[end].sendall(data)

    def close(self) -> None:
        """Wait for the actor's end of the connection."""
        self._thread.join()
        self._door.close()


def run(
    actors: int,
    steps: int,
    *,
    hz: float = 0.0,
    keys: Path | None = None,
    sync_after: float | None = None,
    counted: bool = False,
) -> Run:
    """Let `actors` put `steps` each, `hz` per second each or as fast as they may, and measure at both ends."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        learner = Learner(folder, keys)
        learner.start()
        stack.callback(learner.close)
        endpoint, wire = learner.ingest.endpoint, None
        if counted:
            wire = CountingWire(endpoint)
            endpoint = wire.endpoint
            stack.callback(wire.close)
        processes = []
        for number in range(actors):
            arguments = [endpoint, folder / f"spool{number}", "--name", f"actor{number}", "--steps", steps, "--hz", hz]
            arguments += ["--delay", number / (actors * hz)] if hz else []
            arguments += [] if keys is None else ["--keys", keys]
            arguments += [] if sync_after is None else ["--sync-after", sync_after]
            command = [sys.executable, str(ACTOR), *map(str, arguments)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            stack.callback(process.wait)
            stack.callback(process.kill)
            processes.append(process)
        for process in processes:
            _answer(process)
        before = wire.bytes if wire else 0
        cpu = time.process_time()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [_answer(process) for process in processes]
        total = actors * steps
        while len(learner.arrivals) < total:
            time.sleep(0.001)
        cpu = time.process_time() - cpu
        info = learner.log.info()
        return Run(
            rate=total / (max(row["end"] for row in said) - min(row["begin"] for row in said)),
            cpu=cpu / total,
            actor_cpu=sum(row["cpu"] for row in said) / total,
            delays=np.array([arrived - put for put, arrived in learner.arrivals]),
            costs=np.concatenate([row["costs"] for row in said]),
            lost=info.lost + total - info.steps,
            wire=(wire.bytes - before) / total if wire else 0.0,
        )


def _answer(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"an actor failed with exit code {process.wait()}")
    return dict(json.loads(line))
