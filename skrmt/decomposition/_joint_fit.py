"""The joint fit of a tensor with coloured noise, missing entries and outliers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..linalg import Components, DenseTensor, no_components
from ..linalg._power_sweeps import column_change
from ..theory.spiked_tensor import thresholds
from ._noise import (
    MORE_OR_COLOUR,
    Entries,
    check_tensor_noise,
    is_suspect,
    residual_kurtosis,
)
from ._rank import (
    JointComponents,
    SearchOptions,
    flipped_norm,
    holds_more,
    joint_components,
    largest_rank,
)
from ._tensor_input import TensorInput
from ._whitening import Whitening, estimate_whitening

_ROUNDS = 6
"""Searches after entries were filled in or set aside: each but the last finds something new."""

_SET_ASIDE = 2
"""Searches after which entries may be set aside: the second knows the variance without them."""

_FILL_SWEEPS = 30
"""Sweeps between two fillings, from where the last one ended."""

_FILLS = 30
"""Times that missing entries are filled in between two searches: what is left shrinks by about
the root of (parameters / observed entries) each time."""

_COLOURINGS = 3
"""Rounds in which the covariance of the noise is estimated again: the fit that fills missing
entries has then found its components."""

_FILLED = 1e-5
"""Change of the unit factors at which filling in ends, if it is more than the tolerance of fits."""

_GAIN = 1e-3
"""Change of the sum of squares, over that of one entry of the noise a component, at which filling
in ends too: the factors then move by less than a thousandth of their error."""

_MOST_ASIDE = 0.005
"""Share of the entries that may be set aside: of Student's t with 3 degrees of freedom fewer stand
out."""

_NORMS = 2
"""Searches with the norm of the noise measured: what the second leaves has fewer components."""

_HOPELESS = 1.5
"""Norm of the noise over that of theory from which its variances are so unequal that neither the
theory holds nor single entries can be told from them."""

_FURTHER = 2
"""Components more than asked for that are fitted to see whether white noise is left: each costs a
search, and tensors that need more have no simple noise."""

_UNEQUAL = 1.0
"""Excess kurtosis of the residual from which the norm of the noise is measured: below it, noise of
unequal variances, as that of counts, hardly exceeds the norm of theory."""

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
    noise_norm : float
        Best rank-one value of noise whose entries have unequal variances; 0 where that of theory
        holds.
    """

    joint: JointComponents
    data: TensorInput
    tensor: DenseTensor
    whitening: Whitening | None
    n_outliers: int
    heavy: bool
    noise_norm: float = 0.0

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
    fit, gaps = (
        JointFit(_nothing(data), data, data.tensor, None, 0, False),
        data.observed is not None,
    )
    for turn in range(_ROUNDS):
        before = fit.joint.components.rank if turn else -1
        fit = _search(fit, rank, structure if turn < _COLOURINGS else "known", search)
        if turn == 0 and gaps:
            fit = fill_in(_without_suspects(fit), search)
            continue
        fewer = _without_outliers(fit, search) if turn < _SET_ASIDE + gaps else None
        if fewer is not None:
            fit = fewer
            continue
        fit = _with_measured_norm(fit, rank, search)
        if fit.joint.outlier and not fit.heavy:
            fit = fit._replace(heavy=True)
        elif data.observed is None or fit.joint.components.rank == before:
            break
        else:
            fit = fill_in(fit, search)
    return fit


def has_further_component(
    fit: JointFit, misfit: str, asked: int | None, search: dict[str, Any]
) -> bool:
    """Return whether the components leave others that stand out of white noise.

    Where their number was not `asked` for, all were searched for that are not behind one another.
    """
    options = _options(fit, search)
    if not misfit:
        return holds_more(fit.tensor, fit.joint, asked is None, **options)
    if misfit != MORE_OR_COLOUR or asked is None:
        return False
    joint, tensor, entries = fit.joint, fit.tensor, fit.data.entries
    for _ in range(_FURTHER):
        rank = joint.components.rank + 1
        if rank > largest_rank(tensor.shape):
            return False
        joint = joint_components(tensor, rank, joint, **options)
        variance = entries.variance(joint.residual, rank)
        check = check_tensor_noise(
            tensor, joint.components, variance, search["seed"], entries.copies
        )
        if not check.misfit:
            return True
    return False


def _nothing(data: TensorInput) -> JointComponents:
    """Return a fit without components."""
    return JointComponents(no_components(data.tensor.shape), np.zeros(0, dtype=bool), np.inf)


def _search(fit: JointFit, rank: int | None, structure: str, search: dict[str, Any]) -> JointFit:
    """Fill in, estimate the covariance of the noise, and search from what is known."""
    components, data = fit.coloured(fit.joint.components), fit.data
    filled, whitening = data.filled(components, data.entries.share), fit.whitening
    if structure == "auto":
        kurtosis = residual_kurtosis(filled, components)
        whitening = estimate_whitening(filled, kurtosis, data.entries.copies)
    white = filled if whitening is None else whitening.apply(filled)
    start = components if whitening is None else whitening.whiten(components)
    known = fit.joint._replace(components=start, converged=True)
    fit = fit._replace(tensor=white, whitening=whitening)
    joint = joint_components(white, rank, known, **_options(fit, search))
    return fit._replace(joint=joint)


def _with_measured_norm(fit: JointFit, rank: int | None, search: dict[str, Any]) -> JointFit:
    """Search again with the norm of the noise measured, where its entries vary in variance."""
    white, joint = fit.tensor, fit.joint
    for _ in range(_NORMS if joint.components.rank else 0):
        if residual_kurtosis(white, joint.components) < _UNEQUAL:
            break
        options = SearchOptions(**_options(fit, search))
        norm = flipped_norm(white, joint, options)
        unit = options.unit(joint.residual, white.shape, joint.components.rank)
        if joint.components.weights.min() > (norm + 1) * unit:
            break
        if norm <= max(fit.noise_norm, thresholds(white.shape).noise_norm):
            break
        fit, before = fit._replace(noise_norm=norm), joint.components.rank
        if norm > _HOPELESS * thresholds(white.shape).noise_norm:
            fit = fit._replace(heavy=True)
        joint = joint_components(white, rank, None, **_options(fit, search))
        if joint.components.rank in (0, before):
            break
    return fit._replace(joint=joint)


def _without_suspects(fit: JointFit) -> JointFit:
    """Return the fit without components that may be single entries."""
    joint = fit.joint
    kept = np.flatnonzero(~is_suspect(joint.components))
    factors = [factor[:, kept] for factor in joint.components.factors]
    left = Components(joint.components.weights[kept], factors)
    return fit._replace(joint=joint._replace(components=left, detected=joint.detected[kept]))


def fill_in(fit: JointFit, search: dict[str, Any], n_fills: int = _FILLS) -> JointFit:
    """Fill in missing entries and fit by turns, until the fit is that of the observed entries."""
    tol, left, step = max(_FILLED, search["tol"]), np.inf, fit.data.entries.share
    options = {**_options(fit, search), "max_iter": min(_FILL_SWEEPS, search["max_iter"])}
    unit = SearchOptions(**options).unit
    for _ in range(n_fills):
        joint, rank = fit.joint, fit.joint.components.rank
        if not rank:
            break
        white = _filled(fit, step)
        again = joint_components(white, rank, joint, **options)
        pairs = zip(again.components.factors, joint.components.factors, strict=True)
        moved = max(float(column_change(a, b).max()) for a, b in pairs)
        fit = fit._replace(joint=again)
        noise = unit(again.residual, white.shape, rank) ** 2 / sum(white.shape)
        if moved <= tol or abs(again.residual - joint.residual) < _GAIN * rank * noise:
            break
        # Where larger steps do not converge, those of expectation-maximisation do.
        step = step if moved < left else 1.0
        left = moved
    return fit._replace(tensor=_filled(fit, fit.data.entries.share))


def _filled(fit: JointFit, step: float) -> DenseTensor:
    """Return the tensor in white noise, its gaps filled from the fit."""
    filled = fit.data.filled(fit.coloured(fit.joint.components), step)
    return filled if fit.whitening is None else fit.whitening.apply(filled)


def _options(fit: JointFit, search: dict[str, Any]) -> dict[str, Any]:
    """Return how to search a tensor whose gaps were filled."""
    entries, variance = fit.data.entries, search.get("noise_variance")
    if variance is not None:
        variance = effective_variance(variance, entries)
    return {
        **search,
        "noise_variance": variance,
        "entries": entries,
        "keep_outliers": fit.heavy,
        "noise_norm": fit.noise_norm,
    }


def effective_variance(variance: float, entries: Entries) -> float:
    """Return the variance of the noise that theory sees, given that of an observed entry."""
    return variance / entries.share * entries.copies


def _without_outliers(fit: JointFit, search: dict[str, Any]) -> JointFit | None:
    """Set entries aside that may pass for components, unless there are none, or too many."""
    if fit.heavy:
        return None
    components, rank = fit.coloured(fit.joint.components), fit.joint.components.rank
    options = SearchOptions(**_options(fit, search))
    dims, share = fit.tensor.shape, fit.data.entries.share
    noise = options.unit(fit.joint.residual, dims, rank) / np.sqrt(sum(dims)) * share
    limit = noise * max(_FAR, _HALF * thresholds(dims).signal * np.sqrt(sum(dims)))
    peaks = np.prod([np.abs(factor).max(axis=0) for factor in components.factors], axis=0)
    deviations, smallest = None, 1.0
    if fit.whitening is not None:
        deviations = [np.sqrt(np.diag(c)) for c in fit.whitening.covariances]
        smallest = float(np.prod([deviation.min() for deviation in deviations]))
    if fit.data.largest <= limit * smallest - float(components.weights @ peaks):
        return None
    kept = np.flatnonzero(~is_suspect(components))
    left = Components(components.weights[kept], [f[:, kept] for f in components.factors])
    fewer, found = fit.data.without_outliers(left, limit, deviations)
    if not found:
        return None
    if fit.n_outliers + found > _MOST_ASIDE * np.prod(dims):
        return fit._replace(heavy=True) if fit.joint.outlier else None
    suspects = len(kept) < rank or fit.joint.outlier
    joint = _nothing(fewer) if suspects else fit.joint
    return fit._replace(data=fewer, joint=joint, n_outliers=fit.n_outliers + found)
