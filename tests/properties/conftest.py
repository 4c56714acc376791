"""The profiles of hypothesis, and the mark that ties a property to the public names it is about.

`--hypothesis-profile thorough` tries fifteen times as many examples, new ones in every run.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

COMMON = {
    "deadline": None,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}
settings.register_profile("quick", derandomize=True, max_examples=20, **COMMON)
settings.register_profile("thorough", max_examples=300, **COMMON)


def pytest_configure(config: pytest.Config) -> None:
    """Load a profile, and register the mark `property_of`."""
    settings.load_profile(config.getoption("--hypothesis-profile") or "quick")
    config.addinivalue_line("markers", "property_of(*names): public names a property is about")
