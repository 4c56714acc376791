"""The audit of a table: its labels, the accuracy to expect, the rows to look at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import RidgeCV

from ..exceptions import TheoryWarning
from ..linear_model import NoiseAwareLinearClassifier
from ..model_selection import GeneralizationReport
from ..model_selection._page import returned_or_written
from ..model_selection._table import is_regression, make_features, read_labels, read_numbers
from ..utils._optional import import_optional
from ..utils._wording import count, listed
from ._figure import audit_figure
from ._frames import (
    accuracy_frame,
    class_frame,
    column_frame,
    outlook_frame,
    precision_frame,
    residual_frame,
    row_frame,
)
from ._page import audit_page
from ._plain import plain_frame
from ._synthetic import weigh_synthetic
from ._words import beside, caution, doubt, headline

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PENALTIES = tuple(np.logspace(-2, 5, 15))
"""Of the ridge regression of a continuous target, on standardised columns."""


class Audit(NamedTuple):
    """What a table shows of its target: the result of `audit`.

    Attributes
    ----------
    name, target : str
        Names of the table and of its target column.
    headline : str
        The accuracy to expect under each explanation of the labels, in sentences.
    accuracy : pandas.DataFrame
        `score`, `lower` and `upper` (95 % intervals) of the accuracy if every label is right, if
        those that disagree most are mistakes, on right labels and on labels as given, balanced,
        and of always guessing the commonest label. For a continuous target the metrics of the
        report, with `baseline`.
    classes : pandas.DataFrame
        For each class the rows labelled so (`rows_labelled`), the share of them whose label looks
        wrong (`look_wrong`), and the share of rows of the true class that are labelled otherwise
        (`labelled_otherwise`, with its standard deviation); empty for a continuous target.
    rows : pandas.DataFrame
        The rows that the model disagrees with, the most suspicious first, by their index: label
        given, label suggested, probability that the label is wrong, then the columns of the table.
        For a continuous target all rows, the largest held-out errors first.
    precision : pandas.DataFrame
        Share of the first 10, 50 and 100 rows of the list that is expected to be mislabelled, on
        average over the explanations and if labels are wrong; at most 0.99.
    more_rows : pandas.DataFrame
        Accuracy on right labels along the number of rows, with labels as they are now and with
        every label right, as far as the classes are Gaussian; empty where it is not known.
    columns : pandas.DataFrame
        `kind` of each column and `remark`, why it is left out or how its values were read.
    used, notes : list of str
        What was made of the columns; what was left out, filled in or warned of.
    synthetic : Synthetic or None
        What synthetic rows are worth: a `frame` of numbers in words, and `advice`.
    model : NoiseAwareLinearClassifier or GeneralizationReport
        What was fitted: the classifier, or for a continuous target the report on ridge regression.
    """

    name: str
    target: str
    headline: str
    accuracy: Any
    classes: Any
    rows: Any
    precision: Any
    more_rows: Any
    columns: Any
    used: list[str]
    notes: list[str]
    synthetic: Any
    model: Any

    def __repr__(self) -> str:
        return f"Audit of {self.target!r}. {self.headline}"

    def _repr_html_(self) -> str:
        """Return the page for a notebook."""
        return audit_page(self, whole=False)

    @property
    def precision_summary(self) -> str:
        """How many of the first rows of the list are expected to be mislabelled, in a sentence."""
        return caution(self.precision)

    def to_html(self, path: str | PathLike[str] | None = None) -> str | None:
        """Return the audit as a page, or write it to a file.

        Parameters
        ----------
        path : str or path-like, default=None
            The file.

        Returns
        -------
        str or None
            The page if `path` is None; it needs no script, no network and no other file.
        """
        page = audit_page(self, whole=True)
        return returned_or_written(page, path)

    def to_dict(self) -> dict[str, Any]:
        """Return the audit in plain types, None where a number is not known.

        Returns
        -------
        dict
            Texts, lists, and each table as a list of its rows.
        """
        tables = ("accuracy", "classes", "rows", "precision", "more_rows", "columns")
        found = {name: plain_frame(getattr(self, name)) for name in tables}
        words = {name: getattr(self, name) for name in ("name", "target", "headline")}
        synthetic = None if self.synthetic is None else plain_frame(self.synthetic.frame)
        return words | found | {"used": self.used, "notes": self.notes, "synthetic": synthetic}

    def plot(self) -> Figure:
        """Draw the audit.

        Returns
        -------
        matplotlib.figure.Figure
            Scores or classes, what checking rows would find, and what more rows would bring; for a
            continuous target the figure of the report.
        """
        return audit_figure(self)


def audit(
    df: Any,
    target: str,
    *,
    drop: Sequence[str] = (),
    noise_rates: Literal["estimate"] | float | ArrayLike | None = "estimate",
    threshold: float | None = None,
    synthetic: Any = None,
    name: str = "table",
) -> Audit:
    """Estimate how good a model of a table can be, whether labels are wrong, and which.

    The columns are read as people and spreadsheets write them and turned into features, a linear
    classifier that allows for wrong labels is fitted, and what it says is put into tables. A
    continuous target gets a report on ridge regression in its place.

    Parameters
    ----------
    df : pandas.DataFrame or polars.DataFrame
        The table.
    target : str
        Name of the column of labels, or of numbers to predict.
    drop : list of str, default=()
        Columns that are not to be used.
    noise_rates : "estimate", None, float or array-like of shape (K,), default="estimate"
        How often labels are wrong, if it is known: see `NoiseAwareLinearClassifier`.
    threshold : float, default=None
        List the rows whose label is wrong with at least this probability. By default all rows are
        listed that the model disagrees with when it has not seen them.
    synthetic : pandas.DataFrame or polars.DataFrame, default=None
        Synthetic rows with the same columns, whose worth is estimated.
    name : str, default="table"
        What the table is called in the page.

    Returns
    -------
    Audit
        Tables, sentences and a page.

    Raises
    ------
    KeyError
        If a named column is not there.
    TypeError
        If `df` is no table.
    ValueError
        If the target has fewer than two classes, too many, or too few rows; if no column can be
        used; if another argument is out of its domain.

    See Also
    --------
    skrmt.linear_model.NoiseAwareLinearClassifier : The classifier.
    skrmt.model_selection.GeneralizationReport : Reports on any pipeline, for any metric.

    Notes
    -----
    Overlapping classes and wrong labels look the same. Both explanations are shown, with how
    probable they are, and probabilities of being wrong are averages over both [1]_. They are at
    most 0.99: a table alone cannot make one certain.

    References
    ----------
    .. [1] "High-dimensional Learning with Noisy Labels", arXiv:2405.14088.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skrmt import audit
    >>> from skrmt.datasets import flip_labels
    >>> df = load_breast_cancer(as_frame=True).frame
    >>> df["target"] = flip_labels(df["target"].to_numpy(), [0.1, 0.2], random_state=0)
    >>> found = audit(df, target="target")
    >>> print(found.headline.partition(" Probability")[0])
    If every label is right: 79 %. If the 17 % that disagree most are mistakes: 95 %.
    >>> found.precision["expected"].round(2).tolist()  # of the first 10, 50 and 100 rows
    [0.97, 0.95, 0.89]
    """
    frame = _as_frame(df)
    _check_columns(frame, [target, *drop])
    rest = list(dict.fromkeys([target, *drop]))
    if is_regression(frame[target]):
        return _audit_numbers(frame, target, rest, name, synthetic)
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"threshold={threshold!r} must be a probability, between 0 and 1.")
    labels = read_labels(frame[target])
    kept = frame[labels.kept]
    features = make_features(kept.drop(columns=rest).reset_index(drop=True), labels.values)
    model = NoiseAwareLinearClassifier(noise_rates=noise_rates)
    warned = _fit(model, features.X, labels.values)
    codes = np.searchsorted(model.classes_, labels.values)
    accuracy, precision = accuracy_frame(model, codes), precision_frame(model)
    made = None
    if synthetic is not None:
        made = weigh_synthetic(kept, labels.values, _as_frame(synthetic), target, drop)
    estimated = isinstance(noise_rates, str)
    # The regime is shown in any case; what else there is to warn of concerns rates given.
    notes = [*labels.notes, *features.notes, *_copies(kept, set(drop) - {target})]
    return Audit(
        name=name,
        target=str(target),
        headline=" ".join(filter(None, (headline(model), doubt(model), beside(accuracy)))),
        accuracy=accuracy,
        classes=class_frame(model, codes),
        rows=row_frame(model, codes, kept, threshold),
        precision=precision,
        more_rows=outlook_frame(model),
        columns=column_frame(features.columns),
        used=features.used,
        notes=notes if estimated else [*notes, *warned],
        synthetic=made,
        model=model,
    )


def _audit_numbers(frame, target, rest, name, synthetic):
    """Audit a table whose target is continuous."""
    if synthetic is not None:
        raise ValueError("synthetic rows are weighed for a target of classes only.")
    read = read_numbers(frame[target])
    kept = frame[read.kept]
    features = make_features(kept.drop(columns=rest).reset_index(drop=True), read.values)
    report = GeneralizationReport(RidgeCV(PENALTIES))
    warned = _fit(report, features.X, read.values)
    pandas = import_optional("pandas", "cli")
    low, high = report.theoretical_score_interval_
    score = report.theoretical_score_
    return Audit(
        name=name,
        target=str(target),
        headline=f"Predicted R^2 of ridge regression on fresh rows: {score:.2f} (95 % interval "
        f"{low:.2f} to {high:.2f}); 0 for always guessing the mean.",
        accuracy=report.to_frame(),
        classes=pandas.DataFrame(),
        rows=residual_frame(report, read.values, kept),
        precision=pandas.DataFrame(),
        more_rows=pandas.DataFrame(),
        columns=column_frame(features.columns),
        used=features.used,
        notes=[*read.notes, *features.notes, *warned],
        synthetic=None,
        model=report,
    )


def _as_frame(df):
    """Return a pandas table whose columns have their names as texts."""
    pandas = import_optional("pandas", "cli")
    if not isinstance(df, pandas.DataFrame) and hasattr(df, "to_pandas"):
        df = df.to_pandas()
    if not isinstance(df, pandas.DataFrame):
        raise TypeError(f"df must be a DataFrame of pandas or polars, got {type(df).__name__}.")
    frame = df.set_axis([str(column) for column in df.columns], axis=1)
    repeated = frame.columns[frame.columns.duplicated()]
    if len(repeated):
        raise ValueError(f"two columns are called {repeated[0]!r}: rename one of them.")
    return frame


def _check_columns(frame, names):
    """Raise where a named column is not there."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        columns = listed(list(frame.columns), most=12)
        raise KeyError(f"there is no column {missing[0]!r}: the columns are {columns}.")


def _fit(estimator, X, y):
    """Fit an estimator and return what it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        estimator.fit(X, y)
    return [str(item.message) for item in caught if issubclass(item.category, TheoryWarning)]


def _copies(frame, dropped):
    """Return how many rows repeat others."""
    try:
        copies = int(frame.drop(columns=list(dropped)).duplicated().sum())
    except TypeError:
        return []
    if copies == 0:
        return []
    return [f"{count(copies, 'row')} the same as another, label included: judged together."]
