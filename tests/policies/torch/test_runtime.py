"""Settings of the training process."""

import subprocess
import sys

CODE = """
import torch
from robot_hil.policies.torch.runtime import prepare_training
prepare_training(1)
prepare_training(2)
assert torch.get_num_threads() == 2
x = torch.ones((512, 512))
assert float((x @ x).sum()) == 512.0**3
"""


def test_training_process_is_prepared_as_often_as_one_likes() -> None:
    """In a process of its own: the allocator's settings last as long as the process."""
    result = subprocess.run([sys.executable, "-W", "error", "-c", CODE], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
