"""Optional packages, imported when a function needs them."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_optional(module: str, extra: str) -> ModuleType:
    """Import a package that skrmt does not require."""
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        # A package that is there and broken must show its own error, not "please install".
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(
            f"This needs {package}, which is not installed: "
            f"run 'python -m pip install \"skrmt[{extra}]\"'."
        ) from error
