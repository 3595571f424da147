"""An actor that only sends, as a process of its own: `actor_process.py SPOOL ENDPOINT COUNT SEED`.

Prints the number of steps that are on its disk, again and again, until killed.
"""

import sys
import time

import numpy as np
from small_spec import SPEC

from robot_hil.data.step import Step
from robot_hil.transport.uplink import Uplink


def main() -> None:
    spool, endpoint, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    zeros = np.zeros(7, np.float32)
    with Uplink(spool, SPEC, endpoint=endpoint) as uplink:
        for index in range(count):
            obs = {"front": np.zeros((8, 8, 3), np.uint8), "state": np.full(5, index, np.float32)}
            uplink.put(
                Step(
                    obs=obs,
                    action_policy=zeros,
                    action_human=zeros,
                    action_executed=zeros,
                    authority=np.zeros(7, np.uint8),
                    reward={},
                    terminated=False,
                    truncated=False,
                    success=False,
                    episode_id=uplink.next_episode,
                    step_index=index,
                )
            )
            time.sleep(0.001)
            sys.stdout.write(f"{uplink.epoch} {uplink.info().logged}\n")
            sys.stdout.flush()
        while True:
            time.sleep(0.01)


if __name__ == "__main__":
    main()
