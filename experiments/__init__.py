"""experiments of robot_hil; import as `robot_hil.experiments`."""

if __name__ != "robot_hil.experiments":
    raise ImportError("import robot_hil.experiments, not experiments")
