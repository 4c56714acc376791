"""What a fit claims: the agreement of its labels of fresh samples with a fit to many more."""

from __future__ import annotations

import numpy as np
from joblib import Parallel, delayed
from scipy.special import ndtri

from ..theory.nested_tensor import matrix_spike, missing_views, unequal_views
from ._agreement import (
    Agreement,
    agreement_of_halves,
    interval_of_model,
    mixture_agreement,
    model_agreement,
)
from ._clusters import triangular_draw
from ._combination import ConcatenatedModel
from ._factor import spiked_spectrum
from ._solution import (
    Options,
    Solution,
    Views,
    decide,
    labels_of,
    row_keys,
    sampled_rows,
    solve,
    taken,
)
from ._view_products import leading_components

_MANY = 1e6
"""Times the samples that count as any number."""

_FARTHEST = 8.0
"""Half the distance of clusters, in standard deviations, from which all samples are right."""


def claimed_agreement(
    views: Views, solution: Solution, options: Options, n_bootstrap: int, n_jobs: int | None
) -> Agreement:
    """Return the agreement of labels of fresh samples with those of a fit to many more."""
    if not solution.combined.spectrum.n_spikes:
        return Agreement.unknown(1 / options.n_clusters)
    if options.n_clusters == 1:
        return Agreement(1.0, np.ones(2))
    if solution.is_nested and solution.clusters.model_fit:
        return _under_the_model(views, solution, options.seed, n_bootstrap, n_jobs)
    keys = row_keys(views)
    rows = sampled_rows(keys, options.seed)
    sample = taken(views, rows)

    def fit(half, other):
        both = taken(sample, np.concatenate([half, other]))
        return tuple(
            labels_of(decide(solve(taken(sample, r), options), both)) for r in (half, other)
        )

    try:
        found = agreement_of_halves(keys[rows], fit, options.n_clusters, options.seed)
    except ValueError:
        # A half may lack what a fit needs: a view that varies, or views that are seen together.
        return Agreement.unknown()
    return found.in_doubt(solution.doubt, views.shape[0])


def _under_the_model(views, solution, seed, n_bootstrap, n_jobs):
    """Return the agreement under the model of white noise, in closed form."""
    combined, clusters, n = solution.combined, solution.clusters, views.shape[0]
    if clusters.mixture is not None:
        value = _of_mixture(combined, clusters.mixture, views.shape, seed)
    else:
        prior = float(clusters.priors[1])
        fitted, true = _distances(views, solution)
        # Classes of unequal size are further apart than equal ones of the same variance.
        unit = 2 * np.sqrt(prior * (1 - prior))
        value = model_agreement(fitted / unit, true / unit, prior, clusters.threshold == 0)
    plain = not isinstance(combined.model, ConcatenatedModel)
    if n_bootstrap and plain and clusters.mixture is None:
        return Agreement(value, _bootstrap(combined, value, n_bootstrap, n_jobs, seed))
    error = _error(combined, views.shape) if plain else (1 - value) / 4
    return Agreement(value, interval_of_model(value, error, n))


def _distances(views, solution):
    """Return half the distances of clusters along the fitted direction and along the true one."""
    (n, p, _), combined = views.shape, solution.combined
    model, v = combined.model, combined.spectrum.noise_variance
    fitted = float(np.clip(ndtri(solution.clusters.balanced_accuracy), 0.0, _FARTHEST))
    if isinstance(model, ConcatenatedModel):
        limit = unequal_views(
            _MANY * n, model.widths, _MANY * model.signals, model.noise, model.limit.weights
        )
        return fitted, float(np.clip(ndtri(limit.accuracy), fitted, _FARTHEST))
    if views.mask is not None:
        noise = combined.noise / model.strengths**2
        missing = missing_views(
            views.mask, n_features=p, signal=model.signal / n, noise=noise, within=model.within
        )
        best = np.sqrt(model.signal / n / (model.within + 1 / (views.mask @ (1 / noise))))
        return np.sqrt(missing.feature_overlap) * best, best
    best = np.sqrt(model.signal / (n * v)) if v > 0 else _FARTHEST
    return fitted, max(fitted, min(float(best), _FARTHEST))


def _of_mixture(combined, mixture, shape, seed):
    """Return the agreement of more than two clusters."""
    n, p, _ = shape
    r, v = mixture.means.shape[1], combined.spectrum.noise_variance
    signals = np.zeros(r)
    found = np.asarray(combined.spectrum.signals[:r])
    signals[: len(found)] = found
    overlaps = np.atleast_1d(matrix_spike(signals, max(v, 1e-300), n, p).feature_overlap)
    return mixture_agreement(mixture.means, mixture.priors, np.sqrt(overlaps), seed)


def _error(combined, shape):
    """Return the standard error of the agreement that comes from that of the signal."""
    n, p, _ = shape
    v, signal = combined.spectrum.noise_variance, float(combined.spectrum.signals[0])
    if v <= 0:
        return 0.0
    beyond = max(1 - n * p * v**2 / signal**2, 1e-3)
    error, theta = np.sqrt(v / beyond), np.sqrt(signal)
    ends = [_matrix_agreement(max(theta + e, 0.0) ** 2, v, n, p) for e in (-error / 2, error / 2)]
    return abs(ends[1] - ends[0])


def _matrix_agreement(signal, v, n, p):
    """Return the agreement of the first component of a spike in white noise."""
    q = float(matrix_spike(signal, v, n, p).feature_overlap)
    best = np.sqrt(signal / (n * v))
    return model_agreement(np.sqrt(q) * best, best)


def _bootstrap(combined, value, n_bootstrap, n_jobs, seed):
    """Return the interval from draws of the model at the fitted parameters."""
    v, signal = combined.spectrum.noise_variance, float(combined.spectrum.signals[0])
    shape = len(combined.components.left), len(combined.components.right)
    seeds = np.random.SeedSequence(seed).spawn(n_bootstrap)
    gaps = Parallel(n_jobs=n_jobs, prefer="threads")(
        delayed(_bootstrap_gap)(seed, signal, v, shape) for seed in seeds
    )
    # All of a few draws may claim too much, or too little: the interval contains the claim.
    low, high = np.quantile(gaps, [0.025, 0.975]).clip([-1.0, 0.0], [0.0, 1.0])
    return np.clip([value - high, value - low], 0.0, 1.0)


def _bootstrap_gap(seed, signal, v, shape):
    """Return by how much the agreement claimed for a draw of the model exceeds its own."""
    n, p = shape
    Y = triangular_draw(seed, signal, v, shape)
    components = leading_components(Y, min(5, n - 1, p))
    spectrum = spiked_spectrum(components, n - 1, p)
    claim = 0.5
    if spectrum.n_spikes:
        claim = _matrix_agreement(float(spectrum.signals[0]), spectrum.noise_variance, n, p)
    best = np.sqrt(signal / (n * v))
    return claim - model_agreement(abs(components.right[0, 0]) * best, best)
