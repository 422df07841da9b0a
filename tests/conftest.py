"""What holds for all tests: none depends on how fast the machine is.

Hypothesis has no deadlines here, and does not call it unhealthy that drawing takes long. Whoever waits for something
takes `waiting`, and asserts nothing about how long it took.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
