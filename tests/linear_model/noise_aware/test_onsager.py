"""The Onsager term against its double sum over refits, and against what it corrects."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from skrmt.linalg import _gram as gram_module
from skrmt.linalg import loo_path, loo_scores, ridge_basis, to_numpy
from skrmt.linear_model.noise_aware._onsager import onsager

PAIRS = [(0.5, 0.5), (0.5, 2.0), (np.inf, 0.5), (0.5, np.inf), (np.inf, np.inf)]


def sensitivity(X, w, alpha, fit_intercept):
    """Matrix A of the leave-one-out scores f = A t, by refits on the unit vectors."""
    n, p = X.shape
    columns = np.empty((n, n))
    for i in range(n):
        keep = np.arange(n) != i
        v = w[keep]
        mean = v @ X[keep] / v.sum() if fit_intercept else np.zeros(p)
        centred = X[keep] - mean
        slopes = v[:, None] * np.eye(n)[keep]
        if fit_intercept:
            average = np.where(keep, w, 0.0) / v.sum()
            slopes = slopes - v[:, None] * average
        right = centred.T @ slopes
        if np.isinf(alpha):
            coef = right / w.sum()
        else:
            gram = centred.T @ (v[:, None] * centred) + w.sum() * alpha * np.eye(p)
            coef = np.linalg.solve(gram, right)
        columns[i] = (X[i] - mean) @ coef + (average if fit_intercept else 0.0)
    return columns


def naive_onsager(X, w, previous, current, slopes, fit_intercept):
    """The double sum over the sensitivities, the own target left out."""
    first = sensitivity(X, w, previous, fit_intercept)
    second = sensitivity(X, w, current, fit_intercept)
    paths = second * first.T
    np.fill_diagonal(paths, 0.0)
    return np.tensordot(paths, slopes, axes=1)


@pytest.fixture(
    params=[(24, 6), (14, 30), (12, 12)], ids=["tall", "wide", "square"], scope="module"
)
def problem(request):
    """X with means away from zero, targets and weights."""
    n, p = request.param
    rng = np.random.default_rng(17)
    X = rng.standard_normal((n, p)) + rng.standard_normal(p)
    return X, rng.standard_normal(n), rng.uniform(0.3, 3.0, n)


def amplification(basis, alpha, w):
    """Factor 1 / (1 - leverage) of the scores."""
    if np.isinf(alpha):
        return 1.0 / (1.0 - to_numpy(basis.share))
    return 1.0 / (1.0 - loo_path(basis, w, [alpha])[2][:, 0])


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
def test_equals_the_double_sum_of_mean_slopes(problem, pair, weighted, fit_intercept):
    X, _, weights = problem
    w = weights if weighted else np.ones(len(X))
    basis = ridge_basis(X, weights if weighted else None, fit_intercept=fit_intercept)
    slopes = np.random.default_rng(1).uniform(-0.5, 1.0, len(X))
    lift = amplification(basis, pair[0], w)
    level = np.average(slopes * lift, weights=w) / lift
    expected = naive_onsager(X, w, *pair, level, fit_intercept)
    memory = onsager(basis, *pair, slopes)
    np.testing.assert_allclose(memory, expected, rtol=1e-8, atol=1e-10 * abs(expected).max())


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("pair", PAIRS)
def test_part_of_a_row_is_one_of_its_repetitions(pair, fit_intercept):
    """A merged row that leaves out one unit has the term of any of the rows it stands for."""
    rng = np.random.default_rng(5)
    X, counts, slopes = rng.standard_normal((9, 4)), rng.integers(1, 5, 9), rng.random(9)
    merged = ridge_basis(X, counts.astype(float), fit_intercept=fit_intercept, part=1.0 / counts)
    rows = np.repeat(np.arange(9), counts)
    repeated = ridge_basis(X[rows], fit_intercept=fit_intercept)
    np.testing.assert_allclose(
        onsager(merged, *pair, slopes)[rows], onsager(repeated, *pair, slopes[rows]), rtol=1e-9
    )


def test_mean_slope_errs_by_one_over_the_root_of_n():
    """The neglected sum has n terms of random sign: its share of c falls like n^(-1/2)."""
    errors = []
    for n in (30, 120):
        rng = np.random.default_rng(n)
        X = rng.standard_normal((n, n // 2))
        slopes = rng.uniform(0.0, 1.0, n)
        exact = naive_onsager(X, np.ones(n), 1.0, 1.0, slopes, True)
        ours = onsager(ridge_basis(X), 1.0, 1.0, slopes)
        errors.append(np.sqrt(np.mean((ours - exact) ** 2)) / exact.mean())
    assert errors[0] < 2.0 / np.sqrt(30)
    assert errors[1] < 0.7 * errors[0]


def test_is_the_derivative_through_the_other_rows(problem):
    """Finite differences with targets linear in the scores, whose slope is constant."""
    X, t, w = problem
    basis = ridge_basis(X, w)
    lift = amplification(basis, 0.7, w)

    def second_score(t, i):
        return loo_scores(basis, loo_scores(basis, t, 0.7)[0] / lift, 1.3)[0][i]

    memory = onsager(basis, 0.7, 1.3, 1.0 / lift)
    for i in range(len(X)):
        move = np.arange(len(X)) == i
        change = second_score(t + move, i) - second_score(t - move, i)
        np.testing.assert_allclose(memory[i], change / 2.0, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("stored", [True, False])
@pytest.mark.parametrize("shape", [(40, 6), (10, 30)])
def test_sparse_agrees_with_dense(monkeypatch, shape, stored):
    if not stored:
        monkeypatch.setattr(gram_module, "_DENSE_LEFT", -(1 << 40))
        monkeypatch.setattr(gram_module, "_BLOCK", 1)
    X = np.random.default_rng(3).standard_normal(shape)
    slopes = np.linspace(0.1, 1.0, shape[0])
    ours = onsager(ridge_basis(sparse.csr_array(X)), 1.0, 2.0, slopes)
    np.testing.assert_allclose(ours, onsager(ridge_basis(X), 1.0, 2.0, slopes), rtol=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("shape", [(40, 6), (10, 30)])
def test_torch_agrees_with_numpy(shape):
    torch = pytest.importorskip("torch")
    X = np.random.default_rng(4).standard_normal(shape)
    slopes = np.linspace(0.1, 1.0, shape[0])
    reference = onsager(ridge_basis(X), 1.0, 0.6, slopes)
    ours = onsager(ridge_basis(torch.tensor(X)), 1.0, 0.6, torch.tensor(slopes))
    np.testing.assert_allclose(to_numpy(ours), reference, rtol=1e-10, atol=1e-14)


def test_float32_data_give_float32():
    X = np.random.default_rng(8).standard_normal((50, 10))
    slopes = np.linspace(0.0, 1.0, 50)
    reference = onsager(ridge_basis(X), 1.0, 2.0, slopes)
    ours = onsager(ridge_basis(X.astype(np.float32)), 1.0, 2.0, slopes)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-4 * abs(reference).max())


@pytest.mark.parametrize("slopes", [np.zeros(4), np.ones(4)])
def test_degenerate_inputs(slopes):
    constant = ridge_basis(np.ones((4, 2)))
    assert np.isfinite(onsager(constant, 1.0, 1.0, slopes)).all()
    assert np.isfinite(onsager(ridge_basis(np.eye(4)), 0.5, np.inf, slopes)).all()


def test_bad_arguments_are_named():
    basis = ridge_basis(np.eye(4))
    for slopes in (np.ones(3), np.ones((4, 2))):
        with pytest.raises(ValueError, match="slopes has shape"):
            onsager(basis, 1.0, 1.0, slopes)
    with pytest.raises(ValueError, match="alphas="):
        onsager(basis, -1.0, 1.0, np.ones(4))


@given(st.integers(0, 1000), st.tuples(st.integers(6, 12), st.integers(1, 6)), st.floats(0.1, 10.0))
def test_term_is_linear_in_the_slopes(seed, shape, alpha):
    rng = np.random.default_rng(seed)
    basis = ridge_basis(rng.standard_normal(shape), fit_intercept=False)
    zero = onsager(basis, alpha, alpha, np.zeros(shape[0]))
    np.testing.assert_allclose(zero, 0, atol=1e-12)
    slopes = rng.uniform(0, 1, shape[0])
    once = onsager(basis, alpha, alpha, slopes)
    np.testing.assert_allclose(onsager(basis, alpha, alpha, 2 * slopes), 2 * once)
