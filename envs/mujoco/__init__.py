"""MuJoCo arm, tasks and cameras."""
