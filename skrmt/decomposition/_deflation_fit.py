"""The three ways to decompose a tensor, and what theory says of each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..linalg import Components, best_rank_one, deflate_mode, no_components
from ..theory import deflation
from ._cp import join

_MOST_COMPARED = 4


class Prediction(NamedTuple):
    """What theory predicts for one method at an estimated signal.

    Attributes
    ----------
    alignments : ndarray of shape (r, d)
        Alignment of each estimate and the component that it is about.
    about : ndarray of shape (r,)
        Which component that is.
    coefficients : ndarray of shape (r,)
        Weights with which the estimates come closest to the signal, in noise units.
    gamma : float
        Strength of the projection; NaN where there is none.
    """

    alignments: np.ndarray
    about: np.ndarray
    coefficients: np.ndarray
    gamma: float = float("nan")

    @property
    def accuracy(self) -> float:
        """Mean overlap."""
        return float((self.alignments**2).mean()) if self.alignments.size else 0.0


def predict_joint(signal):
    """Predict the joint fit."""
    about = np.arange(len(signal.betas))
    return Prediction(np.abs(signal.alignments), about, signal.coefficients)


def predict_steps(signal, dims, gamma=None):
    """Predict deflation, one component after the other."""
    rank = len(signal.betas)
    if gamma is None:
        strength = float("nan")
        limit = deflation.hotelling(signal.betas, signal.grams, dims)
    else:
        strength = 1.0 if gamma == "auto" else float(gamma)
        if gamma == "auto" and rank > 1:
            best = deflation.optimal_gamma(signal.betas, signal.grams, dims)
            strength = best if np.isfinite(best) else 1.0
        limit = deflation.orthogonalized(signal.betas, signal.grams, dims, strength)
    steps, about = linear_sum_assignment(-np.abs(limit.alignments.prod(axis=2)))
    informative = np.isfinite(limit.singular_values)
    coefficients = np.zeros(rank)
    if informative.any():
        coefficients[informative] = deflation.optimal_coefficients(
            signal.betas,
            limit.alignments[informative],
            limit.cross_alignments[np.ix_(informative, informative)],
        )
    return Prediction(np.abs(limit.alignments[steps, about]), about, coefficients, strength)


def compare_methods(signal, dims, gamma):
    """Predict all methods."""
    predictions = {"joint": predict_joint(signal)}
    if len(signal.betas) <= _MOST_COMPARED:
        predictions["hotelling"] = predict_steps(signal, dims)
        predictions["orthogonalized"] = predict_steps(signal, dims, gamma)
    return predictions


def deflate(data, rank, gamma, options):
    """Find components one after the other."""
    tensor, found = data.tensor, no_components(data.tensor.shape)
    n_iter, converged = 0, True
    for step in range(rank):
        best = best_rank_one(
            tensor,
            minus=found if np.isnan(gamma) else None,
            n_restarts=options.n_restarts,
            tol=options.tol,
            max_iter=options.max_iter,
            seed=options.seed,
            run=options.run,
        )
        found = join(found, best.values, best.factors)
        n_iter, converged = max(n_iter, best.n_iter), converged and best.converged
        options.report(f"step {step + 1}: {best.n_iter} sweep(s)")
        if not np.isnan(gamma) and step + 1 < rank:
            first = data.modes.index(0)
            vector = best.factors[first][:, 0]
            tensor = deflate_mode(tensor, vector, first, gamma, overwrite=step > 0)
    return found, n_iter, converged


def least_squares_weights(data, components):
    """Return the weights with which unit factors come closest to the tensor."""
    factors = list(components.factors)
    products = np.einsum("pr,pr->r", data.tensor.contract_rest(factors[1:]), factors[0])
    gram = np.prod([factor.T @ factor for factor in factors], axis=0)
    weights = np.linalg.pinv(gram, hermitian=True) @ products
    factors[0] = factors[0] * np.where(weights < 0, -1.0, 1.0)
    return Components(np.abs(weights), factors)
