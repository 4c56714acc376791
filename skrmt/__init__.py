"""Estimators that predict, from their training data alone, how accurate they will be.

Everything public lives in a subpackage (`skrmt.linear_model`, `skrmt.theory`, ...), which is
imported on first use; `skrmt.audit` is short for `skrmt.model_selection.audit`.
"""

import importlib as _importlib
import pkgutil as _pkgutil

from . import _install

_install.check()


def _public_modules() -> list[str]:
    """Return the names of the public subpackages and modules."""
    return [m.name for m in _pkgutil.iter_modules(__path__) if not m.name.startswith("_")]


def __getattr__(name: str):
    """Import a subpackage or `audit` on first use; read the version from the installed metadata."""
    if name == "__version__":
        return _install.version()
    if name == "audit":
        return _importlib.import_module(f"{__name__}._audit").audit
    if name in _public_modules():
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public subpackages, `audit` and the version."""
    return sorted([*_public_modules(), "__version__", "audit"])
