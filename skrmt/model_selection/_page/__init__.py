"""A report as a page of HTML, and the words and charts it is made of."""

from ._page import report_page
from ._values import confusion, interval, known, metric_name, number, percent, short, shorter

__all__ = [
    "confusion",
    "interval",
    "known",
    "metric_name",
    "number",
    "percent",
    "report_page",
    "short",
    "shorter",
]
