"""The experiments by name."""

from importlib import import_module

from robot_hil.errors import UnknownNameError
from robot_hil.experiments.base import Experiment

NAMES = (
    "pick_cube", "pick_cube_state", "peg_insertion", "peg_insertion_state",
    "peg_slot", "peg_two_slots", "peg_return", "peg_grip", "reach_pillar",
    "mw_reach", "mw_door_open", "mw_drawer_open", "mw_pick_place", "mw_peg_insert_side",
)  # fmt: skip


def get(name: str) -> Experiment:
    """Return the experiment called `name`; raises `UnknownNameError` with the choices."""
    if name not in NAMES:
        raise UnknownNameError("experiment", name, NAMES)
    experiment: Experiment = import_module(f"robot_hil.experiments.{name}").EXPERIMENT
    return experiment


def about(name: str) -> str:
    """Return in some words what the experiment called `name` is: its file's docstring up to the command."""
    return (import_module(f"robot_hil.experiments.{name}").__doc__ or "").partition("`")[0].rstrip(" .:\n")
