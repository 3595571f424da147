"""A simulated person: a scripted expert per task, a gate that says when to take over, and human frailty."""
