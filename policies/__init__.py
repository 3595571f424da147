"""policies of robot_hil; import as `robot_hil.policies`."""

if __name__ != "robot_hil.policies":
    raise ImportError("import robot_hil.policies, not policies")
