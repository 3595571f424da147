"""teleop of robot_hil; import as `robot_hil.teleop`."""

if __name__ != "robot_hil.teleop":
    raise ImportError("import robot_hil.teleop, not teleop")
