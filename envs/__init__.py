"""envs of robot_hil; import as `robot_hil.envs`."""

if __name__ != "robot_hil.envs":
    raise ImportError("import robot_hil.envs, not envs")
