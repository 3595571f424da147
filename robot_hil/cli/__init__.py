"""The `robot-hil` command; composes the parts."""
