"""What every implementation of a contract must do: subclass in a test, give the implementation, inherit the tests."""

import numpy as np
import pytest

from robot_hil.data.robot import ArmState, CartesianTarget
from robot_hil.data.teleop import SampleStatus, TeleopSample
from robot_hil.errors import RobotHilError
from robot_hil.protocols import Arm, TeleopDevice

# ---- Arm ---------------------------------------------------------------------------------------------------------


class ArmContract:
    """Subclass with `make_arm`; `settle` lets a simulated arm move for a second, and need do nothing on others."""

    def make_arm(self) -> Arm:
        """Return a new arm, not connected, standing somewhere it may move from."""
        raise NotImplementedError

    def settle(self, arm: Arm) -> None:
        """Let the arm track its last target for about a second."""

    tolerance_m = 0.01

    @pytest.fixture
    def contract_arm(self):
        arm = self.make_arm()
        yield arm
        arm.close()

    @staticmethod
    def here(state: ArmState) -> CartesianTarget:
        return CartesianTarget(
            pos_base=state.tcp_pos_base, quat_base=state.tcp_quat_base, gripper_width=state.gripper_width
        )

    def test_arm_implements_the_protocol(self, contract_arm):
        assert isinstance(contract_arm, Arm)

    def test_arm_state_is_complete_and_finite(self, contract_arm):
        contract_arm.connect()
        state = contract_arm.state()
        joints = state.joint_pos.shape
        assert len(joints) == 1
        assert joints[0] > 0
        assert state.joint_vel.shape == joints
        assert state.tcp_pos_base.shape == (3,)
        assert state.tcp_quat_base.shape == (4,)
        assert state.tcp_vel_base.shape == (6,)
        assert state.wrench_tcp.shape == (6,)
        for name in ("joint_pos", "joint_vel", "tcp_pos_base", "tcp_quat_base", "tcp_vel_base", "wrench_tcp"):
            value = getattr(state, name)
            assert value.dtype == np.float64, name
            assert np.isfinite(value).all(), name
        assert np.linalg.norm(state.tcp_quat_base) == pytest.approx(1.0, abs=1e-6)
        assert state.gripper_width >= 0
        assert state.fault == ""

    def test_arm_states_do_not_change_afterwards(self, contract_arm):
        contract_arm.connect()
        state = contract_arm.state()
        before = state.tcp_pos_base.copy()
        contract_arm.command(self.shifted(state, dz=0.005))
        self.settle(contract_arm)
        contract_arm.state()
        assert np.array_equal(state.tcp_pos_base, before)

    def shifted(self, state: ArmState, dz: float) -> CartesianTarget:
        return CartesianTarget(
            pos_base=state.tcp_pos_base + np.array([0.0, 0.0, dz]),
            quat_base=state.tcp_quat_base,
            gripper_width=state.gripper_width,
        )

    def test_arm_goes_where_it_is_commanded(self, contract_arm):
        contract_arm.connect()
        target = self.shifted(contract_arm.state(), dz=0.005)
        contract_arm.command(target)
        self.settle(contract_arm)
        assert np.linalg.norm(contract_arm.state().tcp_pos_base - target.pos_base) < self.tolerance_m

    def test_arm_stops_in_every_state_and_moves_again(self, contract_arm):
        contract_arm.stop()
        contract_arm.connect()
        contract_arm.stop()
        contract_arm.stop()
        contract_arm.command(self.here(contract_arm.state()))

    def test_arm_refuses_to_move_before_connect(self, contract_arm):
        here = CartesianTarget(
            pos_base=np.array([0.4, 0.0, 0.3]), quat_base=np.array([1.0, 0.0, 0.0, 0.0]), gripper_width=0.04
        )
        with pytest.raises(RobotHilError):
            contract_arm.command(here)

    def test_arm_recovers_only_with_a_reason(self, contract_arm):
        contract_arm.connect()
        with pytest.raises(RobotHilError, match="reason"):
            contract_arm.recover(" ")
        contract_arm.recover("the contract test asked for it")
        contract_arm.command(self.here(contract_arm.state()))

    def test_arm_connects_and_closes_twice(self, contract_arm):
        contract_arm.connect()
        contract_arm.connect()
        contract_arm.close()
        contract_arm.close()


# ---- Teleoperation device ----------------------------------------------------------------------------------------


class TeleopContract:
    """Subclass with `make_device`; its actions have `action_dim` values."""

    action_dim: int

    def make_device(self) -> TeleopDevice:
        """Return a new device, not started, on a clock that does not run away."""
        raise NotImplementedError

    def advance(self, device: TeleopDevice) -> None:
        """Let one control period pass."""

    @pytest.fixture
    def contract_device(self):
        device = self.make_device()
        yield device
        device.stop()

    def check_sample(self, sample: TeleopSample) -> None:
        assert isinstance(sample.status, SampleStatus)
        assert np.isfinite(sample.t)
        if sample.action is not None:
            assert sample.status is SampleStatus.OK
            assert sample.action.shape == (self.action_dim,)
            assert sample.action.dtype == np.float32
            assert (np.abs(sample.action) <= 1).all()  # and so finite
        if sample.mask is not None:
            assert sample.mask.shape == (self.action_dim,)
            assert sample.mask.dtype == np.bool_

    def test_device_implements_the_protocol(self, contract_device):
        assert isinstance(contract_device, TeleopDevice)
        assert contract_device.name

    def test_device_is_disconnected_before_start_and_after_stop(self, contract_device):
        assert contract_device.latest().status is SampleStatus.DISCONNECTED
        contract_device.start()
        contract_device.latest()
        contract_device.stop()
        sample = contract_device.latest()
        assert sample.status is SampleStatus.DISCONNECTED
        assert not sample.engaged
        assert sample.action is None

    def test_device_gives_valid_samples_in_order(self, contract_device):
        contract_device.start()
        last = -np.inf
        for _ in range(20):
            sample = contract_device.latest()
            self.check_sample(sample)
            assert sample.t >= last
            last = sample.t
            self.advance(contract_device)

    def test_device_gives_each_event_once(self, contract_device):
        contract_device.start()
        contract_device.drain_events()
        assert contract_device.drain_events() == []

    def test_device_starts_and_stops_twice(self, contract_device):
        contract_device.start()
        contract_device.start()
        contract_device.stop()
        contract_device.stop()
        contract_device.start()
        assert contract_device.latest().status is not SampleStatus.DISCONNECTED
