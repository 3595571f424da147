"""A leader arm: a small copy of the robot that the person moves by hand."""
