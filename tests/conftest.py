"""What every test shares."""

from hypothesis import HealthCheck, settings

# A busy machine must not fail a property: no time limit per example.
settings.register_profile("robot_hil", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("robot_hil")
