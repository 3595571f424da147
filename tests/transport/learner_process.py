"""A learner that only ingests, as a process of its own: `learner_process.py LOG PORT`.

Prints `ready`, then runs until killed.
"""

import sys
import time

from robot_hil.data.specs import ArraySpec, EnvSpec
from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer

SPEC = EnvSpec(
    env_id="test/Small-v0",
    observation={"front": ArraySpec(shape=(8, 8, 3), dtype="uint8"), "state": ArraySpec(shape=(5,))},
    action=ArraySpec(shape=(7,), low=-1.0, high=1.0),
    control_hz=10.0,
    max_episode_steps=50,
    task="do it",
)


def main() -> None:
    with (
        StepLog(sys.argv[1]) as log,
        IngestServer(log, SPEC, run_id="run", endpoint=f"tcp://127.0.0.1:{sys.argv[2]}") as server,
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            server.drain()
            time.sleep(0.002)


if __name__ == "__main__":
    main()
