"""The simulated 7-joint arm as an `Arm`: commands become set-points of the impedance controller inside MuJoCo."""

import numpy as np

from robot_hil.data import rotation
from robot_hil.data.robot import ArmLimits, ArmState, CartesianTarget, JointTarget, Target
from robot_hil.data.specs import Array
from robot_hil.envs.mujoco.world import WRENCH_SAMPLES, World
from robot_hil.errors import SafetyError

HOME = (0.0, 0.3236, 0.0, -2.3936, 0.0, 2.7172, 0.7854)
"""Joint angles of the null-space posture [rad]: the tool over the middle of the table."""
MAX_WIDTH = 0.08
_DOWN = (0.0, 1.0, 0.0, 0.0)


class MujocoArm:
    """Follows Cartesian targets with a stiffness and damping given in the scene; a stop holds the measured pose.

    Joint targets are followed as the tool pose that belongs to them.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._connected = False
        model, data, mj = world.model, world.data, world.mj
        self._site = model.site("tcp").id
        self._pos, self._mat = data.site_xpos[self._site], data.site_xmat[self._site]
        self._quat = np.zeros(4)
        self._velocity = data.sensordata[int(model.sensor("tcp_linvel").adr[0]) :][:6]
        hand = model.body("hand").id
        self._weight = float(model.body_subtreemass[hand]) * 9.81
        fingers = [int(model.joint(n).qposadr[0]) for n in ("finger_left", "finger_right")]
        self._fingers = data.qpos[fingers[0] : fingers[1] + 1]
        self._mat2quat = mj.mju_mat2Quat
        self._scratch = mj.MjData(model)

    def connect(self) -> None:
        """Hold the pose in which the scene begins."""
        self._connected = True
        self._hold(self.state().gripper_width)

    def state(self) -> ArmState:
        data = self._world.data
        self._mat2quat(self._quat, self._mat)
        left, right = self._fingers.tolist()
        finite = left == left and data.qpos[0] == data.qpos[0]
        return ArmState(
            t=self._world.now(),
            joint_pos=data.qpos[:7].copy(),
            joint_vel=data.qvel[:7].copy(),
            tcp_pos_base=self._pos.copy(),
            tcp_quat_base=self._quat.copy(),
            tcp_vel_base=self._velocity.copy(),
            wrench_tcp=self._wrench(),
            gripper_width=max(left + right, 0.0),
            fault="" if finite else "the simulation diverged",
        )

    def command(self, target: Target) -> None:
        if not self._connected:
            raise SafetyError("the simulated arm is not connected; call connect() first.")
        if isinstance(target, JointTarget):
            # The impedance is Cartesian, its null space keeps its own posture.
            pos, quat = self.forward_kinematics(target.joint_pos)
            target = CartesianTarget(pos_base=pos, quat_base=quat, gripper_width=target.gripper_width)
        ctrl = self._world.data.ctrl
        ctrl[:3] = target.pos_base
        # The set-point is the rotation from the straight-down frame, in that frame's axes.
        turn = rotation.multiply(rotation.conjugate(_DOWN), target.quat_base.tolist())
        ctrl[3:6] = rotation.to_rotvec(turn)
        ctrl[6:8] = 0.5 * target.gripper_width

    def forward_kinematics(self, joint_pos: Array) -> tuple[Array, Array]:
        """Return where the tool would be with these joint angles (7,) [rad]; moves nothing.

        Position (3,) [m] and orientation wxyz (4,), base frame.
        """
        mj, model, scratch, quat = self._world.mj, self._world.model, self._scratch, np.zeros(4)
        scratch.qpos[:7] = joint_pos
        mj.mj_kinematics(model, scratch)
        self._mat2quat(quat, scratch.site_xmat[self._site])
        return scratch.site_xpos[self._site].copy(), quat

    def stop(self) -> None:
        """Hold the measured pose; the gripper keeps what it was told, so that it drops nothing."""
        if self._connected:
            self._hold(2.0 * float(self._world.data.ctrl[6]))

    def _hold(self, width: float) -> None:
        state = self.state()
        self.command(CartesianTarget(pos_base=state.tcp_pos_base, quat_base=state.tcp_quat_base, gripper_width=width))

    def recover(self, reason: str) -> None:
        if not reason.strip():
            raise SafetyError("recover needs a reason in words.")

    def close(self) -> None:
        """Hold the pose; nothing else to release."""
        self.stop()
        self._connected = False

    def _wrench(self) -> Array:
        """World on tool in base axes: the sensor gives what the flange exerts on the hand, weight included."""
        mean = self._world.wrench_sum * (-1.0 / WRENCH_SAMPLES)
        mat = self._mat.reshape(3, 3)
        wrench = np.concatenate((mat @ mean[:3], mat @ mean[3:]))
        wrench[2] += self._weight
        return wrench


def limits(low: tuple[float, float, float], high: tuple[float, float, float], model: object) -> ArmLimits:
    """Return limits that ordinary motion of a policy does not touch; `low`, `high` is the workspace [m]."""
    ranges = model.jnt_range  # type: ignore[attr-defined]
    return ArmLimits(
        workspace_low=np.array(low),
        workspace_high=np.array(high),
        joint_low=ranges[:7, 0].copy(),
        joint_high=ranges[:7, 1].copy(),
        max_linear_speed=1.0,
        max_angular_speed=3.0,
        max_force=400.0,
        max_torque=100.0,
        gripper_range=(0.0, MAX_WIDTH),
    )
