"""What staged regressors and classifiers share: parameters, warnings, streams."""

from __future__ import annotations

import numbers
import warnings

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ...exceptions import TheoryWarning
from ...utils._checks import check_sample_weight
from ...utils._docs import DocLinkMixin
from ...utils._sklearn_compat import Interval
from ._fit import Setting, fit_stages
from ._input import staged_rows
from ._stream import new_stream, stream_steps


class StagedSGD(DocLinkMixin, BaseEstimator):
    """What regressor and classifier share."""

    _parameter_constraints = {
        "stages": "no_validation",
        "detect_spikes": ["boolean"],
        "rollback": ["boolean"],
        "max_rollbacks": [Interval(numbers.Integral, 0, None, closed="left")],
        "snapshot_every": [Interval(numbers.Integral, 1, None, closed="left")],
        "snapshot_dir": "no_validation",
        "fit_intercept": ["boolean"],
        "strict": ["boolean"],
        "device": [str, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        stages="auto",
        *,
        detect_spikes=True,
        rollback=True,
        max_rollbacks=5,
        snapshot_every=100,
        snapshot_dir=None,
        fit_intercept=True,
        strict=False,
        device=None,
        verbose=0,
        random_state=None,
    ):
        self.stages = stages
        self.detect_spikes = detect_spikes
        self.rollback = rollback
        self.max_rollbacks = max_rollbacks
        self.snapshot_every = snapshot_every
        self.snapshot_dir = snapshot_dir
        self.fit_intercept = fit_intercept
        self.strict = strict
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def _fit_rows(self, X, targets, sample_weight, sample_source):
        """Fit to targets of shape (n, K); return the rows, the prediction and its law."""
        rows = staged_rows(X, targets, sample_weight, sample_source)
        setting = Setting(self, rows)
        self._check_rates(setting)
        attributes, prediction, law = fit_stages(self, setting, self._root())
        vars(self).update(attributes)
        stream = new_stream(rows.X.shape[1], targets.shape[1], self.n_iter_)
        if self.fit_intercept:
            last = setting.laws[-1]
            stream = stream._replace(
                weight=float(check_sample_weight(sample_weight, len(targets)).sum()),
                mean=rows.unit * last.mean,
                target_mean=rows.target_unit * last.target_mean,
            )
        self._stream = stream
        return rows, prediction, law

    def _root(self):
        """Return the seeds of a fit; without a random state they leave the global one alone."""
        if self.random_state is None:
            return [int(value) for value in np.random.SeedSequence().generate_state(4)]
        drawn = check_random_state(self.random_state).randint(0, 2**32, size=4, dtype=np.uint32)
        return drawn.tolist()

    def _check_rates(self, setting):
        """Warn of rates that are too high, and of features that are far from Gaussian."""
        fast, suspect = setting.too_fast(), setting.suspect()
        if fast is not None:
            message = (
                f"the learning rate {fast[1]:.4g} of stage {fast[0]} is above the critical one, "
                f"{fast[2]:.4g}: the mean loss diverges if the stage is long. Lower it, or give "
                "it with relative=True."
            )
            if self.strict:
                raise ValueError(message)
            warnings.warn(message, ConvergenceWarning, stacklevel=6)
        if suspect is not None:
            warnings.warn(
                f"the critical learning rate is {suspect[1]:.4g}, for Gaussian features of the "
                f"same covariance it would be {suspect[0]:.4g}: rows of large norm limit the rate.",
                TheoryWarning,
                stacklevel=6,
            )

    def _more_rows(self, X, targets, sample_weight):
        """Take one pass over further rows, in the order given."""
        weights = check_sample_weight(sample_weight, len(targets))
        known = hasattr(self, "coef_")
        n_features, n_targets = X.shape[1], targets.shape[1]
        coef = np.zeros((n_targets, n_features))
        losses = np.zeros(0)
        stream = new_stream(n_features, n_targets, 0)
        if known:
            coef, losses, stream = np.atleast_2d(self.coef_), self.loss_curve_, self._stream
        stream, coef, new = stream_steps(self, stream, X, targets, weights, coef)
        shift = stream.target_mean - coef.astype(float) @ stream.mean
        coef = coef.astype(str(X.dtype).rpartition(".")[2])
        self._stream = stream
        self.coef_, self.intercept_ = coef, shift.astype(coef.dtype)
        self.loss_curve_ = np.concatenate([losses, new])
        self.n_iter_ = len(self.loss_curve_)
        self.stage_bounds_ = np.array([0, self.n_iter_])
        self.theoretical_loss_curve_ = np.full(self.n_iter_, np.nan)
        self.spikes_, self.rollbacks_ = [], []
        first = next(iter(stream.critical.values()), np.nan)
        self.critical_learning_rate_ = float(first)
        for name in ("theoretical_risk_", "critical_batch_size_", "noise_floor_", "tail_index_"):
            setattr(self, name, np.nan)
