"""Settings of the process that trains, whatever library computes."""

import subprocess
import sys

CODE = """
import resource, threading
import numpy as np
from robot_hil.policies.runtime import keep_freed_memory
keep_freed_memory()

def use():
    np.empty(100 << 20, np.uint8)[::4096] = 1

for round in range(4):
    if round == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
pages = 3 * (100 << 20) // resource.getpagesize()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / pages)
"""


def test_memory_that_was_freed_is_not_faulted_in_again() -> None:
    """In a process of its own; the share of pages that were, in a thread as those of a library."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1, done.stdout
