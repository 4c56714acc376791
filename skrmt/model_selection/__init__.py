"""Scores on fresh rows, predicted from the training rows."""

from .. import _install
from ._clean_labels import CleanAccuracy, clean_accuracy
from ._forecast_display import ForecastDisplay
from ._report import GeneralizationReport
from ._report_display import ReportDisplay

_install.check()

__all__ = [
    "Audit",
    "CleanAccuracy",
    "ForecastDisplay",
    "GeneralizationReport",
    "ReportDisplay",
    "audit",
    "clean_accuracy",
]


def __getattr__(name: str):
    """Import the audit on first use: it puts subjects to use that rest on this package."""
    if name in ("Audit", "audit"):
        from .. import _audit

        return getattr(_audit, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
