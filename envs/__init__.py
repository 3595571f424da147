"""envs of robot_hil; import as `robot_hil.envs`. Importing it registers the Gymnasium ids of this project."""

if __name__ != "robot_hil.envs":
    raise ImportError("import robot_hil.envs, not envs")

import gymnasium

gymnasium.register("robot_hil/PickCube-v0", "robot_hil.envs.mujoco.pick_cube:make_env")
gymnasium.register("robot_hil/PegInsertion-v0", "robot_hil.envs.mujoco.peg_insertion:make_env")
