"""A MuJoCo model with its data, its simulated time and, when pictures are wanted, one renderer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_hil.data.specs import Array
from robot_hil.envs.mujoco.gl import choose_gl
from robot_hil.errors import ConfigError

ASSETS = Path(__file__).parent / "assets"
DOWN = (0.0, 1.0, 0.0, 0.0)
"""Orientation of the tool pointing straight down, fingers along y."""
WRENCH_SAMPLES = 5
"""Parts into which `advance` divides its time; the wrench is the mean over their ends."""
_AWAKE = -11
"""What MuJoCo notes of a body that has just moved: ten time steps of rest until it may sleep, counted from -1 down."""


class World:
    """Physics and time of one scene. It is the `Clock` of everything simulated in it: `now` is simulated seconds.

    Simulated time never goes back: `rewind` puts the scene back to its first state and keeps the time.
    `held` is the file of something rigidly held by the hand, its origin at the tool centre point.
    """

    def __init__(self, scene: str, *, pictures: bool, held: str = "") -> None:
        choose_gl(needed=pictures)  # before mujoco is imported for the first time
        import mujoco

        self.mj: Any = mujoco
        spec = mujoco.MjSpec.from_file(str(ASSETS / scene))
        if held:
            spec.attach(mujoco.MjSpec.from_file(str(ASSETS / held)), site=spec.site("tcp"), prefix="held_")
        self.model: Any = spec.compile()
        self.data: Any = mujoco.MjData(self.model)
        self.wrench_sum = np.zeros(6)
        self._timestep = float(self.model.opt.timestep)
        self._steps = 0
        self._no_sensors = int(mujoco.mjtDisableBit.mjDSBL_SENSOR)
        sensors = self.model.sensor
        self._wrench = slice(int(sensors("force").adr[0]), int(sensors("torque").adr[0]) + 3)
        mujoco.mj_forward(self.model, self.data)

    def now(self) -> float:
        """Simulated seconds since construction."""
        return self._steps * self._timestep

    def sleep_until(self, deadline: float) -> None:
        """Let simulated time pass until `deadline`."""
        if deadline > self.now():
            self.advance(deadline - self.now())

    def advance(self, seconds: float) -> None:
        """Step the physics; `seconds` is rounded to whole time steps."""
        steps = round(seconds / self._timestep)
        if steps < WRENCH_SAMPLES:
            raise ConfigError(f"advance by {seconds} s is too short; use at least {WRENCH_SAMPLES * self._timestep} s.")
        self._steps += steps
        self.wrench_sum[:] = 0.0
        mj_step, model, data, options = self.mj.mj_step, self.model, self.data, self.model.opt
        for part in range(WRENCH_SAMPLES):
            share = steps * (part + 1) // WRENCH_SAMPLES - steps * part // WRENCH_SAMPLES
            if share > 1:  # sensors cost a tenth of a step and only the last one is read
                options.disableflags |= self._no_sensors
                mj_step(model, data, share - 1)
                options.disableflags &= ~self._no_sensors
            mj_step(model, data)
            self.wrench_sum += data.sensordata[self._wrench]

    def rewind(self) -> None:
        """Put every body back to where the scene file has it, at rest."""
        self.mj.mj_resetData(self.model, self.data)

    def refresh(self) -> None:
        """Bring poses, set-points and sensors in line after bodies were put somewhere: everything is at rest."""
        self.mj.mj_forward(self.model, self.data)
        self.data.ctrl[:] = self.data.actuator_length
        self.mj.mj_forward(self.model, self.data)
        self.wrench_sum[:] = WRENCH_SAMPLES * self.data.sensordata[self._wrench]

    def settle(self) -> None:
        """Bring poses and contacts in line after a body was moved while everything else goes on."""
        self.data.tree_asleep[:] = _AWAKE  # a body asleep would be touched where it was
        self.mj.mj_forward(self.model, self.data)

    def place_tool(self, joints: Sequence[float], pos: Array, quat: Sequence[float] = DOWN) -> Array:
        """Put the tool at `pos` and `quat` by damped least squares from `joints`; return the joints (7,)."""
        data, model = self.data, self.model
        data.qpos[:7] = joints
        jacobian, error = np.zeros((6, model.nv)), np.zeros(6)
        site = model.site("tcp").id
        wanted, found, inverse = np.array(quat), np.zeros(4), np.zeros(4)
        for _ in range(30):
            self.mj.mj_kinematics(model, data)
            self.mj.mj_comPos(model, data)
            error[:3] = pos - data.site_xpos[site]
            self.mj.mju_mat2Quat(found, data.site_xmat[site])
            self.mj.mju_negQuat(inverse, found)
            self.mj.mju_mulQuat(found, wanted, inverse)
            self.mj.mju_quat2Vel(error[3:], found, 1.0)
            if float(np.abs(error).max()) < 1e-6:
                break
            self.mj.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
            arm = jacobian[:, :7]
            data.qpos[:7] += arm.T @ np.linalg.solve(arm @ arm.T + 1e-6 * np.eye(6), error)
        return data.qpos[:7].copy()  # type: ignore[no-any-return]
