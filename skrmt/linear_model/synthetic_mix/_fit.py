"""From rows to the fitted attributes of a classifier on real and synthetic rows."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from ...linalg import coefficients, is_torch, loo_scores, loo_squared_error, ridge_basis, to_numpy
from ...utils._dask import is_dask
from .._input import data_unit
from ._blocks import joined, measure, on_host
from ._input import RealRows, SourceRows, as_numbers
from ._loo_accuracy import accuracy_influence, loo_accuracy, score_margins, score_temperature
from ._model import MixModel
from ._quality import NO_SOURCE, Judge, pool, second_trace
from ._scores import (
    crossfitted_scores,
    exact_scores,
    generate_folds,
    in_units,
    mix_problem,
    on_same_device,
    solve,
    stack,
    targets_like,
)
from ._search import Search, run_search
from ._source_labels import class_geometry

_N_ALPHAS = 25
_N_THRESHOLDS = 8
_FEWEST_ROWS = 10
_LEAK_LEVEL = 1e-3
_NAN = float("nan")
_NO_ACCURACY = {
    "theoretical_accuracy_": _NAN,
    "model_accuracy_": _NAN,
    "real_only_accuracy_": _NAN,
    "mix_all_accuracy_": _NAN,
    "gain_": _NAN,
    "gain_std_": _NAN,
    "effective_sample_size_": _NAN,
    "leakage_gap_": _NAN,
}


def fit_mix(estimator, rows):
    """Fit the classifier and derive every attribute of the fit."""
    rows, messages = _without_empty(rows)
    given = _given_weights(estimator.synthetic_weight, len(rows.sources))
    if rows.real is None:
        attributes, more = _fit_synthetic(estimator, rows, given)
        return attributes, messages + more
    unit = data_unit(rows.real.X)
    problem = mix_problem(rows, unit, estimator.fit_intercept, _N_THRESHOLDS)
    alphas = _penalties(estimator.alpha, rows, unit)
    folds = _folds(estimator, rows)
    exact = exact_scores(problem, alphas)
    left_out = exact if folds is None else crossfitted_scores(problem, rows, folds, alphas, unit)
    search = Search(left_out, problem.real, alphas, estimator.criterion)
    n_sources = len(rows.sources)
    ratio = rows.n_synthetic / max(len(rows.real.observed), 1)
    run_search(search, n_sources, len(problem.thresholds), given, ratio)
    choice = search.choice
    coef, intercept = (
        to_numpy(part) for part in solve(problem, choice.weights, choice.cut, choice.alpha)
    )
    attributes = {
        "coef_": (coef / unit).astype(coef.dtype),
        "intercept_": intercept,
        "alpha_": float(choice.alpha * unit**2),
        "alphas_": alphas * unit**2,
        "synthetic_weight_": choice.weights.astype(float),
        "weight_grid_": np.reshape(search.weights, (len(search.weights), n_sources)),
        "threshold_grid_": problem.thresholds[np.array(search.cuts, dtype=int)],
        "accuracy_grid_": np.array(search.accuracy, dtype=float),
        "prune_threshold_": _threshold(estimator, problem, choice),
        "score_temperature_": score_temperature(
            choice.scores, problem.real.observed, problem.real.weights
        ),
    }
    attributes |= _accuracy_attributes(search)
    gap = 0.0
    if folds is not None:
        gap = _leakage_gap(problem, choice, alphas) if n_sources else 0.0
    attributes["leakage_gap_"] = gap
    rows = rows._replace(sources=[s.pruned(problem.thresholds[choice.cut]) for s in rows.sources])
    more, extra = _diagnose(estimator, rows, problem, search, attributes, unit)
    attributes |= more
    messages += extra
    if problem.real.size < _FEWEST_ROWS:
        attributes |= dict.fromkeys(_NO_ACCURACY, np.nan)
        attributes["theoretical_accuracy_interval_"] = np.array([0.0, 1.0])
        messages.append(
            f"There are only {problem.real.size:.3g} effective real rows: no accuracy is predicted "
            f"below {_FEWEST_ROWS}, and the choice of weight and penalty is a guess. Give more "
            "real rows, or set synthetic_weight and alpha."
        )
    return attributes, messages


def _without_empty(rows):
    """Return the rows, and a warning where pruning leaves nothing."""
    if not rows.sources or any(source.kept.any() for source in rows.sources):
        return rows, list(rows.messages)
    return rows, [
        *rows.messages,
        "Pruning keeps no synthetic row of positive weight: the fit uses the real rows alone. "
        "Lower the threshold, or check keep.",
    ]


def _given_weights(synthetic_weight, n_sources):
    """Return "auto" or the checked weights of the sources."""
    if isinstance(synthetic_weight, str):
        return synthetic_weight
    weights = as_numbers("synthetic_weight", synthetic_weight)
    if not ((weights >= 0) & (weights <= 1)).all():
        raise ValueError(
            f"synthetic_weight={synthetic_weight!r} must be 'auto' or in [0, 1], the weight of a "
            "real row being 1."
        )
    if weights.ndim == 0:
        return np.full(n_sources, float(weights))
    if weights.shape != (n_sources,):
        raise ValueError(
            f"synthetic_weight={synthetic_weight!r} has shape {weights.shape}, but there are "
            f"{n_sources} synthetic sources: give one value, or one a source."
        )
    return weights


def _penalties(alpha, rows, unit):
    """Return the penalties to try, increasing, in squares of the unit."""
    if isinstance(alpha, str):
        level = _mean_variance(in_units(rows.real.X if rows.real else rows.sources[0].X, unit))
        share = 1.0 if rows.real is None else rows.real.weights.sum() / rows.total_weight
        level = level if level > 0 else 1.0
        return np.geomspace(max(1e-4 * share, 1e-7), 1e3, _N_ALPHAS) * level
    alphas = np.unique(as_numbers("alpha", alpha))
    if alphas.size == 0 or not np.isfinite(alphas).all() or alphas[0] < 0:
        raise ValueError(f"alpha={alpha!r} must be 'auto' or finite numbers that are not negative.")
    n_used = 0 if rows.real is None else len(rows.real.observed)
    n_used += sum(int(source.kept.sum()) for source in rows.sources)
    n_features = (rows.real or rows.sources[0]).X.shape[1]
    if alphas[0] == 0 and n_used <= n_features:
        raise ValueError(
            f"alpha=0 needs more rows than features, but {n_used} rows are kept and there are "
            f"{n_features} features: give a positive alpha, or 'auto'."
        )
    return alphas / unit**2


def _mean_variance(X):
    """Return the mean variance of a column."""
    if sparse.issparse(X):
        mean = np.asarray(X.mean(0)).ravel()
        return float(X.multiply(X).sum() / X.shape[0] - mean @ mean) / X.shape[1]
    over_rows = {"correction": 0} if is_torch(X) else {}
    return float(to_numpy(X.var(0, **over_rows)).astype(float).mean())


def _threshold(estimator, problem, choice):
    """Return the smallest verifier score kept; nan where scores do not prune."""
    if estimator.pruning != "score":
        return np.nan
    if not isinstance(estimator.prune_threshold, str):
        return float(estimator.prune_threshold)
    return float(problem.thresholds[choice.cut])


def _accuracy_attributes(search):
    """Return the accuracies that the left-out scores show."""
    real, choice = search.real, search.choice
    w = real.weights / real.weights.sum()
    margins = score_margins(choice.scores, real.observed)
    accuracy = float(loo_accuracy(margins, real.weights).accuracy)
    share = accuracy_influence(margins, real.weights)
    alone = score_margins(search.best["real"].scores, real.observed)
    without = accuracy_influence(alone, real.weights)
    difference = share - without
    spread = (w**2) @ (difference - w @ difference) ** 2
    mix = search.best.get("mix", search.best["real"])
    mixed = score_margins(mix.scores, real.observed)
    return {
        "theoretical_accuracy_": accuracy,
        "theoretical_accuracy_interval_": wilson_interval(accuracy, real.size),
        "real_only_accuracy_": float(loo_accuracy(alone, real.weights).accuracy),
        "mix_all_accuracy_": float(loo_accuracy(mixed, real.weights).accuracy),
        "gain_": accuracy - float(loo_accuracy(alone, real.weights).accuracy),
        "gain_std_": float(np.sqrt(spread)),
    }


def wilson_interval(share, size, z=1.96):
    """Return Wilson's 95 % interval of a share, up to 1 where less than one row is wrong."""
    scale = 1.0 + z**2 / size
    centre = (share + z**2 / (2 * size)) / scale
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / scale
    high = 1.0 if size * (1.0 - share) < 1.0 else max(centre + half, share)
    return np.clip([min(centre - half, share), high], 0.0, 1.0)


def _folds(estimator, rows):
    """Return folds with a refitted generator where it has seen the real rows, or None."""
    if estimator.generator_source != "same" or not rows.sources:
        return None
    if not callable(estimator.generator):
        raise ValueError(
            f"generator={estimator.generator!r} is not callable, but generator_source='same': "
            "give generator(X, y, n, random_state) -> (X, y), which fits the generator to rows and "
            "draws n, so that the accuracy can be judged on rows it has not seen."
        )
    if len(rows.real.observed) < 2:
        raise ValueError(
            f"generator_source='same' cross-fits, but there are {len(rows.real.observed)} distinct "
            "real rows: give two or more."
        )

    def labels(made):
        return generated_rows(estimator, rows, made)

    return generate_folds(estimator, rows, labels)


def generated_rows(estimator, rows, made):
    """Check what the generator returns."""
    expected = 2 if estimator.pruning is None else 3
    if not isinstance(made, tuple) or len(made) < expected:
        third = "" if expected == 2 else ", keep)" if estimator.pruning == "mask" else ", score)"
        raise ValueError(
            f"generator must return (X, y{third or ')'} for pruning={estimator.pruning!r}, but "
            f"returned {type(made).__name__}"
            f"{f' of length {len(made)}' if isinstance(made, tuple) else ''}."
        )
    X, y = made[0], np.asarray(to_numpy(made[1]))
    if X.shape[1] != rows.real.X.shape[1] or len(y) != X.shape[0]:
        raise ValueError(
            f"generator returned data of shape {tuple(X.shape)} and {len(y)} labels: give "
            f"{rows.real.X.shape[1]} features and one label a row."
        )
    if not np.isin(y, rows.classes).all():
        raise ValueError(
            f"generator returned labels {sorted(set(y.tolist()) - set(rows.classes.tolist()))[:5]} "
            f"that are not among the classes {rows.classes.tolist()[:10]}."
        )
    kept, score = np.ones(len(y), dtype=bool), None
    if estimator.pruning == "mask":
        kept = np.asarray(made[2], dtype=bool)
    elif estimator.pruning == "score":
        score = np.asarray(made[2], dtype=float)
        if not isinstance(estimator.prune_threshold, str):
            kept, score = score >= estimator.prune_threshold, None
    data = on_same_device(X, rows.real.X)
    return SourceRows(data, np.searchsorted(rows.classes, y), np.ones(len(y)), kept, score)


def _leakage_gap(problem, choice, alphas):
    """Return by how much exact leave-one-out exceeds the cross-fitted accuracy."""
    exact = exact_scores(problem, np.array([choice.alpha]))
    (_, scores) = next(iter(exact(choice.weights[None], np.array([choice.cut]))))
    real = problem.real
    naive = score_margins(to_numpy(scores)[:, :, 0, 0].astype(float), real.observed)
    fair = score_margins(choice.scores, real.observed)
    return float(
        loo_accuracy(naive, real.weights).accuracy - loo_accuracy(fair, real.weights).accuracy
    )


def _diagnose(estimator, rows, problem, search, attributes, unit):
    """Return what the rows show of labels, verifier and generator, and what to warn of."""
    real, n_classes = problem.real, problem.n_classes
    X = on_host(real.X)
    geometry = class_geometry(X, real.observed, real.weights, n_classes)
    second = second_trace(X, real, geometry)
    n_features = geometry.trace**2 / second if second > 0 else np.nan
    level = second / geometry.trace if geometry.trace > 0 else np.nan
    feature = geometry.trace / X.shape[1]
    alone = search.best["real"]
    coef, intercept = map(to_numpy, solve(problem, np.zeros(len(rows.sources)), 0, alone.alpha))
    factor = score_temperature(alone.scores, real.observed, real.weights)
    judge = Judge(geometry, n_features, feature, real, alone.scores, intercept, factor)
    measures = measure(rows.sources, n_classes, coef, unit)
    qualities = [
        judge.quality(source, part, n_classes)
        for source, part in zip(rows.sources, measures, strict=True)
    ]
    pooled = None
    if len(qualities) > 1:
        pooled = judge.quality(pool(rows.sources), joined(measures), n_classes)
    pooled = pooled or (qualities[0] if qualities else NO_SOURCE)
    signal = max(geometry.energy(), 0.0) / max(n_classes - 1, 1)
    model = _model(rows, real, n_classes, n_features, level, feature, signal, pooled)
    n_rows = sum(source.weights.sum() for source in rows.sources)
    weight = _mean_weight(search.choice.weights, rows.sources)
    more = {
        "noise_rate_": pooled.noise_rate,
        "keep_rates_": np.array([pooled.keep_correct, pooled.keep_incorrect]),
        "generator_shift_": np.array([pooled.mean_scale, pooled.mean_orthogonal]),
        "source_quality_": qualities,
        "snr_": float(np.sqrt(signal / level)) if level > 0 else np.nan,
        "n_effective_features_": float(n_features),
        "n_real_": rows.n_real,
        "n_synthetic_": rows.n_synthetic,
    }
    messages = _leak_messages(estimator, qualities)
    if messages and estimator.generator_source == "external":
        more["leakage_gap_"] = np.nan
    penalty = search.choice.alpha * rows.total_weight / level if level > 0 else np.nan
    return more | _model_attributes(model, n_rows, weight, attributes, penalty), messages


def _mean_weight(weights, sources):
    """Return the mean weight of a synthetic row."""
    sizes = [float(source.weights.sum()) for source in sources]
    return float(np.average(weights, weights=sizes)) if sum(sizes) else 0.0


def _model(rows, real, n_classes, n_features, level, feature, signal, quality):
    """Return the Gaussian model at the estimated parameters, or None without any."""
    if not (n_features > 0 and level > 0):
        return None
    ratio = quality.variance_ratio if np.isfinite(quality.variance_ratio) else 1.0
    orthogonal = np.nan_to_num(quality.mean_orthogonal) * np.sqrt(feature / level)
    return MixModel(
        n_classes,
        real.size,
        n_features,
        float(np.sqrt(signal / level)),
        float(np.nan_to_num(quality.mean_scale, nan=1.0)),
        float(orthogonal),
        max(float(ratio), 1e-6),
        float(np.nan_to_num(quality.noise_rate)),
        (
            float(np.nan_to_num(quality.keep_correct, nan=1.0)),
            float(np.nan_to_num(quality.keep_incorrect, nan=1.0)),
        ),
    )


def _model_attributes(model, n_rows, weight, attributes, penalty):
    """Return what the Gaussian model says of the fit."""
    if model is None:
        return {"model_accuracy_": np.nan, "effective_sample_size_": np.nan, "_model": None}
    plain = float(model.accuracy(n_rows, weight, penalty=penalty))
    fitted = model.calibrated(
        attributes["real_only_accuracy_"], attributes["theoretical_accuracy_"], n_rows, weight
    )
    size = model.n_real
    if weight > 0:
        size = fitted.equivalent_size(float(fitted.accuracy(n_rows, weight)))
    return {
        "model_accuracy_": plain,
        "effective_sample_size_": size,
        "_model": fitted,
    }


def _leak_messages(estimator, qualities):
    """Return a warning for each source that seems to have seen the real rows."""
    if estimator.generator_source == "same":
        return []
    seen = [k + 1 for k, q in enumerate(qualities) if q.leak_pvalue < _LEAK_LEVEL]
    if not seen:
        return []
    return [
        f"Synthetic source {', '.join(map(str, seen))} looks as if its generator had been fitted "
        "to these real rows (its class means reproduce their sampling error): leave-one-out then "
        "claims too much. Pass generator_source='same' with the generator as a callable."
    ]


def _fit_synthetic(estimator, rows, given):
    """Fit synthetic rows where there is no real one."""
    if any(is_dask(source.X) for source in rows.sources):
        raise ValueError(
            "There is no real row, and synthetic rows are a dask array: give real rows, or fit the "
            "synthetic ones in memory, after compute()."
        )
    sources = [source.select(source.kept) for source in rows.sources]
    weights = np.ones(len(sources)) if isinstance(given, str) else given
    used = [k for k, part in enumerate(sources) if len(part.observed) and weights[k] > 0]
    if not used:
        raise ValueError(
            "There is no real row, and no synthetic row is kept with a positive weight: give real "
            "rows, or keep some synthetic ones."
        )
    unit = data_unit(sources[used[0]].X)
    data = stack([in_units(sources[k].X, unit) for k in used])
    observed = np.concatenate([sources[k].observed for k in used])
    row_weights = np.concatenate([weights[k] * sources[k].weights for k in used])
    part = RealRows(data, observed, row_weights)
    alphas = _penalties(estimator.alpha, rows, unit)
    basis = ridge_basis(
        data, row_weights, fit_intercept=estimator.fit_intercept, total_weight=rows.total_weight
    )
    targets = targets_like(part, len(rows.classes))
    error = to_numpy(loo_squared_error(basis, targets, alphas)).sum(1)
    alpha = float(alphas[int(np.argmin(error))])
    coef, intercept = (to_numpy(array) for array in coefficients(basis, targets, alpha))
    scores = to_numpy(loo_scores(basis, targets, alpha)[0]).astype(float)
    attributes = {
        "coef_": (coef / unit).astype(coef.dtype),
        "intercept_": intercept,
        "alpha_": alpha * unit**2,
        "alphas_": alphas * unit**2,
        "synthetic_weight_": weights,
        "weight_grid_": weights[None],
        "threshold_grid_": np.array([-np.inf]),
        "accuracy_grid_": np.full((1, len(alphas)), np.nan),
        "prune_threshold_": _NAN,
        "score_temperature_": score_temperature(
            scores.reshape(len(scores), -1), observed, row_weights
        ),
        "theoretical_accuracy_interval_": np.array([0.0, 1.0]),
        "noise_rate_": _NAN,
        "keep_rates_": np.full(2, np.nan),
        "generator_shift_": np.full(2, np.nan),
        "source_quality_": [],
        "snr_": _NAN,
        "n_effective_features_": _NAN,
        "n_real_": rows.n_real,
        "n_synthetic_": rows.n_synthetic,
        "_model": None,
    }
    return attributes | _NO_ACCURACY, [
        "There is no real row: the classifier is fitted to synthetic rows at weight "
        f"{np.round(weights, 3).tolist()}, and nothing can be said of its accuracy. Give some real "
        "rows."
    ]
