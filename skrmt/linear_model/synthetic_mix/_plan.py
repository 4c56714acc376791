"""Planning with a fitted mix: how many synthetic rows, at which weight, behind which verifier."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ...utils._optional import import_optional

_FLAT = 5e-4


class MixPlan(NamedTuple):
    """Predicted accuracy for numbers and weights of synthetic rows.

    Attributes
    ----------
    n_synthetic : ndarray of shape (a,)
        Synthetic rows before pruning.
    weights : ndarray of shape (b,)
        Their weights.
    accuracy : ndarray of shape (a, b), or (a, b, c) for c verifiers
        Accuracy on fresh data at the best penalty.
    """

    n_synthetic: np.ndarray
    weights: np.ndarray
    accuracy: np.ndarray

    def to_frame(self):
        """Return a pandas DataFrame with a row for each entry of `accuracy`.

        Returns
        -------
        pandas.DataFrame
            Columns n_synthetic, weight, (verifier,) accuracy.
        """
        pandas = import_optional("pandas", "cli")
        axes = [self.n_synthetic, self.weights]
        names = ["n_synthetic", "weight"]
        if self.accuracy.ndim == 3:
            axes.append(np.arange(self.accuracy.shape[2]))
            names.append("verifier")
        mesh = np.meshgrid(*axes, indexing="ij")
        columns = dict(zip(names, (part.ravel() for part in mesh), strict=True))
        return pandas.DataFrame(columns | {"accuracy": self.accuracy.ravel()})


class MixReport(NamedTuple):
    """What a fit says of its data; ``print`` it.

    Attributes
    ----------
    accuracy : float
        Predicted accuracy.
    interval : ndarray of shape (2,)
        95 % interval of it.
    real_only, mix_all : float
        Predicted accuracy of real rows alone, and of all rows at weight 1.
    sources : list of SourceQuality
        What is known of each source.
    weights : ndarray of shape (S,)
        Weights chosen.
    value : float
        Real rows that a synthetic row is worth.
    advice : list of str
        What to do next.
    """

    accuracy: float
    interval: np.ndarray
    real_only: float
    mix_all: float
    sources: list
    weights: np.ndarray
    value: float
    advice: list

    def __str__(self):
        """Return the report as text."""
        low, high = self.interval
        lines = [
            f"Predicted accuracy        {self.accuracy:.3f}  (95 %: {low:.3f} to {high:.3f})",
            f"  with real rows alone    {self.real_only:.3f}",
            f"  with everything mixed   {self.mix_all:.3f}",
        ]
        for k, (source, weight) in enumerate(zip(self.sources, self.weights, strict=False), 1):
            lines += [
                f"Synthetic source {k}: weight {weight:.3g}, "
                f"{source.n_kept} of {source.n_rows} rows kept",
                f"  wrong labels            {source.noise_rate:.1%}  "
                f"(standard error {source.noise_rate_std:.1%})",
                f"  verifier keeps          {source.keep_correct:.0%} of the right labels, "
                f"{source.keep_incorrect:.0%} of the wrong ones",
                f"  class means             {source.mean_scale:.2f} times the real ones, "
                f"{source.mean_orthogonal:.2f} deviations off",
            ]
        if self.sources:
            lines.append(f"One synthetic row is worth {self.value:.3g} real rows.")
        return "\n".join([*lines, *(f"- {line}" for line in self.advice)])


def plan(estimator, n_synthetic, weights, verifier):
    """Predict accuracy, as `SyntheticMixClassifier.plan` documents."""
    model = _model(estimator)
    present = max(estimator.n_synthetic_, 1)
    if n_synthetic is None:
        n_synthetic = np.unique(np.round(present * np.geomspace(0.1, 10, 9)).astype(int))
    if weights is None:
        weights = np.unique([0.0, _mean_weight(estimator), 1.0])
    sizes = _vector("n_synthetic", n_synthetic, 0.0, np.inf)
    weights = _vector("weights", weights, 0.0, 1.0)
    pairs = None if verifier is None else _pairs(verifier)
    if pairs is None:
        return MixPlan(sizes, weights, model.accuracy(sizes[:, None], weights))
    keep = (pairs[..., 0], pairs[..., 1])
    if pairs.ndim == 1:
        return MixPlan(sizes, weights, model.accuracy(sizes[:, None], weights, keep_rates=keep))
    accuracy = model.accuracy(sizes[:, None, None], weights[:, None], keep_rates=keep)
    return MixPlan(sizes, weights, accuracy)


def optimal_n_synthetic(estimator, weight, max_n_synthetic):
    """Return the best number, as `SyntheticMixClassifier.optimal_n_synthetic` documents."""
    model = _model(estimator)
    weight = _mean_weight(estimator) if weight is None else weight
    weight = float(_vector("weight", weight, 0.0, 1.0)[0])
    if max_n_synthetic is None:
        max_n_synthetic = 100 * (estimator.n_real_ + estimator.n_synthetic_)
    limit = float(_vector("max_n_synthetic", max_n_synthetic, 1.0, np.inf)[0])
    if not np.isfinite(limit):
        raise ValueError(f"max_n_synthetic={max_n_synthetic!r} must be finite.")
    sizes = np.unique(np.round(np.concatenate([[0], np.geomspace(1, limit, 200)])))
    accuracy = model.accuracy(sizes, weight)
    return int(sizes[np.flatnonzero(accuracy >= accuracy.max() - _FLAT)[0]])


def value_of_sample(estimator):
    """Return real rows a synthetic row, as `SyntheticMixClassifier.value_of_sample` documents."""
    model = _model(estimator)
    if estimator.n_synthetic_ == 0:
        return np.nan
    return float((estimator.effective_sample_size_ - model.n_real) / estimator.n_synthetic_)


def data_report(estimator):
    """Return the report, as `SyntheticMixClassifier.data_report` documents."""
    known = estimator._model is not None
    return MixReport(
        estimator.theoretical_accuracy_,
        estimator.theoretical_accuracy_interval_,
        estimator.real_only_accuracy_,
        estimator.mix_all_accuracy_,
        estimator.source_quality_,
        estimator.synthetic_weight_,
        value_of_sample(estimator) if known else np.nan,
        _advice(estimator, known),
    )


def _advice(estimator, known):
    """Return what to do next."""
    if not known:
        return ["Give real rows: without them nothing can be said of accuracy."]
    lines = []
    if np.isnan(estimator.theoretical_accuracy_):
        return ["Give at least 10 real rows: fewer do not show an accuracy."]
    if not estimator.source_quality_:
        return ["There are no synthetic rows: the fit is a ridge classifier on real ones."]
    unsure = abs(estimator.gain_) < 2 * estimator.gain_std_
    if not estimator.synthetic_weight_.any():
        lines.append("The synthetic rows do not help: they are left out.")
    elif unsure:
        lines.append(
            f"The gain over real rows alone, {estimator.gain_:+.3f}, is within its error "
            f"({estimator.gain_std_:.3f}): more real rows would settle it."
        )
    else:
        lines.append(f"The synthetic rows gain {estimator.gain_:+.3f} over real rows alone.")
    for k, source in enumerate(estimator.source_quality_, 1):
        lines += _source_advice(k, source, len(estimator.classes_))
    return lines


def _source_advice(k, source, n_classes):
    """Return what to do about a source."""
    lines = []
    if source.noise_rate > 0.25:
        lines.append(
            f"Source {k}: {source.noise_rate:.0%} of the labels look wrong; a verifier would "
            "raise the value of its rows."
        )
    if source.n_kept < source.n_rows and np.isfinite(source.keep_incorrect):
        before = (1 - source.noise_rate * n_classes / (n_classes - 1)) ** 2
        share = source.n_kept / source.n_rows
        error = source.noise_rate * source.keep_incorrect / max(share, 1e-9)
        after = share * (1 - error * n_classes / (n_classes - 1)) ** 2
        verdict = "pays" if after > before else "discards more than it gains"
        lines.append(
            f"Source {k}: pruning {verdict}: value a row {after:.2f} against {before:.2f}."
        )
    if source.mean_orthogonal > 0.5 * max(abs(source.mean_scale), 0.1):
        lines.append(
            f"Source {k}: its classes are off the real ones; more rows of it soon stop helping."
        )
    return lines


def _model(estimator):
    """Return the fitted model, or say why there is none."""
    if estimator._model is None or np.isnan(estimator.theoretical_accuracy_):
        raise ValueError(
            f"The fit has {estimator.n_real_} real rows, too few (or without any variance) to plan "
            "with: fit at least 10 real rows first."
        )
    return estimator._model


def _mean_weight(estimator):
    """Return the mean weight of a synthetic row in the fit."""
    sizes = [max(source.n_rows, 1) for source in estimator.source_quality_]
    return float(np.average(estimator.synthetic_weight_, weights=sizes)) if sizes else 0.0


def _vector(name, values, low, high):
    """Return checked numbers as a vector."""
    try:
        array = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}={values!r} must be numbers.") from error
    if array.ndim != 1 or not ((array >= low) & (array <= high)).all():
        raise ValueError(f"{name}={values!r} must be numbers in [{low:g}, {high:g}].")
    if name == "n_synthetic" and not np.isfinite(array).all():
        raise ValueError(f"n_synthetic={values!r} must be finite.")
    return array


def _pairs(verifier):
    """Return checked pairs (keep_correct, keep_incorrect), (2,) or (c, 2)."""
    pairs = np.asarray(verifier, dtype=float)
    if pairs.ndim not in (1, 2) or pairs.shape[-1] != 2 or not ((pairs >= 0) & (pairs <= 1)).all():
        raise ValueError(
            f"verifier={verifier!r} must be (keep_correct, keep_incorrect), or a list of such "
            "pairs, of probabilities in [0, 1]."
        )
    return pairs
