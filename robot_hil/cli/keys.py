"""`robot-hil keys`: make the key file that lets actor and learner talk between two machines."""

from pathlib import Path

import tyro

from robot_hil.transport.keys import make_keys


def keys(path: tyro.conf.Positional[Path] = Path("robot_hil.keys")) -> None:
    """Make a key file for an actor and a learner on different machines; an existing file is never overwritten.

    Args:
        path: The file to make; readable by its owner only.
    """
    make_keys(path)
    print(f"Wrote {path}. Copy it to the other machine, e.g. `scp -p {path} learner:`, and give it to both processes.")
    print("Whoever has this file can send data to the learner and read its policy.")
