"""A report in words, as a table, in plain types and as a page."""

from __future__ import annotations

from os import PathLike
from typing import Any

from ..utils._optional import import_optional
from ..utils._sklearn_compat import check_is_fitted
from ._page import report_page, returned_or_written
from ._words import outlook_line, plain, report_dict, summary_lines


class ReportForms:
    """Forms of a fitted `GeneralizationReport`."""

    _all_claims: Any

    def summary(self) -> str:
        """Return the report in words.

        Returns
        -------
        str
            Some lines.

        Raises
        ------
        NotFittedError
            If the report is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> print(GeneralizationReport(Ridge(0.1)).fit(X, y).summary())
        Predicted R^2 on fresh rows: 0.494 (95 % interval 0.404 to 0.571).
        Rows are held out in closed form, exactly.
        Theory predicts 0.494: it agrees with held-out rows (p = 0.61).
        Predicted with twice the rows: 0.499; with ten times: 0.504.
        """
        check_is_fitted(self)
        return "\n".join([*summary_lines(self), outlook_line(self)])

    def to_frame(self) -> Any:
        """Return all metrics as a table.

        Returns
        -------
        pandas.DataFrame
            One row per metric, by its name in scikit-learn: score, bounds of its 95 % interval,
            and the score of a constant guess.

        Raises
        ------
        NotFittedError
            If the report is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> GeneralizationReport(Ridge(0.1)).fit(X, y).to_frame().round(2).loc["r2"].tolist()
        [0.49, 0.4, 0.57, 0.0]
        """
        check_is_fitted(self)
        pandas = import_optional("pandas", "cli")
        rows = {name: tuple(claim) for name, claim in self._all_claims().items()}
        columns = ["score", "lower", "upper", "baseline"]
        return pandas.DataFrame.from_dict(rows, orient="index", columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return every number of the report in plain types, None where one is not known.

        The forecast is measured if it has not been, which takes ten fits of estimators without a
        theory.

        Returns
        -------
        dict
            Scores, intervals, baselines, confusion or predictions, forecast, noise and checks.

        Raises
        ------
        NotFittedError
            If the report is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> found = GeneralizationReport(Ridge(0.1)).fit(X, y).to_dict()
        >>> found["scoring"], found["n_samples"]
        ('r2', 442)
        """
        check_is_fitted(self)
        return plain(report_dict(self, measure=True))

    def to_html(self, path: str | PathLike[str] | None = None) -> str | None:
        """Return the report as a page, or write it to a file.

        The page needs no script and no network, and is readable on a telephone and in the dark.

        Parameters
        ----------
        path : str or path-like, default=None
            The file.

        Returns
        -------
        str or None
            The page if `path` is None.

        Raises
        ------
        NotFittedError
            If the report is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import GeneralizationReport
        >>> X, y = load_diabetes(return_X_y=True)
        >>> GeneralizationReport(Ridge(0.1)).fit(X, y).to_html()[:15]
        '<!DOCTYPE html>'
        """
        check_is_fitted(self)
        page = report_page(report_dict(self, measure=True), whole=True)
        return returned_or_written(page, path)
