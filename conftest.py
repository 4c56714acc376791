"""What the examples in docstrings and guide pages share."""

import sys
from importlib.util import find_spec

import pytest

NEED_TORCH = ("skrmt/preference/_language_model.py", "skrmt/preference/_trainer.py")
"""Modules whose examples need torch."""

collect_ignore = [] if find_spec("torch") else list(NEED_TORCH)


def pytest_collection_modifyitems(items):
    """Mark the examples that need torch."""
    for item in items:
        if item.path.as_posix().endswith(NEED_TORCH):
            item.add_marker(pytest.mark.torch)


@pytest.fixture(autouse=True)
def close_figures():
    """Close the figures that a test or an example opened."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
