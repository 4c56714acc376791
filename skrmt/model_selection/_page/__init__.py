"""A report as a page of HTML, and the words, pieces and charts it is made of."""

from ._charts import effort, two_curves
from ._page import report_page
from ._pieces import (
    assemble,
    data_table,
    heat_table,
    mark,
    returned_or_written,
    share_scale,
    two_columns,
    valued_bar,
)
from ._values import (
    confusion,
    escape,
    interval,
    known,
    metric_name,
    number,
    percent,
    short,
    shorter,
)

__all__ = [
    "assemble",
    "confusion",
    "data_table",
    "effort",
    "escape",
    "heat_table",
    "interval",
    "known",
    "mark",
    "metric_name",
    "number",
    "percent",
    "report_page",
    "returned_or_written",
    "share_scale",
    "short",
    "shorter",
    "two_columns",
    "two_curves",
    "valued_bar",
]
