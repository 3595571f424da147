"""envs of robot_hil; import as `robot_hil.envs`. Importing it registers the Gymnasium ids of this project."""

if __name__ != "robot_hil.envs":
    raise ImportError("import robot_hil.envs, not envs")

import gymnasium

from robot_hil.envs.suites import ADROIT, METAWORLD

gymnasium.register("robot_hil/PickCube-v0", "robot_hil.envs.mujoco.pick_cube:make_env")
gymnasium.register("robot_hil/PegInsertion-v0", "robot_hil.envs.mujoco.peg_insertion:make_env")
gymnasium.register("robot_hil/PegSlot2D-v0", "robot_hil.envs.toy.peg_slot:make_env")
gymnasium.register("robot_hil/PegTwoSlots2D-v0", "robot_hil.envs.toy.peg_slot:make_env", kwargs={"slots": 2})
gymnasium.register("robot_hil/PegReturn2D-v0", "robot_hil.envs.toy.peg_slot:make_env", kwargs={"goal": "return"})
gymnasium.register("robot_hil/PegGrip2D-v0", "robot_hil.envs.toy.peg_grip:make_env")
gymnasium.register("robot_hil/ReachPillar2D-v0", "robot_hil.envs.toy.reach_pillar:make_env")

for _task in METAWORLD:
    gymnasium.register(
        f"robot_hil/MetaWorld{_task.title().replace('-', '')}-v0",
        "robot_hil.envs.suites.metaworld:make_env",
        kwargs={"task": f"{_task}-v3"},
    )
gymnasium.register("robot_hil/MetaWorld-v0", "robot_hil.envs.suites.metaworld:make_env")
for _task in ADROIT:
    gymnasium.register(f"robot_hil/Adroit{_task}-v0", "robot_hil.envs.suites.adroit:make_env", kwargs={"task": _task})
