"""What `robot-hil doctor` looks at: each check returns findings with the fix in words."""
