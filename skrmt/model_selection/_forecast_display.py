"""Learning curves told by theory, beside measured ones."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.model_selection import learning_curve

from ..exceptions import TheoryWarning
from ..inspection._display import COLOURS, new_axes, percent_axis, tidy
from ._report import GeneralizationReport


class ForecastDisplay:
    """Learning curve of a linear estimator, as theory tells it from one training set.

    Parameters
    ----------
    curve : LearningCurve
        From `GeneralizationReport.learning_curve`.
    present : tuple of (float, float, float, float)
        Rows at hand, score told, and its interval.
    measured : tuple of (ndarray of shape (m,), ndarray of shape (m, n_folds)) or None, default=None
        Numbers of training rows and scores on held-out folds.
    score_name : str, default="Accuracy"
        Name of the score.

    Attributes
    ----------
    ax_ : matplotlib axes
        Where it is drawn.
    figure_ : matplotlib figure
        Its figure.
    line_ : matplotlib line
        The curve.
    band_ : matplotlib collection
        Its band of 95 %.
    points_ : matplotlib container or None
        Measured scores.

    See Also
    --------
    GeneralizationReport : What is drawn.
    sklearn.model_selection.ForecastDisplay : Curves measured by cross-validation alone.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from skrmt.datasets import make_noisy_mixture
    >>> from skrmt.model_selection import ForecastDisplay
    >>> X, y, _, _ = make_noisy_mixture(300, 50, noise_rates=None, random_state=0)
    >>> display = ForecastDisplay.from_theory(RidgeClassifier(10.0), X, y)
    >>> display.ax_.get_xlabel()
    'Training rows'
    """

    def __init__(self, curve, *, present, measured=None, score_name="Accuracy"):
        self.curve = curve
        self.present = present
        self.measured = measured
        self.score_name = score_name

    @classmethod
    def from_theory(
        cls,
        estimator,
        X=None,
        y=None,
        *,
        train_sizes=None,
        noise_rates=None,
        sample_weight=None,
        measured=False,
        cv=5,
        n_jobs=None,
        ax=None,
    ):
        """Draw the curve of an estimator, or of a report.

        Parameters
        ----------
        estimator : estimator or GeneralizationReport
            What `GeneralizationReport` takes; or a fitted report, without X and y.
        X : array-like or sparse matrix of shape (n, p), optional
            Training rows.
        y : array-like of shape (n,), optional
            Labels or targets.
        train_sizes : array-like of float of shape (m,), optional
            Numbers of training rows, which may exceed those at hand; from an eighth to ten times
            them by default.
        noise_rates : float or array-like of shape (K,), optional
            Rates of wrong labels of the curve, see `GeneralizationReport.learning_curve`.
        sample_weight : array-like of shape (n,), optional
            Weights of the rows.
        measured : bool, default=False
            Also measure scores by cross-validation, at up to six sizes within the rows at hand.
        cv : int, cross-validation generator or iterable, default=5
            Folds of the measurement.
        n_jobs : int, optional
            Number of processes of the measurement.
        ax : matplotlib axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ForecastDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If X and y are missing for an estimator, or given with a report.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn.linear_model import Ridge
        >>> from skrmt.model_selection import ForecastDisplay
        >>> X, y = load_diabetes(return_X_y=True)
        >>> display = ForecastDisplay.from_theory(Ridge(0.1), X, y, measured=True)
        >>> display.score_name
        'R^2'
        """
        given = isinstance(estimator, GeneralizationReport)
        if given == (X is not None or y is not None) or (X is None) != (y is None):
            raise ValueError(
                "give X and y with an estimator, and neither with a GeneralizationReport: got "
                f"{type(estimator).__name__} with {'' if X is not None else 'no '}X and "
                f"{'' if y is not None else 'no '}y."
            )
        report = estimator
        if not given:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", TheoryWarning)
                report = GeneralizationReport(estimator).fit(X, y, sample_weight)
        report._check_fitted()
        if measured and given:
            raise ValueError("measured=True needs the estimator, X and y: pass them instead.")
        n = report.n_effective_samples_
        sizes = np.geomspace(max(n / 8, 4), 10 * n, 40) if train_sizes is None else train_sizes
        curve = report.learning_curve(sizes, noise_rates=noise_rates)
        name = "Accuracy" if hasattr(report, "theoretical_accuracy_") else "R^2"
        points = _measure(report.estimator, X, y, cv, n_jobs) if measured else None
        present = (n, report.theoretical_score_, *report.theoretical_score_interval_)
        return cls(curve, present=present, measured=points, score_name=name).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib axes, optional
            Where to draw; a new figure by default.

        Returns
        -------
        ForecastDisplay
            The display.
        """
        ax = new_axes(ax)
        curve, blue = self.curve, COLOURS["blue"]
        (self.line_,) = ax.plot(curve.n_samples, curve.score, color=blue, label="Told by theory")
        self.band_ = ax.fill_between(
            curve.n_samples, curve.lower, curve.upper, color=blue, alpha=0.15, linewidth=0
        )
        n, score, low, high = self.present
        ax.errorbar(
            [n],
            [score],
            [[score - low], [high - score]],
            color=COLOURS["black"],
            marker="o",
            capsize=3,
            label="Told of the rows at hand",
        )
        self.points_ = None
        if self.measured is not None:
            sizes, scores = self.measured
            self.points_ = ax.errorbar(
                sizes,
                scores.mean(axis=1),
                scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1]),
                color=COLOURS["vermilion"],
                marker="s",
                linestyle="none",
                capsize=3,
                label="Measured",
            )
        ax.set(xscale="log", xlabel="Training rows", ylabel=self.score_name)
        if self.score_name == "Accuracy":
            percent_axis(ax.yaxis)
        ax.legend(frameon=False)
        tidy(ax, "both")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _measure(estimator, X, y, cv, n_jobs):
    """Return sizes and scores of a learning curve by cross-validation."""
    sizes, _, scores = learning_curve(
        estimator,
        X,
        y,
        train_sizes=np.geomspace(0.15, 1.0, 6),
        cv=cv,
        n_jobs=n_jobs,
        shuffle=True,
        random_state=0,
    )
    return sizes, scores
