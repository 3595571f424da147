"""What travels: steps, specifications, robot states and teleoperation samples."""
