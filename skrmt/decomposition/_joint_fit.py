"""The joint fit of a tensor as it is: coloured noise, missing entries, single entries that stand
out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor, no_components
from ..linalg._power_sweeps import column_change
from ..theory.spiked_tensor import thresholds
from ._noise import Entries, is_suspect, residual_kurtosis
from ._rank import JointComponents, SearchOptions, joint_components
from ._tensor_input import TensorInput
from ._whitening import Whitening, estimate_whitening

_ROUNDS = 20
"""Searches after entries were filled in or set aside: each but the last finds something new."""

_FILLS = 50
"""Times that missing entries are filled in between two searches: what is left shrinks by about
the root of (parameters / observed entries) each time."""

_COLOURINGS = 3
"""Rounds in which the covariance of the noise is estimated again: the fit that fills missing
entries has then found its components."""

_FILLED = 1e-5
"""Change of the unit factors at which filling in ends, if it is more than the tolerance of fits."""

_MOST_ASIDE = 0.005
"""Share of the entries that may be set aside: of Student's t with 3 degrees of freedom fewer stand
out."""

_FAR = 6.0
"""Standard deviations beyond which no entry of Gaussian noise is, nearly none of Laplace noise."""

_HALF = 0.5
"""Size of an entry, over that from which it is a component of its own, from which it is set aside:
a few of them in one slice may pass for one."""


class JointFit(NamedTuple):
    """A joint fit, and the tensor without gaps and in white noise that it fits.

    Attributes
    ----------
    joint : JointComponents
        Components of `tensor`.
    data : TensorInput
        The input, without the entries that were set aside.
    tensor : DenseTensor
        The input without gaps, in white noise.
    whitening : Whitening or None
        The change of basis; None where the noise is white.
    n_outliers : int
        Entries that were set aside.
    heavy : bool
        Whether so many would have to be that the noise has no finite variance.
    """

    joint: JointComponents
    data: TensorInput
    tensor: DenseTensor
    whitening: Whitening | None
    n_outliers: int
    heavy: bool

    @property
    def white(self) -> TensorInput:
        """The input with the tensor in white noise."""
        return self.data._replace(tensor=self.tensor)

    def coloured(self, components: Components) -> Components:
        """Return components of the white tensor as components of the input."""
        return components if self.whitening is None else self.whitening.colour(components)


def fit_jointly(
    data: TensorInput, rank: int | None, structure: str, search: dict[str, Any]
) -> JointFit:
    """Fit components jointly: whiten, search, fill in what is missing, and search again."""
    fit = JointFit(_nothing(data), data, data.tensor, None, 0, False)
    for turn in range(_ROUNDS):
        before = fit.joint.components.rank if turn else -1
        fit = _search(fit, rank, structure if turn < _COLOURINGS else "known", search)
        fewer = _without_outliers(fit, search)
        if fewer is not None:
            fit = fewer
        elif fit.joint.outlier and not fit.heavy:
            fit = fit._replace(heavy=True)
        elif fit.data.observed is None or fit.joint.components.rank == before:
            break
        else:
            fit = fill_in(fit, search)
    return fit


def _nothing(data: TensorInput) -> JointComponents:
    """Return a fit without components."""
    return JointComponents(no_components(data.tensor.shape), np.zeros(0, dtype=bool), np.inf)


def _search(
    fit: JointFit, rank: int | None, structure: str, search: dict[str, Any]
) -> JointFit:
    """Fill in, estimate the covariance of the noise, and search from what is known."""
    components, data = fit.coloured(fit.joint.components), fit.data
    filled, whitening = data.filled(components, data.entries.share), fit.whitening
    if structure == "auto":
        kurtosis = residual_kurtosis(filled, components)
        whitening = estimate_whitening(filled, kurtosis, data.entries.copies)
    white = filled if whitening is None else whitening.apply(filled)
    start = components if whitening is None else whitening.whiten(components)
    known = fit.joint._replace(components=start, converged=True)
    joint = joint_components(white, rank, known, **_options(data, fit.heavy, search))
    return fit._replace(joint=joint, tensor=white, whitening=whitening)


def fill_in(fit: JointFit, search: dict[str, Any]) -> JointFit:
    """Fill in missing entries and fit by turns, until the fit is that of the observed entries."""
    tol, left, step = max(_FILLED, search["tol"]), np.inf, fit.data.entries.share
    options = _options(fit.data, fit.heavy, search)
    for _ in range(_FILLS):
        joint, rank = fit.joint, fit.joint.components.rank
        if not rank:
            break
        white = _filled(fit, step)
        again = joint_components(white, rank, joint, **options)
        pairs = zip(again.components.factors, joint.components.factors, strict=True)
        moved = max(float(column_change(a, b).max()) for a, b in pairs)
        fit = fit._replace(joint=again)
        if moved <= tol:
            break
        # Where larger steps do not converge, those of expectation-maximisation do.
        step = step if moved < left else 1.0
        left = moved
    return fit._replace(tensor=_filled(fit, fit.data.entries.share))


def _filled(fit: JointFit, step: float) -> DenseTensor:
    """Return the tensor in white noise, its gaps filled from the fit."""
    filled = fit.data.filled(fit.coloured(fit.joint.components), step)
    return filled if fit.whitening is None else fit.whitening.apply(filled)


def _options(data: TensorInput, heavy: bool, search: dict[str, Any]) -> dict[str, Any]:
    """Return how to search a tensor whose gaps were filled."""
    entries, variance = data.entries, search.get("noise_variance")
    if variance is not None:
        variance = effective_variance(variance, entries)
    return {
        **search, "noise_variance": variance, "entries": entries, "keep_outliers": heavy
    }


def effective_variance(variance: float, entries: Entries) -> float:
    """Return the variance of the noise that theory sees, given that of an observed entry."""
    return variance / entries.share * entries.copies


def _without_outliers(fit: JointFit, search: dict[str, Any]) -> JointFit | None:
    """Set entries aside that may pass for components, unless there are none, or too many."""
    if fit.heavy:
        return None
    components, rank = fit.coloured(fit.joint.components), fit.joint.components.rank
    options = SearchOptions(**_options(fit.data, fit.heavy, search))
    dims, share = fit.tensor.shape, fit.data.entries.share
    noise = options.unit(fit.joint.residual, dims, rank) / np.sqrt(sum(dims)) * share
    limit = noise * max(_FAR, _HALF * thresholds(dims).signal * np.sqrt(sum(dims)))
    peaks = np.prod([np.abs(factor).max(axis=0) for factor in components.factors], axis=0)
    if fit.data.largest <= limit - float(components.weights @ peaks):
        return None
    kept = np.flatnonzero(~is_suspect(components))
    left = Components(components.weights[kept], [f[:, kept] for f in components.factors])
    fewer, found = fit.data.without_outliers(left, limit)
    if not found:
        return None
    if fit.n_outliers + found > _MOST_ASIDE * np.prod(dims):
        return fit._replace(heavy=True) if fit.joint.outlier else None
    return fit._replace(
        data=fewer, joint=_nothing(fewer), n_outliers=fit.n_outliers + found
    )
