"""Real rows with synthetic ones of imperfect generators, and a generator to make them."""

from __future__ import annotations

import numbers
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.covariance import ledoit_wolf, oas
from sklearn.utils.validation import check_is_fitted

from ..utils._checks import check_sample_weight
from ..utils._fit import restore_on_failure
from ..utils._labels import label_codes
from ..utils._pickles import VersionedMixin
from ..utils._random import fresh_random_state
from ..utils._scaling import unit_of
from ..utils._sklearn_compat import Interval, StrOptions, _fit_context, validate_data

_JITTER = 1e-10


class SyntheticMix(NamedTuple):
    """Real rows with right labels, and synthetic ones with partly wrong labels.

    Attributes
    ----------
    X : ndarray of shape (n, n_features)
        Real rows, then synthetic ones.
    y : ndarray of shape (n,)
        Observed labels.
    y_clean : ndarray of shape (n,)
        Right labels.
    sample_source : ndarray of int of shape (n,)
        0 for a real row, 1 for a synthetic one.
    keep : ndarray of bool of shape (n,)
        Whether the verifier keeps the row; True for real ones.
    verifier_score : ndarray of shape (n,)
        Uniform in [0, 1] where `keep` holds, in [-1, 0) elsewhere.
    X_test : ndarray of shape (n_test, n_features)
        Further real rows.
    y_test : ndarray of shape (n_test,)
        Their labels.
    """

    X: np.ndarray
    y: np.ndarray
    y_clean: np.ndarray
    sample_source: np.ndarray
    keep: np.ndarray
    verifier_score: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def make_synthetic_mix(
    n_real: int = 200,
    n_synthetic: int = 1000,
    n_features: int = 100,
    *,
    n_classes: int = 2,
    mean_norm: float = 1.5,
    noise_rate: float = 0.2,
    keep_correct: float = 1.0,
    keep_incorrect: float = 1.0,
    mean_scale: float = 1.0,
    mean_orthogonal: float = 0.0,
    synthetic_variance: float = 1.0,
    n_test: int = 0,
    random_state: int | RandomState | None = None,
) -> SyntheticMix:
    """Draw real rows, and synthetic ones of an imperfect generator with wrong labels.

    Parameters
    ----------
    n_real, n_synthetic : int, default=200, 1000
        Real rows, and synthetic ones before pruning.
    n_features : int, default=100
        Features.
    n_classes : int, default=2
        Classes: labels -1 and +1 for two, 0, ..., K - 1 for more.
    mean_norm : float, default=1.5
        Norm of the mean of the positive class (the other has the opposite), in standard deviations
        of a real feature; for K > 2 class means are ``s (e_k - 1/K)`` with ``s = sqrt(K)`` times
        it, the simplex whose theory is that of two classes.
    noise_rate : float, default=0.2
        Probability that a synthetic label is wrong, uniform over the other classes.
    keep_correct, keep_incorrect : float, default=1.0
        Probability that the verifier keeps a right label, and a wrong one.
    mean_scale : float, default=1.0
        Synthetic class means along the real ones.
    mean_orthogonal : float, default=0.0
        Norm of the rest of the synthetic mean, on features without signal.
    synthetic_variance : float, default=1.0
        Variance of a synthetic feature within classes.
    n_test : int, default=0
        Further real rows.
    random_state : int, RandomState instance or None, default=None
        Seed.

    Returns
    -------
    SyntheticMix
        Rows with their labels, sources and verifier's decisions, and test rows.

    Raises
    ------
    ValueError
        If an argument is out of its domain.

    See Also
    --------
    skrmt.linear_model.SyntheticMixClassifier : Weighs the rows.
    skrmt.theory.synthetic_mix.isotropic_mix : The exact accuracy for two classes.

    References
    ----------
    "Maximizing the Potential of Synthetic Data: Insights from Random Matrix Theory",
    arXiv:2410.08942.

    Examples
    --------
    >>> from skrmt.datasets import make_synthetic_mix
    >>> data = make_synthetic_mix(50, 100, 10, random_state=0)
    >>> data.X.shape, data.sample_source.sum()
    ((150, 10), np.int64(100))
    """
    _check_counts(n_real=n_real, n_synthetic=n_synthetic, n_test=n_test)
    if not isinstance(n_classes, numbers.Integral) or int(n_classes) < 2:
        raise ValueError(f"n_classes={n_classes!r} must be an integer, at least 2.")
    n_classes = int(n_classes)
    least = n_classes + (1 if n_classes == 2 else n_classes) * (mean_orthogonal != 0)
    if not isinstance(n_features, numbers.Integral) or n_features < least:
        raise ValueError(f"n_features={n_features!r} must be an integer, at least {least}.")
    rates = {
        "noise_rate": noise_rate,
        "keep_correct": keep_correct,
        "keep_incorrect": keep_incorrect,
    }
    for name, value in rates.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}={value!r} must be a probability, in [0, 1].")
    for name, value in {"mean_norm": mean_norm, "synthetic_variance": synthetic_variance}.items():
        if not (0 <= value < np.inf):
            raise ValueError(f"{name}={value!r} must be finite and not negative.")
    rng = fresh_random_state(random_state)
    means = _class_means(n_classes, n_features, mean_norm)
    shift = np.roll(_class_means(n_classes, n_features, mean_orthogonal), n_classes, axis=1)
    real = rng.randint(n_classes, size=n_real)
    made = rng.randint(n_classes, size=n_synthetic)
    X = means[real] + rng.standard_normal((n_real, n_features))
    generated = mean_scale * means[made] + shift[made]
    generated += np.sqrt(synthetic_variance) * rng.standard_normal((n_synthetic, n_features))
    wrong = rng.random_sample(n_synthetic) < noise_rate
    others = rng.randint(1, n_classes, size=n_synthetic)
    seen = np.where(wrong, (made + others) % n_classes, made)
    kept = rng.random_sample(n_synthetic) < np.where(wrong, keep_incorrect, keep_correct)
    score = rng.random_sample(n_real + n_synthetic)
    keep = np.concatenate([np.ones(n_real, dtype=bool), kept])
    test = rng.randint(n_classes, size=n_test)
    X_test = means[test] + rng.standard_normal((n_test, n_features))
    labels = np.array([-1, 1]) if n_classes == 2 else np.arange(n_classes)
    return SyntheticMix(
        X=np.concatenate([X, generated]),
        y=labels[np.concatenate([real, seen])],
        y_clean=labels[np.concatenate([real, made])],
        sample_source=np.repeat([0, 1], [n_real, n_synthetic]),
        keep=keep,
        verifier_score=np.where(keep, score, score - 1.0),
        X_test=X_test,
        y_test=labels[test],
    )


def _check_counts(**counts):
    """Raise if a number of rows is no integer, or negative."""
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or value < 0:
            raise ValueError(f"{name}={value!r} must be an integer, not negative.")


def _class_means(n_classes, n_features, norm):
    """Return class means, (K, p): opposite for two classes, a simplex for more."""
    means = np.zeros((n_classes, n_features))
    if n_classes == 2:
        means[:, 0] = [-norm, norm]
        return means
    simplex = np.eye(n_classes) - 1.0 / n_classes
    means[:, :n_classes] = norm * np.sqrt(n_classes) * simplex
    return means


class GaussianGenerator(VersionedMixin, BaseEstimator):
    """Generator of labelled rows: one Gaussian per class.

    Parameters
    ----------
    covariance : {"ledoit_wolf", "oas", "diagonal", "spherical"} or float, default="ledoit_wolf"
        Estimate of each class covariance: shrunk to a multiple of the identity by the formulas of
        Ledoit and Wolf, or of Chen et al. ("oas"), or by a given share in [0, 1]; its diagonal; or
        the mean of its diagonal.
    noise_rate : float, default=0.0
        Share of labels drawn wrong, uniform over the other classes.
    random_state : int, RandomState instance or None, default=None
        Seed of `sample`.

    Attributes
    ----------
    classes_ : ndarray of shape (K,)
        Labels, sorted.
    priors_ : ndarray of shape (K,)
        Frequencies of the classes.
    means_ : ndarray of shape (K, n_features)
        Class means.
    covariances_ : ndarray of shape (K, n_features, n_features)
        Class covariances; a class of one row has that of all rows about their class means.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the features, where X had any.

    See Also
    --------
    skrmt.linear_model.SyntheticMixClassifier : Takes an instance as `generator`.

    Notes
    -----
    NumPy computes everything: torch tensors are copied.

    Examples
    --------
    >>> import numpy as np
    >>> from skrmt.datasets import GaussianGenerator
    >>> X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    >>> new_X, new_y = GaussianGenerator(random_state=0).fit(X, y).sample(100)
    >>> new_X.shape, np.bincount(new_y)
    ((100, 3), array([50, 50]))
    """

    _parameter_constraints: dict = {
        "covariance": [
            StrOptions({"ledoit_wolf", "oas", "diagonal", "spherical"}),
            Interval(numbers.Real, 0, 1, closed="both"),
        ],
        "noise_rate": [Interval(numbers.Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        covariance: Literal["ledoit_wolf", "oas", "diagonal", "spherical"] | float = "ledoit_wolf",
        *,
        noise_rate: float = 0.0,
        random_state: int | RandomState | None = None,
    ) -> None:
        self.covariance = covariance
        self.noise_rate = noise_rate
        self.random_state = random_state

    @restore_on_failure
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Estimate mean and covariance of each class.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
            Rows.
        y : array-like of shape (n,)
            Labels.
        sample_weight : array-like of shape (n,), optional
            Weights; classes without weight are left out.

        Returns
        -------
        GaussianGenerator
            The fitted generator.
        """
        rows, labels = validate_data(self, X, y, dtype=np.float64)
        weights = check_sample_weight(sample_weight, len(labels))
        rows, labels, weights = rows[weights > 0], labels[weights > 0], weights[weights > 0]
        self.classes_, codes = label_codes(labels)
        member = np.eye(len(self.classes_))[codes] * weights[:, None]
        self.priors_ = member.sum(0) / weights.sum()
        self.means_ = (member / member.sum(0)).T @ rows
        residual = (rows - self.means_[codes]) * np.sqrt(weights)[:, None]
        pooled = self._shrunk(residual, weights)
        self.covariances_ = np.stack(
            [
                self._shrunk(residual[codes == k], weights[codes == k])
                if (codes == k).sum() > 1
                else pooled
                for k in range(len(self.classes_))
            ]
        )
        return self

    def _shrunk(self, residual, weights):
        """Return the covariance of centred rows, already multiplied by the roots of the weights."""
        scaled = residual / np.sqrt(weights.mean())
        unit = unit_of(float(np.abs(scaled).max()))
        return unit**2 * self._shrunk_moderate(scaled / unit)

    def _shrunk_moderate(self, scaled):
        """Return the covariance of rows whose fourth powers do not overflow."""
        if self.covariance in ("ledoit_wolf", "oas"):
            estimate = ledoit_wolf if self.covariance == "ledoit_wolf" else oas
            return np.atleast_2d(estimate(scaled, assume_centered=True)[0])
        matrix = scaled.T @ scaled / len(scaled)
        if self.covariance == "diagonal":
            return np.diag(np.diag(matrix))
        level = np.trace(matrix) / len(matrix) * np.eye(len(matrix))
        share = 1.0 if self.covariance == "spherical" else float(self.covariance)
        return (1.0 - share) * matrix + share * level

    def sample(
        self, n_samples: int = 1, random_state: int | RandomState | None = None
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Draw rows, classes in the proportions of the fit up to rounding.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed; that of the generator by default.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows.
        y : ndarray of shape (n_samples,)
            Labels, a share `noise_rate` of them wrong.
        """
        check_is_fitted(self)
        _check_counts(n_samples=n_samples)
        rng = fresh_random_state(self.random_state if random_state is None else random_state)
        edges = np.round(np.concatenate([[0.0], np.cumsum(self.priors_)]) * n_samples).astype(int)
        codes = np.repeat(np.arange(len(self.classes_)), np.diff(edges))
        X = rng.standard_normal((n_samples, self.n_features_in_))
        for k in range(len(self.classes_)):
            rows = codes == k
            X[rows] = self.means_[k] + X[rows] @ _root(self.covariances_[k])
        order = rng.permutation(n_samples)
        X, codes = X[order], codes[order]
        if self.noise_rate and len(self.classes_) > 1:
            wrong = rng.random_sample(n_samples) < self.noise_rate
            step = rng.randint(1, len(self.classes_), size=n_samples)
            codes = np.where(wrong, (codes + step) % len(self.classes_), codes)
        return X, self.classes_[codes]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def __call__(self, X, y, n, random_state=None):
        """Fit a clone and draw rows from it: the form in which estimators take a generator."""
        return clone(self).fit(X, y).sample(n, random_state)


def _root(covariance):
    """Return the symmetric root of a covariance, singular ones included.

    Unlike the eigenvectors, whose signs the linear algebra library chooses, it is unique: a seed
    draws the same rows on every machine.
    """
    values, vectors = np.linalg.eigh(covariance)
    floor = _JITTER * max(values[-1], 0.0)
    return (vectors * np.sqrt(np.where(values > floor, values, 0.0))) @ vectors.T
