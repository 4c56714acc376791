"""From rows and stages to steps, their learning rates and their predicted course."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from ...linalg import is_torch, to_numpy
from ...theory import sgd
from ._critical import critical_rate
from ._groups import scores_of_groups
from ._input import StagedRows, row_shares
from ._interval import RiskClaim
from ._moments import RowMoments, inlying_rows, row_moments, sample_rows
from ._run import Watch
from ._simulate import claim_of_runs, simulate
from ._theory import Outliers, Prediction, StageSteps, predict_curve

_NEAR = 0.95
"""Part of the critical rate from which the mean loss is that of few runs: above, the median is
predicted."""
_SAME_SPREAD = 1.5
"""Ratio of extreme eigenvalues, beyond that of sampling, up to which variances count as equal."""


def checked_stages(stages: Any) -> list[sgd.Stage] | str:
    """Return the stages of an estimator, or "auto"."""
    if isinstance(stages, str):
        if stages != "auto":
            raise ValueError(f"stages must be 'auto' or a list of Stage, got {stages!r}.")
        return stages
    if isinstance(stages, sgd.Stage):
        stages = [stages]
    if not isinstance(stages, list | tuple):
        raise TypeError(f"stages must be 'auto' or a list of Stage, got {stages!r}.")
    if not stages:
        raise ValueError("stages is empty: give one Stage or more, or 'auto'.")
    for stage in stages:
        if not isinstance(stage, sgd.Stage):
            raise TypeError(f"stages must hold instances of Stage, got {stage!r}.")
        given = (stage.displacement, stage.noise_variance, stage.eigenvalues)
        if any(value is not None for value in given):
            raise ValueError(
                f"{stage!r} changes the data by displacement, noise_variance or eigenvalues, which "
                "is for the theory: an estimator sees changes in the rows, through mixture."
            )
    return list(stages)


def automatic_stage(size: float) -> sgd.Stage:
    """Return one pass at half the critical rate, with cosine decay to 0."""
    batch_size = int(np.clip(size / 100, 1, 32))
    return sgd.Stage(max(1, int(size + 1e-6) // batch_size), batch_size, "auto", "cosine")


class Schedule:
    """Stages with the moments of their rows, learning rates and critical ones.

    Rates are in the unit of the rows: multiplied by the square of `rows.unit`.
    """

    def __init__(self, rows: StagedRows, stages: list[sgd.Stage] | str, fit_intercept: bool):
        self.rows, self.centred, self.X = rows, fit_intercept, rows.X
        if is_torch(rows.X):
            self.X = to_numpy(rows.X)
        self.stages = [automatic_stage(rows.length)] if isinstance(stages, str) else stages
        largest = max(stage.batch_size for stage in self.stages)
        if largest > max(len(rows.weights), rows.length):
            raise ValueError(
                f"batch_size={largest} is larger than the data, {len(rows.weights)} distinct rows "
                "of positive weight: take smaller batches."
            )
        self.steps: list[StageSteps] = []
        self.critical: list[float] = []
        self._set_steps()
        total = sum(stage.n_steps * stage.batch_size for stage in self.stages)
        mixed = any(stage.mixture is not None for stage in self.stages)
        self.fresh = rows.equal and not mixed and total <= len(rows.weights)

    def _set_steps(self) -> None:
        """Set moments, rates and critical rates, those that stages share once."""
        drawn: dict = {}
        critical: dict = {}
        area = self.rows.unit**2
        for stage in self.stages:
            mixture = repr(stage.mixture)
            if mixture not in drawn:
                shares = row_shares(self.rows, stage.mixture)
                moments = self._moments(shares)
                drawn[mixture] = moments, sample_rows(moments), shares
            moments, sample, shares = drawn[mixture]
            key = mixture, stage.batch_size, stage.momentum
            if key not in critical:
                critical[key] = critical_rate(moments, sample, stage.batch_size, stage.momentum)
            rate = critical[key]
            if stage.needs_critical_rate:
                rates = stage.learning_rates(rate if np.isfinite(rate) else 0.0)
            else:
                rates = stage.learning_rates() * area
            self.critical.append(rate)
            self.steps.append(
                StageSteps(
                    moments=moments,
                    sample=sample,
                    shares=shares,
                    rates=rates,
                    batch_size=stage.batch_size,
                    weight_decay=stage.weight_decay / area,
                    momentum=stage.momentum,
                    unstable=bool(rates.max() > _NEAR * rate),
                )
            )

    def _moments(self, shares: np.ndarray) -> RowMoments:
        """Return the moments of the rows with some shares."""
        rows = self.rows
        return row_moments(self.X, rows.targets, shares, rows.together, self.centred)

    def predict(self, robust: bool, with_scores: bool) -> tuple[Prediction, list[RowMoments]]:
        """Predict the course, of rows without gross outliers where these are watched for."""
        unstable = any(step.unstable for step in self.steps)
        known: dict = {}
        stages, outliers = [], None
        for step in self.steps:
            key = id(step.moments)
            if key not in known:
                known[key] = self._without_outliers(step) if robust and not unstable else None
            if known[key] is not None:
                moments, outliers = known[key]
                step = step._replace(moments=moments, sample=sample_rows(moments))
            else:
                outliers = None
            stages.append(step)
        with np.errstate(all="ignore"):
            prediction = predict_curve(stages, self.fresh, outliers, with_scores)
        if unstable:
            prediction = self._with_medians(prediction)
        if self.rows.group is not None:
            scores, size = scores_of_groups(stages, self.X, self.rows, self.centred)
            prediction = prediction._replace(scores=scores, size=size)
        return prediction, [stage.moments for stage in stages]

    def _without_outliers(self, step: StageSteps) -> tuple[RowMoments, Outliers] | None:
        """Return the moments of a stage without gross outliers, and these, if there are any."""
        if not step.moments.eigenvalues.size:
            return None
        kept = inlying_rows(step.moments)
        if kept is None:
            return None
        shares = step.shares.copy()
        out = step.moments.rows[~kept]
        shares[out] = 0
        features = self.X[out]
        features = features.toarray() if sparse.issparse(features) else np.asarray(features, float)
        weight = step.shares[out]
        together = weight * self.rows.together[out]
        outliers = Outliers(features, self.rows.targets[out], weight, together)
        return self._moments(shares / shares.sum()), outliers

    def _with_medians(self, prediction: Prediction) -> Prediction:
        """Replace means of losses from the first unstable stage on by medians of simulated runs."""
        begin = 0
        for step in self.steps:
            if step.unstable:
                break
            begin += len(step.rates)
        risks, moments = prediction.risks, self.steps[-1].moments
        runs = simulate(self.steps, self.X, self.rows.targets, self.fresh, risks[0])
        nothing = RiskClaim(np.nan, np.full(2, np.nan), False)
        unknown = np.full_like(prediction.scores, np.nan)
        if runs is None:
            risks[begin:] = np.nan
            return prediction._replace(
                risks=risks, claim=nothing, floor=np.nan, scores=unknown, deviations=unknown
            )
        risks[begin:-1] = runs.medians[begin:]
        if runs.diverged:
            risks[-1] = np.inf
            claim = RiskClaim(np.inf, np.array([np.nan, np.inf]), False)
            return prediction._replace(
                risks=risks, claim=claim, floor=np.inf, scores=unknown, deviations=unknown
            )
        claim, deviations, spread = claim_of_runs(moments, prediction.scores, runs.weights)
        risks[-1] = claim.risk
        return prediction._replace(
            risks=risks, claim=claim, deviations=deviations, accuracy_spread=spread
        )

    def too_fast(self) -> tuple[int, float, float] | None:
        """Return the first stage whose rate is above the critical one, with both, or None."""
        area = self.rows.unit**2
        for number, (step, critical) in enumerate(zip(self.steps, self.critical, strict=True)):
            if step.rates.max() > critical:
                return number, step.rates.max() / area, critical / area
        return None

    def far_from_gaussian(self) -> bool:
        """Return whether the critical rate differs by 2 from that of Gaussian features."""
        eigenvalues = self.steps[0].moments.eigenvalues
        if not eigenvalues.size:
            return False
        first = self.stages[0]
        gaussian = sgd.critical_learning_rate(
            eigenvalues, first.batch_size, momentum=first.momentum
        )
        return not 0.5 <= gaussian / self.critical[0] <= 2

    def tail_index(self) -> float:
        """Return the tail index of the largest rate where theory has one, nan elsewhere."""
        first, n_features = self.steps[0].moments, self.X.shape[1]
        lam = first.eigenvalues
        single = all(step.batch_size == 1 for step in self.steps)
        same = all(step.moments is first for step in self.steps)
        if not (single and same) or lam.size < n_features:
            return np.nan
        # The eigenvalues of n rows spread between the squares of 1 - root and 1 + root.
        root = min(np.sqrt(n_features / self.rows.length), 0.99)
        spread = ((1 + root) / (1 - root)) ** 2
        rate = max(step.rates.max() for step in self.steps) * lam.mean()
        if lam[-1] > _SAME_SPREAD * spread * lam[0] or rate <= 0:
            return np.nan
        return float(sgd.tail_index(rate, n_features))


def spike_watch(
    prediction: Prediction,
    moments: list[RowMoments],
    steps: list[StageSteps],
    max_rollbacks: int,
) -> Watch | None:
    """Return what losses are compared with; None where nothing is predicted."""
    risks, degrees = prediction.risks[:-1].copy(), prediction.degrees.copy()
    begin = 0
    for step in steps:
        if step.unstable:
            # Weights of unstable stages differ by orders of magnitude: no loss is a spike.
            risks[begin:], degrees[begin:] = np.inf, 1.0
            break
        begin += len(step.rates)
    known = np.isfinite(risks[:begin]).all() and np.isfinite(degrees).all()
    return Watch(risks, degrees, max_rollbacks, moments) if known and (risks > 0).all() else None


def progress_reporter(name: str, verbose: int, n_steps: int, unit: float):
    """Return what prints progress, or None."""
    if not verbose:
        return None
    shown = [0]

    def report(step, loss):
        if verbose > 1 or 10 * step // n_steps > shown[0]:
            shown[0] = 10 * step // n_steps
            print(f"[{name}] step {step} of {n_steps}, loss {loss * unit:.4g}")

    return report
