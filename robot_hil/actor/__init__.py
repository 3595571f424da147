"""The robot side: control loop, arbiter, safety gate."""
