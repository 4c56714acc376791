"""Fit clusters to views and collect what is to be said about them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from sklearn.utils import check_random_state

from ..linalg import to_numpy
from ..theory import nested_tensor
from ..theory.nested_tensor import (
    bayes_accuracy,
    matrix_spike,
    missing_views,
    overlap_accuracy,
    unequal_views,
)
from ..utils._dask import is_dask
from ..utils._rows import row_values
from ._concatenated import concatenated_core
from ._cores import normalised, stacked_core
from ._heads import (
    embedding_scales,
    interval,
    many_clusters,
    message_passing,
    n_columns,
    two_clusters,
)
from ._view_products import combine_views

METHODS = ("unfolding", "tensor", "two_step", "nested_ml")
_BY_BLOCKS = ("two_step", "nested_ml")
_ROUNDS = 30
_AS_GOOD = 1e-3


class Problem(NamedTuple):
    """What is clustered.

    Attributes
    ----------
    stack : ViewStack or None
        Views of equal width.
    views : list or None
        Views of unequal widths.
    view_noise : str
        What is known of the noise of the views.
    noise_scale : ndarray of shape (m,) or None
        Standard deviations of the noise.
    shape : tuple of int
        Numbers of samples, features and views.
    """

    stack: object
    views: list | None
    view_noise: str
    noise_scale: np.ndarray | None
    shape: tuple

    @property
    def width(self):
        """Number of columns of the matrix whose components are taken."""
        return self.shape[1]


def fit_views(estimator, problem):
    """Fit clusters."""
    options = {
        "tol": estimator.tol,
        "max_iter": estimator.max_iter,
        "seed": int(check_random_state(_entropy(estimator.random_state)).randint(2**31 - 1)),
        "threshold": estimator.threshold,
        "n_bootstrap": estimator.n_bootstrap,
        "n_jobs": estimator.n_jobs,
    }
    core, method = _core(estimator, problem, options)
    n, width = problem.shape[0], _matrix_width(core, method)
    inside, outside = embedding_scales(core, width)
    q = n_columns(core, estimator.n_clusters)
    variances = _sample_noise(core, problem)
    embedding = core.components.left[:, :q] * inside[:q]
    if variances is not None:
        embedding = _incomplete_embedding(core, embedding, variances)
    model_accuracy = _model_accuracy(core, problem, method)
    if estimator.n_clusters == 2:
        head = two_clusters(core, embedding, model_accuracy, options)
    else:
        head = many_clusters(core, embedding, estimator.n_clusters, options)
    fitted = {
        "_head": head,
        "_loadings": [loading[:, :q] * outside[:q] for loading in core.loadings],
        "_core": _kept(core),
        "_amp_loadings": None,
        "embedding_": embedding,
        "labels_": head.labels(_weighted(embedding, core, variances)),
    }
    head = _refine(estimator, problem, core, head, fitted)
    fitted["_head"] = head
    span = interval(core, head, (n, width), options)
    fitted.update(_attributes(problem, core, head, method, span, fitted, n))
    fitted["n_iter_"] = max(1, core.n_iter, head.n_iter)
    fitted["converged_"] = bool(core.converged)
    return fitted, _complaints(core, head), core.converged


def _entropy(random_state):
    """Return a source of randomness that leaves the global one alone."""
    return (
        np.random.RandomState(np.random.SeedSequence().generate_state(4))
        if (random_state is None)
        else random_state
    )


def _core(estimator, problem, options):
    """Return the core and the method that made it."""
    if problem.views is not None:
        return concatenated_core(problem.views, estimator.scaling), "concatenated"
    method = estimator.method
    chosen = "two_step" if method == "auto" else method
    noise = problem.noise_scale
    core = stacked_core(problem.stack, chosen, problem.view_noise, noise, options)
    if method == "auto" and problem.stack.mask is None:
        table = _table(core, problem)
        choice = _BY_BLOCKS if is_dask(problem.stack.X) else METHODS
        best = max(choice, key=lambda name: table[name])
        if table[best] > table["two_step"] + _AS_GOOD and problem.view_noise != "full":
            return stacked_core(problem.stack, best, problem.view_noise, noise, options), best
    return core, chosen


def _matrix_width(core, method):
    """Return the number of columns of the matrix whose components were taken."""
    widths = [len(mean) for mean in core.means]
    return sum(widths) if method in ("unfolding", "concatenated") else widths[0]


def _kept(core):
    """Return the core without what only the training samples need."""
    empty = core.components._replace(
        left=np.zeros((0, 0)), right=np.zeros((0, 0)), eigenvalues=core.components.eigenvalues
    )
    return core._replace(components=empty, loadings=[])


def _sample_noise(core, problem):
    """Return the noise variance of every sample where views are missing, else None."""
    if problem.stack is None or problem.stack.mask is None:
        return None
    precisions = problem.stack.mask @ (core.model["strengths"] ** 2 / core.noise)
    return core.model["within"] + 1 / precisions


def _incomplete_embedding(core, embedding, variances):
    """Return the scores of incomplete samples, each in units of its own noise."""
    v = core.spectrum.noise_variance
    n = len(embedding)
    norms = np.sqrt((embedding**2).mean(axis=0))
    first = core.model["signal"] / n
    wanted = np.sqrt((first + variances.mean()) / v) if first else 1.0
    return embedding / np.maximum(norms, 1e-300) * wanted * np.sqrt(v / variances)[:, None]


def _weighted(embedding, core, variances):
    """Return the embedding with noisy samples drawn towards indecision."""
    if variances is None:
        return embedding
    return embedding * np.sqrt(core.spectrum.noise_variance / variances)[:, None]


def _model_accuracy(core, problem, method):
    """Return the accuracy of two balanced clusters under the model."""
    if "limit" in core.model:
        return float(core.model["limit"].accuracy)
    if not core.spectrum.n_spikes:
        return 0.5
    n, p, _ = problem.shape
    if problem.stack.mask is not None:
        limit = missing_views(
            problem.stack.mask,
            n_features=p,
            signal=core.model["signal"] / n,
            noise=core.noise / core.model["strengths"] ** 2,
            within=core.model["within"],
        )
        return limit.accuracy
    if core.overlap is not None:
        return float(overlap_accuracy(core.overlap))
    return _spike_accuracy(core.model["signal"], core.spectrum.noise_variance, n, p)


def _spike_accuracy(signal, noise_variance, n_samples, n_features):
    """Return the accuracy of the first component."""
    if noise_variance <= 0:
        return 1.0
    spike = matrix_spike(signal, noise_variance, n_samples, n_features)
    return float(overlap_accuracy(np.clip(spike.sample_overlap, 0, 1)))


def _table(core, problem):
    """Return the accuracies of all methods at the fitted parameters."""
    n, p, m = problem.shape
    if "limit" in core.model:
        return _concatenated_table(core, problem)
    signal = core.model["signal"]
    v = max(core.spectrum.noise_variance, 1e-300)
    bayes = bayes_accuracy(signal / (n * v), n / p)
    if m == 1 or not np.isfinite(core.model["precision"]):
        alone = _spike_accuracy(signal, core.spectrum.noise_variance, n, p)
        return {**dict.fromkeys((*METHODS, "oracle"), alone), "bayes": max(bayes, alone)}
    gap = nested_tensor.performance_gap(**normalised(core.model, n, p, m))
    return {name: getattr(gap, name) for name in (*METHODS, "oracle", "bayes")}


def _concatenated_table(core, problem):
    """Return the accuracies of all scalings of concatenated views."""
    model, n = core.model, problem.shape[0]
    given = (n, model["widths"], model["signals"], model["noise"])
    rules = ("optimal", "inverse_variance", "unit")
    return {rule: unequal_views(*given, weights=rule).accuracy for rule in rules}


def _refine(estimator, problem, core, head, fitted):
    """Improve two clusters by message passing, if that is asked for."""
    if estimator.refine is None or not core.spectrum.n_spikes:
        return head
    stack = problem.stack
    means = np.stack(core.means, axis=1)
    Y = combine_views(stack.X, means, core.weights)
    Y = Y if is_dask(Y) else to_numpy(Y)
    odds, direction, accuracy = message_passing(Y, core, _ROUNDS)
    fitted["labels_"] = (odds > 0).astype(np.int64)
    fitted["_amp_loadings"] = [np.outer(direction, [weight]) for weight in core.weights]
    if head.model_fit:
        head = head._replace(accuracy=accuracy)
    return head._replace(model_accuracy=accuracy)


def _attributes(problem, core, head, method, span, fitted, n):
    """Return the public attributes."""
    spectrum, model = core.spectrum, core.model
    detected = bool(spectrum.n_spikes)
    weights = core.weights / np.abs(core.weights).sum()
    attributes = {
        "theoretical_accuracy_": float(head.accuracy),
        "theoretical_accuracy_interval_": span,
        "model_accuracy_": float(head.model_accuracy),
        "accuracy_table_": _table(core, problem),
        "view_weights_": weights,
        "view_noise_": core.noise * _squared_scale(problem),
        "n_spikes_": int(spectrum.n_spikes),
        "detected_": detected,
        "model_fit_": bool(head.model_fit),
        "class_prior_": head.priors,
        "threshold_": float(head.threshold),
        "method_": method,
    }
    if "limit" in model:
        return {**attributes, **_list_attributes(model, n)}
    return {**attributes, **_stack_attributes(problem, core, head, fitted)}


def _squared_scale(problem):
    """Return the square of the scale of the views."""
    return 1.0 if problem.stack is None else problem.stack.scale**2


def _list_attributes(model, n):
    """Return what is known of views of unequal widths."""
    alone = [
        _spike_accuracy(t, s, n, p)
        for t, s, p in zip(model["signals"], model["noise"], model["widths"], strict=True)
    ]
    nan = float("nan")
    return {
        "bayes_accuracy_": nan,
        "saturation_accuracy_": nan,
        "view_accuracies_": np.array(alone),
        "overlaps_": np.array([model["limit"].sample_overlap, nan, nan]),
        "beta_t_": nan,
        "beta_m_": nan,
    }


def _stack_attributes(problem, core, head, fitted):
    """Return what the nested model says of views of equal width."""
    (n, p, m), model = problem.shape, core.model
    signal, within, precision = model["signal"], model["within"], model["precision"]
    table = _table(core, problem)
    nan = float("nan")
    known = np.isfinite(precision) and problem.view_noise in ("diagonal", "known")
    overlaps = np.array([nan, nan, nan])
    v = core.spectrum.noise_variance
    if v > 0:
        spike = matrix_spike(signal, v, n, p)
        overlaps[:2] = spike.sample_overlap, spike.feature_overlap
    saturation, beta_t, beta_m = nan, nan, nan
    if known:
        given = normalised(model, n, p, m)
        overlaps[2] = nested_tensor.two_step(**given).view_overlap
        saturation = _spike_accuracy(signal, within, n, p) if signal else 0.5
        beta_t = np.sqrt(given["tau"] * (n + p) / (n + p + m))
        beta_m = np.sqrt(signal / (within * (n + p))) if within else float("inf")
    return {
        "bayes_accuracy_": float(table["bayes"]),
        "saturation_accuracy_": float(saturation),
        "view_accuracies_": _view_accuracies(problem, core, head, fitted, known),
        "overlaps_": overlaps,
        "beta_t_": float(beta_t),
        "beta_m_": float(beta_m),
    }


def _view_accuracies(problem, core, head, fitted, known):
    """Return the accuracy of each view by itself, along the direction of all."""
    (n, p, m), model = problem.shape, core.model
    if not core.spectrum.n_spikes or head.mixture is not None or not known:
        return np.full(m, np.nan if core.spectrum.n_spikes else 0.5)
    strengths = _strengths(core)
    if head.model_fit:
        q = matrix_spike(model["signal"], core.spectrum.noise_variance, n, p).feature_overlap
        noise = model["within"] + core.noise / np.maximum(strengths**2, 1e-300)
        return np.asarray(overlap_accuracy(_as_overlap(q * model["signal"] / n / noise)))
    return _agreeing(problem, core, head, fitted, strengths)


def _as_overlap(ratio):
    """Return q with q / (1 - q) equal to a ratio."""
    return ratio / (1 + ratio)


def _strengths(core):
    """Return the strengths of the views, from their weights and noise."""
    if "strengths" in core.model:
        return core.model["strengths"]
    return core.weights * core.noise * core.model["precision"]


def _agreeing(problem, core, head, fitted, strengths):
    """Return accuracies from how often a view by itself gives the labels of all."""
    labels, X = fitted["labels_"], problem.stack.X
    loadings = [
        loading / (weight if weight else 1.0)
        for loading, weight in zip(fitted["_loadings"], core.weights, strict=True)
    ]
    shared = (core.means, loadings, np.array(head.coefficients))
    scores = row_values(_view_scores, X, shared=shared)
    scores = scores / np.where(strengths == 0, 1.0, strengths) + head.intercept
    same = ((scores > 0) == labels[:, None]).mean(axis=0)
    return same * head.accuracy + (1 - same) * (1 - head.accuracy)


def _view_scores(X, means, loadings, direction):
    """Return the score of every sample in each view by itself, (n, m)."""
    columns = [
        (np.asarray(to_numpy(X[:, :, k]), dtype=np.float64) - mean) @ loading @ direction
        for k, (mean, loading) in enumerate(zip(means, loadings, strict=True))
    ]
    return np.stack(columns, axis=1)


def _complaints(core, head):
    """Return what the user is warned of."""
    messages = list(core.messages)
    if not core.spectrum.n_spikes:
        messages.append(
            "No component stands out of the noise: the clusters are no better than chance. More "
            "samples or views may bring them out; see what_if."
        )
    elif not np.isfinite(head.accuracy):
        messages.append(
            "The accuracy cannot be told: the noise within clusters is not like that of the model, "
            "and there are more than two, or they change with the samples or directions used. See "
            "model_accuracy_ for what the model would say."
        )
    return messages
