"""What an estimator will reach on fresh rows, told from its training rows."""

from .. import _install
from ._curve import LearningCurve
from ._forecast_display import ForecastDisplay
from ._report import GeneralizationReport

_install.check()

__all__ = ["LearningCurve", "ForecastDisplay", "GeneralizationReport"]
