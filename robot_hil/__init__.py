"""robot_hil: teach a real robot a precise skill in about an hour, with a person in the loop."""

__version__ = "0.1.0"
