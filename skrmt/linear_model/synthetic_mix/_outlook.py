"""What theory makes of a fit with real and synthetic rows, worked out when it is asked for."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ._input import effective_size
from ._plan import MixModel


class Outlook:
    """Gaussian model at the estimates of a fit, before and after calibration.

    Parameters
    ----------
    estimated : MixModel or None
        The model at the estimates; None where nothing can be forecast.
    penalty : float
        Penalty of the fit in units of a row and of an effective feature.
    real_only, accuracy : float
        Accuracies that are predicted from left-out rows, without synthetic rows and of the choice.
    n_samples : float
        Effective number of real rows if the synthetic ones bring nothing, else nan.
    """

    def __init__(
        self,
        estimated: MixModel | None = None,
        penalty: float = np.nan,
        real_only: float = np.nan,
        accuracy: float = np.nan,
        n_samples: float = np.nan,
    ) -> None:
        self.estimated, self.penalty = estimated, penalty
        self.real_only, self.accuracy = real_only, accuracy
        self.n_samples = n_samples

    @cached_property
    def model(self) -> MixModel | None:
        """The model that meets these accuracies on average."""
        if self.estimated is None:
            return None
        return self.estimated.calibrated(self.real_only, self.accuracy)

    @cached_property
    def model_accuracy(self) -> float:
        """Accuracy of the model before calibration."""
        if self.estimated is None:
            return np.nan
        return float(self.estimated.accuracy(penalty=self.penalty))

    @cached_property
    def equivalent_real_samples(self) -> float:
        """Number of real rows that are as good as the mix."""
        return self.n_samples if self.model is None else self.model.equivalent_real_samples()


def mix_model(problem, sources, real, quality, weights):
    """Return the Gaussian model at the estimated parameters."""
    ratio = quality.variance_ratio if np.isfinite(quality.variance_ratio) else 1.0
    orthogonal = float(np.nan_to_num(quality.mean_orthogonal))
    n_synthetic, weight = _effective_synthetic_rows(sources, weights, problem.real)
    variance = real.effective_variance
    return MixModel(
        n_classes=problem.n_classes,
        n_samples=problem.real.size,
        n_synthetic=n_synthetic,
        weight=weight,
        n_features=real.n_features,
        signal=float(np.sqrt(real.signal / variance)),
        mean_scale=float(np.nan_to_num(quality.mean_scale, nan=1.0)),
        mean_orthogonal=float(orthogonal * np.sqrt(real.feature_variance / variance)),
        variance=max(float(ratio), 1e-6),
        noise_rate=float(np.nan_to_num(quality.flip_rate)),
        keep_rates=tuple(
            float(np.nan_to_num(rate, nan=quality.n_kept / max(quality.n_rows, 1)))
            for rate in (quality.keep_correct, quality.keep_incorrect)
        ),
    )


def _effective_synthetic_rows(sources, weights, real):
    """Return the effective number of synthetic rows, and the weight of each beside a real one."""
    size, total = 0.0, 0.0
    if sources:
        row_weights, part = (
            np.concatenate([getattr(source, name) for source in sources])
            for name in ("weights", "part")
        )
        size = effective_size(row_weights, part)
        total = sum(w * source.weights.sum() for w, source in zip(weights, sources, strict=True))
    return size, float(total / size / (real.weights.sum() / real.size)) if size else 0.0
