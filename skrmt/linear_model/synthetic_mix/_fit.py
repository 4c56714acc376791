"""From rows to what a fit with real and synthetic rows chooses, claims and estimates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from ...linalg import coefficients, is_torch, loo_scores, loo_squared_error, ridge_basis, to_numpy
from ...utils._dask import is_dask
from ...utils._merging import COPIES
from .._input import data_unit
from ._arguments import as_numbers
from ._claims import NO_CLAIM, Claim, claimed_accuracy, guarded_claim
from ._crossfit import crossfitted_scores
from ._input import MixRows
from ._judge import correction_spread, judge_errors, with_judge
from ._leak import NO_EVIDENCE, LeakEvidence, leak_evidence
from ._loo_accuracy import loo_accuracy, score_margins, score_temperature
from ._outlook import Outlook, mix_model
from ._problem import (
    MixProblem,
    exact_scores,
    in_units,
    mix_problem,
    signed_targets,
    solve,
    stack,
)
from ._quality import NO_SOURCE, SourceQuality, real_reference, source_qualities
from ._search import Search, run_search

_N_ALPHAS = 25
_GAIN_AT_RISK = 0.02
"""Claimed gain from which a leak that is not excluded matters: claims on rows made from the real
ones exceed their accuracy by about that gain."""
NO_REAL_ROW = (
    "There is no real row: the classifier is fitted to synthetic rows at the weights "
    "`synthetic_weight_`, and nothing can be said of its accuracy. Give some real rows."
)
TOO_FEW_ROWS = (
    "There are too few effective real rows, `n_effective_samples_`, to predict an accuracy, and "
    "the choice of weight and penalty is a guess. Give more real rows, or set synthetic_weight and "
    "alpha."
)
LEAK = (
    "A synthetic source looks as if its generator had been fitted to these real rows: its class "
    "means reproduce their sampling error (`leak_pvalue` in `source_quality_`), and leave-one-out "
    "would claim too much. Its rows are left out, or nothing is claimed where synthetic_weight is "
    "given. Pass generator_source='same' with the generator as a callable to use them."
)
NOTHING_KEPT = (
    "Pruning keeps no synthetic row of positive weight: the fit uses the real rows alone. Lower "
    "the threshold, or check keep."
)


class Solution(NamedTuple):
    """The classifier, and the grid from which it was chosen; penalties in the unit of the data.

    Attributes
    ----------
    coef, intercept : ndarray of shape (q, p), ndarray of shape (q,)
        Coefficients.
    alpha, alphas : float, ndarray of shape (k,)
        Penalty chosen, and those tried.
    weights, threshold : ndarray of shape (S,), float
        Weights of the sources, and smallest score kept.
    weight_grid, threshold_grid, accuracy_grid : ndarray of shape (g, S), (g,) and (g, k)
        Points tried, and their accuracies.
    scores : ndarray of shape (n, q)
        Scores of the left-out rows.
    temperature : float
        Factor that makes scores log-odds.
    """

    coef: np.ndarray
    intercept: np.ndarray
    alpha: float
    alphas: np.ndarray
    weights: np.ndarray
    threshold: float
    weight_grid: np.ndarray
    threshold_grid: np.ndarray
    accuracy_grid: np.ndarray
    scores: np.ndarray
    temperature: float


def given_weights(synthetic_weight: Any, n_sources: int) -> Any:
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
            f"{n_sources} synthetic sources: give one value, or one per source."
        )
    return weights


def penalties(alpha: Any, rows: MixRows, unit: float, *, alone: bool = False) -> np.ndarray:
    """Return the penalties to try, increasing, in squares of the unit.

    `alone` takes those of a fit that is given no synthetic row.
    """
    some = rows.real or rows.sources[0]
    if isinstance(alpha, str):
        level = _mean_variance(in_units(some.X, unit))
        share = 1.0 if rows.real is None else rows.real.weights.sum() / rows.total_weight
        level = level if level > 0 else 1.0
        if alone:
            return np.geomspace(1e-4, 1e3, _N_ALPHAS) * (level * share)
        return np.geomspace(max(1e-4 * share, 1e-7), 1e3, _N_ALPHAS) * level
    alphas = np.unique(as_numbers("alpha", alpha))
    if alphas.size == 0 or not np.isfinite(alphas).all() or alphas[0] < 0:
        raise ValueError(f"alpha={alpha!r} must be 'auto' or finite numbers that are not negative.")
    n_used = 0 if rows.real is None else len(rows.real.codes)
    n_used += sum(int(source.kept.sum()) for source in rows.sources)
    if alphas[0] == 0 and n_used <= some.X.shape[1]:
        raise ValueError(
            f"alpha=0 needs more rows than features, but {n_used} rows are kept and there are "
            f"{some.X.shape[1]} features: give a positive alpha, or 'auto'."
        )
    return alphas / unit**2


def _mean_variance(X):
    """Return the mean variance of a column."""
    if sparse.issparse(X):
        mean = np.asarray(X.mean(0)).ravel()
        return float(X.multiply(X).sum() / X.shape[0] - mean @ mean) / X.shape[1]
    over_rows = {"correction": 0} if is_torch(X) else {}
    return float(to_numpy(X.var(0, **over_rows)).astype(float).mean())


def chosen_solution(problem: MixProblem, search: Search) -> Solution:
    """Return the solution at the best point of a search, in the unit of the data."""
    choice, real, unit = search.choice, problem.real, problem.unit
    coef, intercept = solve(problem, choice.weights, choice.cut, choice.alpha)
    return Solution(
        coef=(coef / unit).astype(coef.dtype),
        intercept=intercept,
        alpha=float(choice.alpha * unit**2),
        alphas=search.alphas * unit**2,
        weights=choice.weights.astype(float),
        threshold=float(problem.thresholds[choice.cut]),
        weight_grid=np.reshape(search.weights, (len(search.weights), len(problem.strata))),
        threshold_grid=problem.thresholds[np.array(search.cuts, dtype=int)],
        accuracy_grid=np.array(search.accuracy, dtype=float),
        scores=choice.scores,
        temperature=score_temperature(choice.scores, real.codes, real.weights),
    )


def synthetic_solution(
    rows: MixRows, synthetic_weight: Any, alpha: Any, fit_intercept: bool
) -> Solution:
    """Fit synthetic rows where there is no real one."""
    if any(is_dask(source.X) for source in rows.sources):
        raise ValueError(
            "There is no real row, and synthetic rows are a dask array: give real rows, or fit the "
            "synthetic ones in memory, after compute()."
        )
    kept = [source.select(source.kept) for source in rows.sources]
    weights = np.ones(len(kept)) if isinstance(synthetic_weight, str) else synthetic_weight
    used = [k for k, source in enumerate(kept) if len(source.codes) and weights[k] > 0]
    if not used:
        raise ValueError(
            "There is no real row, and no synthetic row is kept with a positive weight: give real "
            "rows, or keep some synthetic ones."
        )
    unit = data_unit(kept[used[0]].X)
    data = stack([in_units(kept[k].X, unit) for k in used])
    codes = np.concatenate([kept[k].codes for k in used])
    row_weights = np.concatenate([weights[k] * kept[k].weights for k in used])
    alphas = penalties(alpha, rows, unit)
    basis = ridge_basis(
        data,
        row_weights,
        fit_intercept=fit_intercept,
        total_weight=rows.total_weight,
        part=np.concatenate([kept[k].part for k in used]),
    )
    targets = signed_targets(codes, len(rows.classes), data)
    best = alphas[int(np.argmin(to_numpy(loo_squared_error(basis, targets, alphas)).sum(1)))]
    coef, intercept = (to_numpy(array) for array in coefficients(basis, targets, float(best)))
    scores = to_numpy(loo_scores(basis, targets, float(best))[0]).astype(float)
    temperature = score_temperature(scores.reshape(len(scores), -1), codes, row_weights)
    return Solution(
        coef=(coef / unit).astype(coef.dtype),
        intercept=intercept,
        alpha=float(best) * unit**2,
        alphas=alphas * unit**2,
        weights=weights,
        threshold=np.nan,
        weight_grid=weights[None],
        threshold_grid=np.array([-np.inf]),
        accuracy_grid=np.full((1, len(alphas)), np.nan),
        scores=np.zeros((0, len(coef))),
        temperature=temperature,
    )


def guarded_search(
    rows: MixRows,
    problem: MixProblem,
    left_out: Callable,
    alphas: np.ndarray,
    weights: Any,
    criterion: str,
    evidence: list[LeakEvidence],
) -> tuple[Search, np.ndarray]:
    """Search without the sources that have seen the real rows, and return which have, (S,).

    What is claimed of rows made from the real ones is no more than these show by themselves: a
    leak matters as much as the gain that it feigns.
    """
    leaked = np.array([e.found for e in evidence], dtype=bool)
    possible = np.array([e.possible for e in evidence], dtype=bool)
    search = run_search(rows, problem, left_out, alphas, weights, criterion, ~leaked)
    if (possible & ~leaked & (search.choice.weights > 0)).any():
        claim = claimed_accuracy(search)
        if claim.accuracy - claim.real_only > _GAIN_AT_RISK:
            leaked = possible
            search = run_search(rows, problem, left_out, alphas, weights, criterion, ~leaked)
    return search, leaked


class Findings(NamedTuple):
    """What the rows show of labels, verifier and generator, and what theory makes of it.

    Attributes
    ----------
    qualities, pooled : list of SourceQuality, SourceQuality
        Of each source, and of all as one.
    leaked : bool
        Whether a generator seems to have seen the real rows.
    leakage_gap : float
        By how much exact leave-one-out exceeds the cross-fitted accuracy.
    snr, n_features : float
        Norm of a mean in deviations of an effective feature, and the number of these.
    outlook : Outlook
        The Gaussian model.
    """

    qualities: list
    pooled: SourceQuality
    leaked: bool
    leakage_gap: float
    snr: float
    n_features: float
    outlook: Outlook


NO_FINDINGS = Findings([], NO_SOURCE, False, np.nan, np.nan, np.nan, Outlook())


def findings(
    rows: MixRows,
    problem: MixProblem,
    search: Search,
    claim: Claim,
    evidence: list[LeakEvidence],
    leaks: np.ndarray,
    *,
    crossfitted: bool,
) -> Findings:
    """Estimate the quality of the sources, and the Gaussian model of real and synthetic rows."""
    choice, alone = search.choice, search.real_only
    sources = [source.pruned(problem.thresholds[choice.cut]) for source in rows.sources]
    real = real_reference(problem, alone.scores, alone.alpha)
    qualities, pooled = source_qualities(sources, real, problem.unit, evidence, leaks)
    errors = judge_errors(rows)
    qualities, pooled = with_judge(qualities, pooled, errors, rows)
    leaked = bool(leaks.any())
    gap = _leakage_gap(problem, choice) if crossfitted else np.nan if leaked else 0.0
    variance = real.effective_variance
    snr = float(np.sqrt(real.signal / variance)) if variance > 0 else np.nan
    found = Findings(qualities, pooled, leaked, gap, snr, float(real.n_features), Outlook())
    if np.isnan(claim.accuracy):
        return found._replace(leakage_gap=np.nan)
    if leaked and not choice.weights.any():
        # What more rows of such a generator would bring is not known, but these bring nothing.
        return found._replace(outlook=Outlook(n_samples=float(problem.real.size)))
    if leaked or not (real.n_features > 0 and variance > 0):
        return found
    model = mix_model(problem, sources, real, pooled, choice.weights)
    amounts = choice.weights * [source.weights.sum() for source in rows.sources]
    spread = correction_spread(errors, problem.corrected, np.asarray(amounts, dtype=float))
    model = model._replace(judge_spread=spread)
    row_weight = problem.real.weights.sum() / problem.real.size
    # The penalty in units of a row of weight 1 and of an effective feature of variance 1.
    penalty = float(choice.alpha * problem.total_weight / row_weight / variance)
    outlook = Outlook(model, penalty, claim.real_only, claim.accuracy)
    return found._replace(outlook=outlook)


def _leakage_gap(problem, choice):
    """Return by how much exact leave-one-out exceeds the cross-fitted accuracy."""
    exact = exact_scores(problem, np.array([choice.alpha]))
    _, scores = next(iter(exact(choice.weights[None], np.array([choice.cut]))))
    real = problem.real
    naive, fair = (
        loo_accuracy(score_margins(left_out, real.codes), real.weights, real.part).accuracy
        for left_out in (to_numpy(scores)[:, :, 0, 0].astype(float), choice.scores)
    )
    return float(naive - fair)


def scores_of_given_rows(scores: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Return the scores of merged rows for each row given, nan for those of weight zero."""
    given = np.full((len(place), scores.shape[1]), np.nan)
    given[place >= 0] = scores[place[place >= 0]]
    return given[:, 0] if given.shape[1] == 1 else given


class MixFit(NamedTuple):
    """A fit with real and synthetic rows.

    Attributes
    ----------
    solution : Solution
        The classifier.
    claim : Claim
        What is predicted of its accuracy.
    found : Findings
        What is estimated of the rows.
    """

    solution: Solution
    claim: Claim
    found: Findings


def fit_rows(
    rows: MixRows,
    folds: list | None,
    weights: Any,
    alpha: Any,
    criterion: str,
    fit_intercept: bool,
) -> MixFit:
    """Choose weights and penalty by scores of left-out real rows, exact or by folds."""
    if rows.real is None:
        solution = synthetic_solution(rows, weights, alpha, fit_intercept)
        return MixFit(solution, NO_CLAIM, NO_FINDINGS)
    problem = mix_problem(rows, fit_intercept)
    alphas = penalties(alpha, rows, problem.unit)
    evidence = suspects = leak_evidence(problem)
    if folds is None:
        left_out = exact_scores(problem, alphas)
    else:
        left_out, suspects = (
            crossfitted_scores(problem, folds, alphas),
            [NO_EVIDENCE] * len(evidence),
        )
    search, leaks = guarded_search(rows, problem, left_out, alphas, weights, criterion, suspects)
    if len(leaks) and leaks.all() and isinstance(weights, str):
        alphas = penalties(alpha, rows, problem.unit, alone=True)
        left_out = exact_scores(problem, alphas)
        search = run_search(rows, problem, left_out, alphas, weights, criterion, ~leaks)
    claim = guarded_claim(search, leaks)
    crossfitted = folds is not None
    found = findings(rows, problem, search, claim, evidence, leaks, crossfitted=crossfitted)
    return MixFit(chosen_solution(problem, search), claim, found)


def fit_warnings(rows: MixRows, claim: Claim, found: Findings) -> list[str]:
    """Return what a fit warns of, the most serious first."""
    causes = [
        (NO_REAL_ROW, rows.real is None),
        (TOO_FEW_ROWS, np.isnan(claim.real_only)),
        (LEAK, found.leaked),
        (NOTHING_KEPT, rows.sources and not any(s.kept.any() for s in rows.sources)),
        (COPIES, rows.copies),
    ]
    return [message for message, applies in causes if applies]
