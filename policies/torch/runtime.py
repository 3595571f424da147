"""Settings of a process that trains with torch."""

import torch

from robot_hil.policies.runtime import keep_freed_memory


def prepare_training(threads: int) -> None:
    """Use `threads` cores, and keep freed memory."""
    torch.set_num_threads(threads)
    keep_freed_memory()
