"""The scripted experts by name."""

from collections.abc import Callable

from robot_hil.errors import UnknownNameError
from robot_hil.teleop.simulated.expert import Expert
from robot_hil.teleop.simulated.expert_metaworld import MetaWorldExpert
from robot_hil.teleop.simulated.expert_peg_grip import PegGripExpert
from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert
from robot_hil.teleop.simulated.expert_peg_slot import PegSlotExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.expert_reach_pillar import ReachPillarExpert

_MAKERS: dict[str, Callable[[], Expert]] = {
    "pick_cube": PickCubeExpert,
    "peg_insertion": PegInsertionExpert,
    "peg_slot": PegSlotExpert,
    "peg_grip": PegGripExpert,
    "reach_pillar": ReachPillarExpert,
    "reach_over": lambda: ReachPillarExpert(style="over"),
    "reach_under": lambda: ReachPillarExpert(style="under"),
    "reach_mixed": lambda: ReachPillarExpert(style="mixed"),
    "metaworld": MetaWorldExpert,
}
NAMES = tuple(_MAKERS)


def make(name: str) -> Expert:
    """Return the expert called `name`; raises `UnknownNameError` with the choices."""
    if name not in _MAKERS:
        raise UnknownNameError("expert", name, NAMES)
    return _MAKERS[name]()
