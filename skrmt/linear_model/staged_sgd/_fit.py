"""From rows and stages to a fitted model and what theory says of it."""

from __future__ import annotations

import numpy as np

from ...linalg import get_backend, to_numpy
from ...theory import sgd
from ._input import row_shares
from ._law import critical_rate, gaussian_critical, stage_law
from ._run import Batches, Segment, SnapshotStore, Watch, run
from ._theory import Plan, predict_curve, without_outliers

_SAME_SPREAD = 1.5


def checked_stages(stages):
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


def automatic_stage(size):
    """Return one pass at half the critical rate, with cosine decay to 0."""
    batch_size = int(np.clip(size / 100, 1, 32))
    return sgd.Stage(max(1, int(size + 1e-6) // batch_size), batch_size, "auto", "cosine")


class Setting:
    """Stages with their rows, rates and critical rates.

    Parameters
    ----------
    estimator : estimator
        Its parameters are read.
    rows : StagedRows
        The rows.
    """

    def __init__(self, estimator, rows):
        self.rows = rows
        given = checked_stages(estimator.stages)
        self.stages = [automatic_stage(rows.size)] if isinstance(given, str) else given
        largest = max(stage.batch_size for stage in self.stages)
        if largest > len(rows.weights):
            raise ValueError(
                f"batch_size={largest} is larger than the data, {len(rows.weights)} distinct rows "
                "of positive weight: take smaller batches."
            )
        self.centred = bool(estimator.fit_intercept)
        self.X = to_numpy(rows.X)
        laws: dict = {}
        self.shares, self.laws = [], []
        for stage in self.stages:
            key = repr(stage.mixture)
            if key not in laws:
                shares = row_shares(rows, stage.mixture)
                laws[key] = shares, stage_law(self.X, rows.targets, shares, self.centred)
            self.shares.append(laws[key][0])
            self.laws.append(laws[key][1])
        self._set_rates()
        total = sum(stage.n_steps * stage.batch_size for stage in self.stages)
        mixed = any(stage.mixture is not None for stage in self.stages)
        self.fresh = rows.equal and not mixed and total <= len(rows.weights)

    def _set_rates(self):
        """Set critical rates, and the rates of every step."""
        known: dict = {}
        self.critical, self.rates, self.decays = [], [], []
        area = self.rows.unit**2
        for stage, law in zip(self.stages, self.laws, strict=True):
            key = (id(law), stage.batch_size)
            if key not in known:
                known[key] = critical_rate(law, stage.batch_size)
            rate = known[key]
            self.critical.append(rate)
            if stage.needs_critical_rate:
                self.rates.append(stage.learning_rates(rate if np.isfinite(rate) else 0.0))
            else:
                self.rates.append(stage.learning_rates() * area)
            self.decays.append(stage.weight_decay / area)

    def segments(self):
        """Return the stages for the loop."""
        single = self.rows.targets.shape[1] == 1
        return [
            Segment(
                rates,
                stage.batch_size,
                decay,
                law.mean,
                law.target_mean[0] if single else law.target_mean,
                shares,
                _small_mean(law),
            )
            for rates, stage, decay, law, shares in zip(
                self.rates, self.stages, self.decays, self.laws, self.shares, strict=True
            )
        ]

    def predict(self, robust):
        """Return the prediction, of rows without gross outliers where these are watched for."""
        laws = {id(law): law for law in self.laws}
        if robust:
            laws = {key: self._robust(law) for key, law in laws.items()}
        plans = [
            Plan(laws[id(law)], rates, stage.batch_size, decay)
            for law, rates, stage, decay in zip(
                self.laws, self.rates, self.stages, self.decays, strict=True
            )
        ]
        with np.errstate(all="ignore"):
            return predict_curve(plans, self.fresh), [plan.law for plan in plans]

    def _robust(self, law):
        """Return a law without gross outliers."""

        def make(kept):
            number = next(i for i, known in enumerate(self.laws) if known is law)
            shares = self.shares[number].copy()
            shares[np.flatnonzero(shares > 0)[~kept]] = 0
            return stage_law(self.X, self.rows.targets, shares / shares.sum(), self.centred)

        return without_outliers(law, make) if law.eigenvalues.size else law

    def too_fast(self):
        """Return the first stage whose rate is above the critical one, with both, or None."""
        area = self.rows.unit**2
        for number, (rates, critical) in enumerate(zip(self.rates, self.critical, strict=True)):
            if rates.max() > critical:
                return number, rates.max() / area, critical / area
        return None

    def suspect(self):
        """Return the critical rates of Gaussian rows and of these where they differ by 2."""
        gaussian = gaussian_critical(self.laws[0], self.stages[0].batch_size)
        ratio = gaussian / self.critical[0] if np.isfinite(gaussian) else 1.0
        if 0.5 <= ratio <= 2:
            return None
        return gaussian / self.rows.unit**2, self.critical[0] / self.rows.unit**2


def _small_mean(law):
    """Tell whether the mean is at most about three standard deviations."""
    return bool((law.mean**2).sum() <= 10 * law.eigenvalues.sum())


def fit_stages(estimator, setting, root):
    """Run all stages."""
    rows = setting.rows
    single = rows.targets.shape[1] == 1
    watched = estimator.detect_spikes
    prediction, laws = setting.predict(watched)
    watch = None
    known = np.isfinite(prediction.risks).all() and np.isfinite(prediction.degrees).all()
    if watched and known and (prediction.risks[:-1] > 0).all():
        most = estimator.max_rollbacks if estimator.rollback else 0
        watch = Watch(prediction.risks[:-1], prediction.degrees, most, _risk_in(laws))
    store = None
    if estimator.snapshot_dir is not None:
        store = SnapshotStore(estimator.snapshot_dir, _identity(estimator, setting, root), root)
        root = store.root
    targets = rows.targets[:, 0] if single else rows.targets
    batches = Batches(rows.X, targets, setting.segments(), root, setting.fresh)
    backend, kind = get_backend(rows.X), str(rows.X.dtype).rpartition(".")[2]
    shape = (rows.X.shape[1],) if single else (rows.X.shape[1], targets.shape[1])
    course = run(
        batches,
        backend.asarray(np.zeros(shape), like=rows.X, dtype=kind),
        watch,
        snapshot_every=estimator.snapshot_every,
        store=store,
        report=_reporter(estimator, setting),
    )
    if store is not None:
        store.remove()
    return _attributes(setting, course, prediction), prediction, laws[-1]


def _risk_in(laws):
    """Return the function that gives the risk of weights in a stage."""

    def risk(number, weights):
        law = laws[number]
        rotated = law.vectors.T @ to_numpy(weights).astype(float).reshape(len(law.mean), -1)
        return float(law.shares @ ((law.Y - law.Z @ rotated) ** 2).sum(axis=1)) / 2

    return risk


def _identity(estimator, setting, root):
    """Yield what a fit depends on."""
    seed = root if estimator.random_state is not None else None
    settings = (
        setting.stages,
        [rates.tolist() for rates in setting.rates],
        estimator.detect_spikes,
        estimator.rollback,
        estimator.max_rollbacks,
        estimator.snapshot_every,
        estimator.fit_intercept,
        seed,
    )
    yield repr((type(estimator).__name__, settings, setting.X.shape, setting.X.dtype)).encode()
    yield np.ascontiguousarray(setting.X)
    yield np.ascontiguousarray(setting.rows.targets)
    yield from (np.ascontiguousarray(shares) for shares in setting.shares)


def _reporter(estimator, setting):
    """Return what prints progress, or None."""
    if not estimator.verbose:
        return None
    total = sum(stage.n_steps for stage in setting.stages)
    scale = setting.rows.target_unit**2
    shown = [0]

    def report(step, loss):
        if estimator.verbose > 1 or 10 * step // total > shown[0]:
            shown[0] = 10 * step // total
            name = type(estimator).__name__
            print(f"[{name}] step {step} of {total}, loss {loss * scale:.4g}")

    return report


def _attributes(setting, course, prediction):
    """Return fitted attributes in the units of the data."""
    rows, last = setting.rows, setting.laws[-1]
    scale, area = rows.target_unit**2, rows.unit**2
    weights = to_numpy(course.weights).reshape(rows.X.shape[1], -1).T
    coef = weights * (rows.target_unit / rows.unit)
    shift = last.target_mean - weights.astype(float) @ last.mean
    lam = setting.laws[0].eigenvalues
    steps = [stage.n_steps for stage in setting.stages]
    return {
        "coef_": coef.astype(weights.dtype),
        "intercept_": (rows.target_unit * shift).astype(weights.dtype),
        "loss_curve_": scale * course.losses,
        "theoretical_loss_curve_": scale * prediction.risks[:-1],
        "theoretical_risk_": float(scale * prediction.risks[-1]),
        "critical_learning_rate_": float(setting.critical[0] / area),
        "critical_batch_size_": sgd.critical_batch_size(lam) if lam.size else np.nan,
        "noise_floor_": float(scale * prediction.floor),
        "tail_index_": _tail_index(setting),
        "spikes_": course.spikes,
        "rollbacks_": course.rollbacks,
        "stage_bounds_": np.concatenate([[0], np.cumsum(steps)]).astype(int),
        "n_iter_": int(sum(steps)),
    }


def _tail_index(setting):
    """Return the tail index of the largest rate where theory has one, nan elsewhere."""
    lam, n_features = setting.laws[0].eigenvalues, setting.X.shape[1]
    single = all(stage.batch_size == 1 for stage in setting.stages)
    if not single or lam.size < n_features or len({id(law) for law in setting.laws}) > 1:
        return np.nan
    root = min(np.sqrt(n_features / setting.rows.size), 0.99)
    spread = ((1 + root) / (1 - root)) ** 2
    rate = max(rates.max() for rates in setting.rates) * lam.mean()
    if lam[-1] > _SAME_SPREAD * spread * lam[0] or rate <= 0:
        return np.nan
    return float(sgd.tail_index(rate, n_features))
