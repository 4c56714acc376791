"""Labels, weights and what is known of the noise, as the user gives them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._checks import is_torch, refuse_masked, tensor_on_host
from ...utils._merging import MergedRows
from ._label_evidence import (
    class_posterior,
    estimate_prior,
    label_likelihood,
    sample_likelihood,
    symmetric_noise,
)

_TOLERANCE = 1e-6
"""How far probabilities may be from a sum of 1: rounding to six digits passes, a slip does not."""


class NoisyLabels(NamedTuple):
    """Labels of the rows and what is known of their noise.

    Attributes
    ----------
    observed : ndarray of shape (n,)
        Codes of the observed labels.
    weights : ndarray of shape (n,)
        Weights of the rows.
    part : ndarray of shape (n,)
        Part of each weight that is one observation.
    n_classes : int
        K.
    size : float
        Effective number of observations.
    noise_matrix : ndarray of shape (K, K) or None
        Noise of the labels, if it is known and the same in every row.
    likelihood : ndarray of shape (n, K) or None
        ``P(observed_i | true k)`` if the noise is known; None if it is to be learned.
    prior : ndarray of shape (K,) or None
        Frequencies of the true classes, if they are known.
    """

    observed: np.ndarray
    weights: np.ndarray
    part: np.ndarray
    n_classes: int
    size: float
    noise_matrix: np.ndarray | None = None
    likelihood: np.ndarray | None = None
    prior: np.ndarray | None = None

    @property
    def known_by_row(self):
        """Whether each row has a known noise of its own."""
        return self.likelihood is not None and self.noise_matrix is None

    @property
    def is_clean(self):
        """Whether every label is known to be right."""
        if self.likelihood is None:
            return False
        own = self.likelihood[np.arange(len(self.observed)), self.observed]
        return bool((self.likelihood.sum(1) == own).all())

    @property
    def shares(self):
        """Observed frequencies of the classes, (K,)."""
        return np.bincount(self.observed, self.weights, self.n_classes) / self.weights.sum()

    @property
    def shares_of_rows(self):
        """Share of each row in the weight, (n,)."""
        return self.weights / self.weights.sum()

    def average_noise(self, posterior):
        """Return the mean noise matrix of rows whose classes have given probabilities, (K, K)."""
        joint = posterior.T @ (self.weights[:, None] * np.eye(self.n_classes)[self.observed])
        joint = joint + 1e-12 * np.eye(self.n_classes)
        return joint / joint.sum(1, keepdims=True)

    def with_noise(self, matrix):
        """Return the labels with the same known noise in every row."""
        likelihood = label_likelihood(self.observed, matrix)
        return self._replace(noise_matrix=matrix, likelihood=likelihood)

    def with_inferred(self, stories):
        """Return the labels with what was inferred of their noise, if it is not known."""
        if self.likelihood is not None:
            return self
        return self.with_noise(stories.noise_matrix)._replace(prior=stories.prior)

    def contents(self):
        """Return what is equal where labels are: codes, and the likelihoods of the rows' own."""
        columns = self.observed[:, None]
        if self.likelihood is None or self.noise_matrix is not None:
            return columns
        return np.hstack([columns, self.likelihood])

    def merged(self, rows: MergedRows):
        """Return the labels of merged rows."""
        likelihood = None if self.likelihood is None else self.likelihood[rows.first]
        return self._replace(
            observed=self.observed[rows.first],
            weights=rows.weights,
            part=rows.part,
            size=rows.n_effective,
            likelihood=likelihood,
        )

    def implied_prior(self):
        """Return the known frequencies of the classes, or those that the labels imply."""
        if self.prior is not None:
            return self.prior
        edge = min(1.0 / self.size, 1.0 / self.n_classes)
        if self.noise_matrix is None:
            prior = estimate_prior(self.likelihood, self.weights)
        else:
            counts = np.bincount(self.observed, self.weights, self.n_classes)
            prior = estimate_prior(self.noise_matrix.T, counts)
        prior = np.clip(prior, edge, None)
        return prior / prior.sum()

    def first_targets(self):
        """Return the targets of the first fit: (n,) for two classes, (n, K) for more."""
        if self.known_by_row:
            targets = class_posterior(self.likelihood, self.implied_prior())
        else:
            targets = np.eye(self.n_classes)[self.observed]
        return targets[:, 1] - targets[:, 0] if self.n_classes == 2 else targets


def read_labels(
    observed, weights, n_classes, noise_rates, class_prior, sample_noise, label_distribution
):
    """Return the labels of the rows of positive weight and what is known of their noise."""
    kept = weights > 0
    observed, weights = observed[kept], weights[kept]
    sample_noise = rows_of("sample_noise", sample_noise, kept)
    label_distribution = rows_of("label_distribution", label_distribution, kept)
    size = float(weights.sum() ** 2 / (weights**2).sum())
    prior = _class_prior(class_prior, n_classes)
    labels = NoisyLabels(observed, weights, np.ones(len(weights)), n_classes, size, prior=prior)
    if sample_noise is not None and label_distribution is not None:
        raise ValueError("Both sample_noise and label_distribution are given: pass only one.")
    if label_distribution is not None:
        shares = _label_distribution(label_distribution, len(observed), n_classes)
        prior = weights @ shares / weights.sum() if prior is None else prior
        if (shares.max(1) == 1.0).all():
            labels = labels._replace(observed=shares.argmax(1), prior=prior)
            return labels.with_noise(np.eye(n_classes))
        likelihood = _share_likelihood(shares, prior)
        return labels._replace(observed=shares.argmax(1), likelihood=likelihood, prior=prior)
    if sample_noise is not None:
        rates = _sample_noise(sample_noise, len(observed), n_classes)
        if (rates == rates[0]).all() and rates[0].max() < 0.5:
            each = np.broadcast_to(rates[0], (n_classes,))
            return labels.with_noise(symmetric_noise(n_classes, each))
        return labels._replace(likelihood=sample_likelihood(observed, rates, n_classes))
    if isinstance(noise_rates, str):
        return labels
    return labels.with_noise(noise_matrix(noise_rates, n_classes))


def labels_of_no_fit(observed, unseen, stories, sample_noise, label_distribution):
    """Return the labels of rows that no fit has seen, -1 for no class, and their likelihoods.

    Noise or distributions of their own replace the noise of the fit.
    """
    observed = observed[unseen]
    if label_distribution is not None:
        shares = rows_of("label_distribution", label_distribution, unseen).astype(float)
        return shares.argmax(1), _share_likelihood(shares, stories.prior)
    if sample_noise is None:
        likelihood = label_likelihood(observed, stories.noise_matrix)
    else:
        rates = rows_of("sample_noise", sample_noise, unseen)
        likelihood = sample_likelihood(observed, rates, len(stories.prior))
    return observed, np.where(observed[:, None] >= 0, likelihood, 1.0)


def _share_likelihood(shares, prior):
    """Return likelihoods (n, K) that give classes of known frequencies the shares of the rows."""
    likelihood = shares / np.maximum(prior, 1e-12)
    return likelihood / np.maximum(likelihood.sum(1, keepdims=True), 1e-300)


def rows_of(name, values, kept):
    """Return the rows kept of an optional argument of `fit`."""
    if values is None:
        return None
    refuse_masked(values, name)
    values = tensor_on_host(values) if is_torch(values) else np.asarray(values)
    if values.shape[:1] != kept.shape:
        raise ValueError(f"{name} has shape {values.shape}: give one row per sample, {len(kept)}.")
    return values[kept]


def frequencies_contradict(labels):
    """Return whether the known noise cannot produce the observed frequencies, by 4 s.e."""
    if labels.noise_matrix is None:
        return False
    shares = labels.shares
    prior = estimate_prior(labels.noise_matrix.T, shares)
    gap = np.abs(prior @ labels.noise_matrix - shares)
    error = np.sqrt(np.maximum(shares * (1 - shares), 0) / labels.size)
    return bool((gap > 4.0 * error + 1e-9).any())


def noise_matrix(noise_rates, n_classes):
    """Return the noise matrix that rates of any accepted form mean."""
    rates = np.zeros(1) if noise_rates is None else np.array(noise_rates, dtype=float)
    if rates.shape not in ((), (1,), (n_classes,), (n_classes, n_classes)):
        raise ValueError(
            f"noise_rates has shape {rates.shape}, but y has {n_classes} classes: give one rate, "
            f"{n_classes} rates, or a {n_classes} x {n_classes} noise matrix."
        )
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError(f"noise_rates={noise_rates!r} must be probabilities, in [0, 1].")
    if rates.ndim == 2:
        if np.abs(rates.sum(1) - 1.0).max() > _TOLERANCE:
            raise ValueError(
                f"noise_rates has rows that sum to {rates.sum(1)}: each row of a noise matrix is "
                "P(observed | true) and must sum to 1."
            )
        matrix = rates
    else:
        matrix = symmetric_noise(n_classes, rates if rates.size > 1 else rates.reshape(-1)[:1])
    _check_informative(matrix, noise_rates)
    return matrix


def _check_informative(matrix, noise_rates):
    """Raise if observed labels say nothing of the true ones, or the opposite."""
    if len(matrix) == 2 and matrix[0, 1] + matrix[1, 0] >= 1:
        raise ValueError(
            f"noise_rates={noise_rates!r} sum to {matrix[0, 1] + matrix[1, 0]:.4g}: rates whose "
            "sum is 1 or more leave labels useless or inverted. Give rates with a sum below 1."
        )
    smallest = np.linalg.svd(matrix, compute_uv=False)[-1]
    if smallest < 1e-6 or (np.diag(matrix) <= 0).any():
        raise ValueError(
            f"noise_rates={noise_rates!r} make labels of some classes indistinguishable: give "
            "rates under which every class has a distribution of labels of its own."
        )


def _class_prior(class_prior, n_classes):
    """Return the checked frequencies of the classes, or None."""
    if class_prior is None:
        return None
    prior = np.array(class_prior, dtype=float)
    if prior.shape != (n_classes,) or not (prior > 0).all() or abs(prior.sum() - 1) > _TOLERANCE:
        raise ValueError(
            f"class_prior={class_prior!r} must be {n_classes} positive numbers with sum 1, one "
            "per class in sorted order."
        )
    return prior


def _sample_noise(sample_noise, n_samples, n_classes):
    """Return the checked rates of the rows."""
    rates = np.asarray(sample_noise, dtype=float)
    if rates.shape not in ((n_samples,), (n_samples, n_classes)):
        raise ValueError(
            f"sample_noise has shape {rates.shape}: give shape ({n_samples},) or "
            f"({n_samples}, {n_classes})."
        )
    if not ((rates >= 0) & (rates <= 1)).all():
        raise ValueError("sample_noise has values outside [0, 1]: give rates of wrong labels.")
    return rates


def _label_distribution(label_distribution, n_samples, n_classes):
    """Return the checked soft labels."""
    shares = np.asarray(label_distribution, dtype=float)
    if shares.shape != (n_samples, n_classes):
        raise ValueError(
            f"label_distribution has shape {shares.shape}: give one row per sample and one column "
            f"per class, shape ({n_samples}, {n_classes})."
        )
    if not (shares >= 0).all() or np.abs(shares.sum(1) - 1).max() > _TOLERANCE:
        raise ValueError("label_distribution has rows that are not probabilities with sum 1.")
    if not shares.any(0).all():
        raise ValueError(
            f"label_distribution has only zeros in column {shares.any(0).argmin()}: no row can "
            "have that class. Leave the class out of y and its column out."
        )
    return shares
