"""Find every public subpackage and estimator of skrmt."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from ._sklearn_compat import BaseEstimator


def public_subpackages() -> list[str]:
    """Return the dotted names of the public subpackages, sorted."""
    package = importlib.import_module(__package__.partition(".")[0])
    return sorted(
        f"{package.__name__}.{module.name}"
        for module in pkgutil.iter_modules(package.__path__)
        if module.ispkg and not module.name.startswith("_")
    )


def public_modules() -> list[str]:
    """Return the dotted names of every module that users import from, subpackages first."""
    theory = importlib.import_module("skrmt.theory")
    inner = [f"skrmt.theory.{name}" for name in theory.__all__]
    return [*public_subpackages(), *inner, "skrmt.utils.testing", "skrmt.exceptions"]


def all_estimators() -> list[tuple[str, type]]:
    """List the estimators of skrmt.

    An estimator is registered by its name in the `__all__` of its subpackage; nothing else is
    needed.

    Returns
    -------
    list of (str, type)
        Names and classes, sorted by name.

    Examples
    --------
    >>> from skrmt.utils import all_estimators
    >>> [name for name, _ in all_estimators()][:3]
    ['CollapseForecaster', 'EncoderMatcher', 'GaussianGenerator']
    """
    found: dict[str, type] = {}
    for name in public_subpackages():
        module = importlib.import_module(name)
        members = {public: getattr(module, public) for public in module.__all__}
        found |= {public: cls for public, cls in members.items() if _is_estimator(cls)}
    return sorted(found.items())


def _is_estimator(candidate: object) -> bool:
    """Return whether this is a concrete estimator class."""
    return (
        inspect.isclass(candidate)
        and issubclass(candidate, BaseEstimator)
        and not inspect.isabstract(candidate)
        and hasattr(candidate, "fit")
    )
