"""A learner that only ingests, as a process of its own: `learner_process.py LOG PORT`.

Prints `ready`, then runs until killed.
"""

import sys
import time

from small_spec import SPEC

from robot_hil.replay.step_log import StepLog
from robot_hil.transport.ingest import IngestServer


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
