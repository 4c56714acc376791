"""What an estimator will reach on fresh rows, predicted from its training rows."""

from .. import _install
from ._clean_labels import CleanAccuracy, clean_accuracy
from ._forecast_display import ForecastDisplay
from ._report import GeneralizationReport
from ._report_display import ReportDisplay

_install.check()

__all__ = [
    "CleanAccuracy",
    "ForecastDisplay",
    "GeneralizationReport",
    "ReportDisplay",
    "clean_accuracy",
]
