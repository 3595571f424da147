"""The simulated person keeps the contract of every teleoperation device."""

from contracts import TeleopContract

from robot_hil.clock import VirtualClock
from robot_hil.teleop.simulated.expert_peg_insertion import PegInsertionExpert
from robot_hil.teleop.simulated.expert_pick_cube import PickCubeExpert
from robot_hil.teleop.simulated.gates import AlwaysGate, ProgressGate
from robot_hil.teleop.simulated.person import SimulatedPerson
from robot_hil.teleop.simulated.profile import CAREFUL

WORLD = {
    "tcp_pos": [0.5, 0.1, 0.15], "target_pos": [0.5, 0.1, 0.15], "tcp_quat": [0, 1, 0, 0], "gripper_width": 0.08,
    "cube_pos": [0.5, 0.0, 0.02], "cube_quat": [1, 0, 0, 0], "peg_tip_pos": [0.5, 0.1, 0.11], "peg_yaw": 0.1,
    "hole_pos": [0.5, 0.0, 0.02], "hole_yaw": 0.0,
}  # fmt: skip


class TestDemonstrator(TeleopContract):
    action_dim = 4

    def make_device(self) -> SimulatedPerson:
        return SimulatedPerson(PickCubeExpert(), AlwaysGate(), CAREFUL, lambda: WORLD, VirtualClock())


class TestSupervisor(TeleopContract):
    action_dim = 6

    def make_device(self) -> SimulatedPerson:
        return SimulatedPerson(PegInsertionExpert(), ProgressGate(patience=2), CAREFUL, lambda: WORLD, VirtualClock())


class TestBlind(TeleopContract):
    """Never raises, even when there is no world to look at."""

    action_dim = 4

    def make_device(self) -> SimulatedPerson:
        return SimulatedPerson(PickCubeExpert(), AlwaysGate(), CAREFUL, dict, VirtualClock())
