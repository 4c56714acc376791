"""What is installed: our own version, and the distribution that must not stand beside it."""

import warnings
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _distribution_version

_RIVAL = "scikit-rmt"


@cache
def check() -> None:
    """Warn, once in a process, where scikit-rmt is installed in the same environment."""
    try:
        rival = _distribution_version(_RIVAL)
    except PackageNotFoundError:
        return
    warnings.warn(
        f"{_RIVAL} {rival} is installed beside skrmt: both install a package named 'skrmt' and "
        f"overwrite one another's files. Run 'python -m pip uninstall {_RIVAL} skrmt', then "
        "install skrmt again.",
        RuntimeWarning,
        stacklevel=2,
    )


def version() -> str:
    """Return the version of the installed distribution."""
    try:
        return _distribution_version("skrmt")
    except PackageNotFoundError:
        return "0+unknown"
