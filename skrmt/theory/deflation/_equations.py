"""The equations of one step of tensor deflation, given the earlier ones, and their solution."""

from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import root

from .._checks import FloatArray
from ._signal import SpikedSignal, contractions, coordinates, outer

_DAMPING = 0.7
_MAX_ITER = 400
_TOLERANCE = 1e-13
_POWER_STEPS = 200
_CONSISTENT = 1e-8
_RCOND = 1e-10


class Candidate(NamedTuple):
    """A solution of the equations of one step.

    Attributes
    ----------
    singular_value : float
        Its value.
    projections : ndarray of shape (d, n)
        The estimate projected on the components and the earlier estimates.
    traces : ndarray of shape (d,)
        The Stieltjes transforms g_m, negative.
    is_valid : bool
        Whether it solves the equations and is beyond the bulk.
    """

    singular_value: float
    projections: FloatArray
    traces: FloatArray
    is_valid: bool


class StepProblem(NamedTuple):
    """The equations of one step.

    Attributes
    ----------
    mean : ndarray of shape (n, ..., n)
        Conditional mean of the deflated tensor, given the earlier steps.
    filtered : ndarray of shape (i, d, n)
        Earlier estimates as the deflated noise sees them.
    gram_inverses : ndarray of shape (d, i, i)
        Inverse of the Gram matrix of the earlier constraints of each mode.
    projection : ndarray of shape (n, n)
        What deflation has applied to mode 1.
    share : ndarray of shape (d,)
        Share of each mode in the sum of the sizes.
    others : ndarray of shape (d, d, d)
        others[m, a, b] tells whether b differs from m and a.
    """

    mean: FloatArray
    filtered: FloatArray
    gram_inverses: FloatArray
    projection: FloatArray
    share: FloatArray
    others: Any


def step_problem(
    signal: SpikedSignal, chosen: list[Candidate], gammas: FloatArray | None
) -> tuple[StepProblem | None, FloatArray]:
    """Return the equations of the next step, and where to start."""
    done, order, rank = len(chosen), signal.order, signal.rank
    size = rank + done
    axes = np.zeros((order, rank, size))
    axes[:, :, :rank] = coordinates(signal.grams)
    components = axes.transpose(1, 0, 2)
    tensor = sum(
        (beta * outer(vectors) for beta, vectors in zip(signal.betas, components, strict=True)),
        start=np.zeros((size,) * order),
    )
    earlier = estimates(chosen, size).reshape(done, order, size)
    projections = _projections(earlier, gammas, size)
    seen = earlier.copy()
    seen[:, 0] = np.einsum("kab,ka->kb", projections[:done], earlier[:, 0])
    values = np.array([candidate.singular_value for candidate in chosen])
    noise, deflated = _conditional_noise(
        tensor, earlier, seen, values, projections, gammas is not None
    )
    if noise is None:
        return None, components
    if gammas is None:
        mean = deflated + noise
    else:
        mean = np.tensordot(projections[done], tensor + noise, axes=(1, 0))
    others = ~(np.eye(order, dtype=bool)[:, None] | np.eye(order, dtype=bool)[None])
    etas = np.einsum("kmn,lmn->klm", seen, seen)
    single = np.diagonal(others, axis1=0, axis2=1).T
    grams = np.array([np.prod(etas, axis=2, where=mask) for mask in single])
    inverses = np.linalg.pinv(grams, rcond=_RCOND, hermitian=True) if done else grams
    filtered = seen.copy()
    filtered[:, 0] = seen[:, 0] @ projections[done].T
    problem = StepProblem(mean, filtered, inverses, projections[done], signal.share, others)
    unfolded = [np.moveaxis(mean, mode, 0).reshape(size, -1) for mode in range(order)]
    leading = np.array([np.linalg.svd(matrix)[0][:, :3].T for matrix in unfolded])
    starts = [components, leading.transpose(1, 0, 2)]
    return problem, np.concatenate(starts if gammas is None else [*starts, earlier])


def estimates(chosen: list[Candidate], size: int) -> FloatArray:
    """Return estimates as unit vectors: the projection, and a new axis each."""
    order = chosen[0].projections.shape[0] if chosen else 0
    vectors = np.zeros((len(chosen), order, size))
    for k, candidate in enumerate(chosen):
        known = candidate.projections.shape[1]
        vectors[k, :, :known] = candidate.projections
        rest = 1 - np.einsum("mn,mn->m", candidate.projections, candidate.projections)
        vectors[k, :, known] = np.sqrt(np.maximum(rest, 0.0))
    return vectors


def _projections(earlier: FloatArray, gammas: FloatArray | None, size: int) -> FloatArray:
    """Return what deflation applies to mode 1 at each step, shape (i + 1, n, n)."""
    matrices = [np.eye(size)]
    for k, vectors in enumerate(earlier):
        strength = 0.0 if gammas is None else float(gammas[k])
        along = np.outer(vectors[0], vectors[0] @ matrices[-1])
        matrices.append(matrices[-1] - strength * along)
    return np.array(matrices)


def _conditional_noise(
    tensor: FloatArray,
    earlier: FloatArray,
    seen: FloatArray,
    values: FloatArray,
    projections: FloatArray,
    is_projected: bool,
) -> tuple[FloatArray | None, FloatArray]:
    r"""Return the noise of least norm that makes the earlier steps critical, and the deflation."""
    size, deflated = tensor.shape[0], tensor
    rows, right = [], []
    for k, vectors in enumerate(earlier):
        current = np.tensordot(projections[k], tensor, axes=(1, 0)) if is_projected else deflated
        wanted = values[k] * vectors - contractions(current, vectors[None])[0]
        for mode in range(len(vectors)):
            rows.append(_constraints(seen[k], mode, projections[k] if mode == 0 else np.eye(size)))
            right.append(wanted[mode])
        deflated = deflated - values[k] * outer(vectors)
    if not rows:
        return np.zeros_like(tensor), deflated
    matrix, target = np.concatenate(rows), np.concatenate(right)
    solution = np.linalg.lstsq(matrix, target, rcond=_RCOND)[0]
    gap = np.abs(matrix @ solution - target).max()
    if not gap <= _CONSISTENT * max(1.0, float(np.abs(values).max())):
        return None, deflated
    return solution.reshape(tensor.shape), deflated


def _constraints(vectors: FloatArray, mode: int, basis: FloatArray) -> FloatArray:
    """Return the rank-one tensors with each row of a basis in one mode, flat, (n, n^d)."""
    block = np.ones((len(basis), 1))
    for other, vector in enumerate(vectors):
        factor = basis if other == mode else vector[None, :]
        block = (block[:, :, None] * factor[:, None, :]).reshape(len(basis), -1)
    return block


def search(problem: StepProblem, starts: FloatArray) -> list[Candidate]:
    """Solve the equations of one step from many starts."""
    norms = np.linalg.norm(starts, axis=2, keepdims=True)
    raw = starts / np.where(norms > 0, norms, 1.0)
    vectors = raw.copy()
    for _ in range(_POWER_STEPS):
        previous = vectors.copy()
        for mode in range(vectors.shape[1]):
            image = contractions(problem.mean, vectors)[:, mode]
            norm = np.linalg.norm(image, axis=1, keepdims=True)
            vectors[:, mode] = image / np.where(norm > 0, norm, 1.0)
        if np.abs(vectors - previous).max() < 1e-9:
            break
    vectors = np.concatenate([vectors, raw])
    vectors = vectors[_distinct(vectors)]
    values = np.einsum("bn,bn->b", contractions(problem.mean, vectors)[:, 0], vectors[:, 0])
    traces = -problem.share / np.maximum(1.0, np.abs(values))[:, None]
    guesses = [
        Candidate(np.nan, 0.9 * vector, trace, False)
        for vector, trace in zip(vectors, traces, strict=True)
    ]
    return refine(problem, guesses)


def _distinct(vectors: FloatArray) -> list[int]:
    """Return the indices of rank-one tensors that differ from all before them."""
    cosines = np.abs(np.einsum("amn,bmn->abm", vectors, vectors)).prod(axis=2)
    kept: list[int] = []
    for index in range(len(vectors)):
        if all(cosines[index, other] < 1 - 1e-8 for other in kept):
            kept.append(index)
    return kept


def refine(problem: StepProblem, guesses: list[Candidate]) -> list[Candidate]:
    """Solve the equations of one step from guesses of the projections and the traces."""
    vectors = np.array([guess.projections for guess in guesses])
    traces = np.array([guess.traces for guess in guesses])
    moved = np.full(len(guesses), np.inf)
    for _ in range(_MAX_ITER):
        following, scales, _ = _update(problem, vectors, traces)
        next_traces = -problem.share / scales
        moved = np.maximum(
            np.abs(following - vectors).max(axis=(1, 2)), np.abs(next_traces - traces).max(axis=1)
        )
        vectors = vectors + _DAMPING * (following - vectors)
        traces = traces + _DAMPING * (next_traces - traces)
        if moved.max() < _TOLERANCE:
            break
    return [
        _conclude(problem, vector, trace, is_done)
        for vector, trace, is_done in zip(vectors, traces, moved < 1e-11, strict=True)
    ]


def _update(
    problem: StepProblem, vectors: FloatArray, traces: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the next projections (b, d, n), the scales D (b, d), and nu (b,)."""
    mean, filtered, inverses, projection, share, others = problem
    images = contractions(mean, vectors)
    first = vectors[:, 0]
    kept = first @ projection @ projection.T
    variance = 1 + np.einsum("bn,bn->b", kept - first, first)
    free = np.ones_like(traces)
    free[:, 1:] = variance[:, None]
    images[:, 0] -= traces[:, 1:].sum(axis=1)[:, None] * (kept - first)
    if len(filtered):
        overlaps = np.einsum("kmn,bmn->bkm", filtered, vectors)
        # products[b, k, m, a]: over the modes other than m and a.
        products = np.prod(
            np.broadcast_to(overlaps[:, :, None, None, :], (*overlaps.shape[:2], *others.shape)),
            axis=4,
            where=others,
        )
        alone = np.diagonal(products, axis1=2, axis2=3).transpose(0, 2, 1)
        solved = np.einsum("akl,bal->bak", inverses, alone)
        free -= np.einsum("bak,bak->ba", alone, solved)
        distinct = ~np.eye(len(share), dtype=bool)
        weights = np.einsum("ba,bak,bkma,ma->bmk", traces, solved, products, distinct * 1.0)
        images += np.einsum("bmk,kmn->bmn", weights, filtered)
    power = np.einsum("bmn,bmn->bm", images, images)
    scales = np.sqrt(power + share * np.maximum(free, 0.0))
    return images / scales[..., None], scales, variance


def _conclude(
    problem: StepProblem, vectors: FloatArray, traces: FloatArray, is_done: bool
) -> Candidate:
    r"""Return a solution with its value, after Newton's method where the iteration is slow."""
    if not is_done:
        vectors, traces, is_done = _newton(problem, vectors, traces)
    _, scales, variance = _update(problem, vectors[None], traces[None])
    scales, share = scales[0], problem.share
    blocks = np.full((len(share), len(share)), float(variance[0]))
    blocks[0] = blocks[:, 0] = 1.0
    np.fill_diagonal(blocks, 0.0)
    values = scales - blocks @ traces
    radius = np.abs(np.linalg.eigvals((share / scales**2)[:, None] * blocks)).max()
    is_equal = np.ptp(values) <= _CONSISTENT * values.max()
    is_valid = bool(is_done and is_equal and radius < 1)
    return Candidate(float(values.mean()), vectors, traces, is_valid)


def _newton(
    problem: StepProblem, vectors: FloatArray, traces: FloatArray
) -> tuple[FloatArray, FloatArray, bool]:
    """Finish near a threshold, where the damped iteration slows down."""
    shape, cut = vectors.shape, vectors.size

    def gap(unknown: FloatArray) -> FloatArray:
        at, trace = unknown[:cut].reshape(shape), unknown[cut:]
        following, scales, _ = _update(problem, at[None], trace[None])
        return np.concatenate([(following[0] - at).ravel(), -problem.share / scales[0] - trace])

    result = root(gap, np.concatenate([vectors.ravel(), traces]), tol=1e-13)
    solved = np.asarray(result.x, dtype=np.float64)
    is_done = bool(np.all(np.isfinite(solved)) and np.abs(gap(solved)).max() < 1e-9)
    if not is_done:
        return vectors, traces, False
    return solved[:cut].reshape(shape), solved[cut:], True
