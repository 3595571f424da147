"""The operator's console: a process that serves one page, and the link between it and the robot's process."""
