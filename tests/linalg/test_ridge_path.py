"""Ridge paths and leave-one-out scores against n refits."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from skrmt.linalg import _gram as gram_module
from skrmt.linalg import (
    coefficients,
    loo_path,
    loo_scores,
    loo_squared_error,
    ridge_basis,
    to_numpy,
)

ALPHAS = np.array([0.03, 1.0, 40.0, np.inf])


def as_kind(X, kind):
    """X as the kind of array under test."""
    if kind == "torch":
        return pytest.importorskip("torch").tensor(X)
    return {"dense": np.array, "csr": sparse.csr_array, "csc": sparse.csc_matrix}[kind](X)


@pytest.fixture(params=["dense", "csr", "csc", "csr-blocks", "torch"])
def kind(request, monkeypatch):
    """Kind of array; "csr-blocks" never stores the left vectors and uses tiny blocks."""
    if request.param == "csr-blocks":
        monkeypatch.setattr(gram_module, "_DENSE_LEFT", -(1 << 40))
        monkeypatch.setattr(gram_module, "_BLOCK", 1)
    return request.param.split("-")[0]


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_path_equals_refits(problem, naive, kind, weighted, fit_intercept):
    X, targets, weights = problem
    w = weights if weighted else np.ones(len(X))
    total = 1.5 * w.sum()
    basis = ridge_basis(
        as_kind(X, kind),
        weights if weighted else None,
        fit_intercept=fit_intercept,
        total_weight=total,
    )
    loo, fitted, leverage = map(to_numpy, loo_path(basis, targets, ALPHAS))
    for k, alpha in enumerate(ALPHAS):
        coef, intercept = map(to_numpy, coefficients(basis, targets, alpha))
        for q, t in enumerate(targets.T):
            refit = naive.loo(X, w, t, alpha, total, fit_intercept)
            np.testing.assert_allclose(loo[:, q, k], refit, rtol=1e-8, atol=1e-10)
            expected, offset = naive.ridge(X, w, t, alpha, total, fit_intercept)
            np.testing.assert_allclose(coef[q], expected, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(intercept[q], offset, rtol=1e-9, atol=1e-12)
            np.testing.assert_allclose(fitted[:, q, k], X @ expected + offset, atol=1e-10)
    assert ((leverage >= 0) & (leverage < 1)).all()


def test_leverage_is_the_derivative_of_the_fit(problem):
    X, targets, w = problem
    basis = ridge_basis(X, w)
    leverage = loo_scores(basis, targets[:, 0], 0.5)[2]
    for i in range(len(X)):
        moved = targets[:, 0] + (np.arange(len(X)) == i)
        change = loo_scores(basis, moved, 0.5)[1] - loo_scores(basis, targets[:, 0], 0.5)[1]
        np.testing.assert_allclose(change[i], leverage[i], rtol=1e-9)


def test_infinite_alpha_is_the_limit(problem):
    X, targets, w = problem
    basis = ridge_basis(X, w)
    alpha = 1e9
    coef, _ = coefficients(basis, targets, alpha)
    limit, _ = coefficients(basis, targets, np.inf)
    np.testing.assert_allclose(alpha * coef, limit, rtol=1e-6)
    error = loo_squared_error(basis, targets, [1e15, np.inf])
    np.testing.assert_allclose(error[0], error[1], rtol=1e-9)


def test_squared_error_and_single_alpha_agree_with_the_path(problem, kind):
    X, targets, w = problem
    basis = ridge_basis(as_kind(X, kind), w)
    loo, fitted, leverage = map(to_numpy, loo_path(basis, targets, ALPHAS[:-1]))
    error = np.einsum("n,nqk->kq", w, (targets[:, :, None] - loo) ** 2) / w.sum()
    ours = to_numpy(loo_squared_error(basis, targets, ALPHAS[:-1]))
    np.testing.assert_allclose(ours, error, rtol=1e-10)
    one = loo_scores(basis, targets[:, 1], ALPHAS[1])
    np.testing.assert_allclose(to_numpy(one[0]), loo[:, 1, 1], rtol=1e-10)
    np.testing.assert_allclose(to_numpy(one[1]), fitted[:, 1, 1], rtol=1e-10)
    np.testing.assert_allclose(to_numpy(one[2]), leverage[:, 1], rtol=1e-10)


def test_integer_weights_equal_merged_leave_out(naive):
    """A row of weight 3 is three copies left out together."""
    rng = np.random.default_rng(3)
    X, t = rng.standard_normal((10, 4)), rng.standard_normal(10)
    w = rng.integers(1, 4, 10)
    rows = np.repeat(np.arange(10), w)
    loo = loo_scores(ridge_basis(X, w), t, 0.2)[0]
    for i in range(10):
        keep = rows[rows != i]
        coef, offset = naive.ridge(X[keep], np.ones(len(keep)), t[keep], 0.2, w.sum(), True)
        np.testing.assert_allclose(loo[i], X[i] @ coef + offset, rtol=1e-8)


@pytest.mark.parametrize("kind", ["dense", "torch"])
@pytest.mark.parametrize("shape", [(60, 8), (20, 50)])
def test_float32_stays_float32(kind, shape):
    rng = np.random.default_rng(5)
    X, t = rng.standard_normal(shape) + 3.0, rng.standard_normal(shape[0])
    narrow = as_kind(X.astype(np.float32), kind)
    basis, reference = ridge_basis(narrow), ridge_basis(X)
    for ours, theirs in zip(
        (*loo_path(basis, t, ALPHAS), *coefficients(basis, t, 0.3)),
        (*loo_path(reference, t, ALPHAS), *coefficients(reference, t, 0.3)),
        strict=True,
    ):
        assert str(ours.dtype).endswith("float32")
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(to_numpy(basis.scale), reference.scale, rtol=1e-5)


@pytest.mark.parametrize("shape", [(60, 8), (20, 50)])
@pytest.mark.parametrize("power", [-1020, -500, 500, 900])
def test_extreme_scales(shape, power):
    """X scaled by 2^k with alpha scaled by 4^k gives the same scores, bit for bit nearly."""
    rng = np.random.default_rng(6)
    X, t = rng.standard_normal(shape) + 1.0, rng.standard_normal(shape[0])
    scaled = np.ldexp(X, power)
    for make in (np.array, sparse.csr_array):
        basis, reference = ridge_basis(make(scaled)), ridge_basis(make(X))
        assert basis.rank == reference.rank
        np.testing.assert_allclose(basis.mean, np.ldexp(reference.mean, power), rtol=1e-12)
        zero = loo_path(basis, t, [1e-10 if abs(power) > 600 else 0.0])[0]
        assert np.isfinite(zero).all()
        if abs(power) == 500:
            alpha = np.ldexp(0.1, 2 * power)
            ours, theirs = loo_path(basis, t, [alpha]), loo_path(reference, t, [0.1])
            for one, other in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-10)
            coef, intercept = coefficients(basis, t, alpha)
            expected, offset = coefficients(reference, t, 0.1)
            np.testing.assert_allclose(np.ldexp(coef, power), expected, rtol=1e-9)
            np.testing.assert_allclose(intercept, offset, rtol=1e-9)


@pytest.mark.parametrize("constant", [0.1, 1e8, 1e100, 1e200])
@pytest.mark.parametrize("shape", [(30, 5), (12, 20)])
@pytest.mark.parametrize("kind", ["dense", "csr"])
def test_constant_features_change_nothing(constant, shape, kind):
    rng = np.random.default_rng(7)
    X, t = rng.standard_normal(shape), rng.standard_normal(shape[0])
    w = rng.uniform(0.5, 2.0, shape[0])
    with_constant = np.insert(X, 2, constant, axis=1)
    basis, reference = ridge_basis(as_kind(with_constant, kind), w), ridge_basis(X, w)
    np.testing.assert_allclose(basis.mean[2], constant, rtol=1e-15)
    ours, theirs = loo_path(basis, t, [0.1]), loo_path(reference, t, [0.1])
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    coef, _ = coefficients(basis, t, 0.1)
    assert abs(coef[0, 2]) * constant < 1e-12


@pytest.mark.parametrize("kind", ["dense", "csr", "torch"])
@pytest.mark.parametrize("shape", [(40, 10), (10, 40)])
def test_rank_deficient_data(kind, shape, naive):
    rng = np.random.default_rng(8)
    X = rng.standard_normal((shape[0], 4)) @ rng.standard_normal((4, shape[1]))
    t = rng.standard_normal(shape[0])
    basis = ridge_basis(as_kind(X, kind))
    assert basis.rank == 4
    refit = naive.loo(X, np.ones(len(X)), t, 0.3, len(X), True)
    np.testing.assert_allclose(to_numpy(loo_scores(basis, t, 0.3)[0]), refit, rtol=1e-8)


@pytest.mark.parametrize("kind", ["dense", "csr", "torch"])
@pytest.mark.parametrize("X", [np.ones((1, 3)), np.ones((4, 3)), np.zeros((4, 2))])
def test_data_without_variation(kind, X):
    t = np.arange(len(X), dtype=float)
    basis = ridge_basis(as_kind(X, kind))
    assert basis.rank == 0
    loo, fitted, leverage = map(to_numpy, loo_path(basis, t, [0.1, np.inf]))
    np.testing.assert_allclose(fitted, t.mean(), atol=1e-12)
    np.testing.assert_allclose(leverage, 1 / len(X))
    if len(X) > 1:
        expected = (t.sum() - t) / (len(X) - 1)
        np.testing.assert_allclose(loo[:, 0, 0], expected, rtol=1e-12)
        np.testing.assert_allclose(loo[:, 0, 1], expected, rtol=1e-12)
    coef, intercept = map(to_numpy, coefficients(basis, t, 0.1))
    assert not coef.any()
    np.testing.assert_allclose(intercept, t.mean())


def test_two_rows(naive):
    X, t = np.array([[0.0, 1.0], [2.0, 5.0]]), np.array([-1.0, 1.0])
    loo = loo_scores(ridge_basis(X), t, 0.4)[0]
    np.testing.assert_allclose(loo, [1.0, -1.0])
    assert np.isfinite(loo_scores(ridge_basis(X, fit_intercept=False), t, 0.4)[0]).all()


@pytest.mark.parametrize("shape", [(30, 5), (8, 20)])
def test_inputs_of_any_layout_are_left_alone(shape):
    rng = np.random.default_rng(9)
    X, t, w = rng.standard_normal(shape), rng.standard_normal(shape[0]), np.full(shape[0], 2.0)
    expected = loo_scores(ridge_basis(X, w), t, 0.2)[0]
    wide = np.zeros((2 * shape[0], 3 * shape[1]))
    wide[::2, ::3] = X
    for array in (X.copy(), np.asfortranarray(X), wide[::2, ::3], X[::-1][::-1]):
        kept = array.copy()
        array.setflags(write=False)
        w.setflags(write=False)
        t.setflags(write=False)
        ours = loo_scores(ridge_basis(array, w), t, 0.2)[0]
        np.testing.assert_allclose(ours, expected, rtol=1e-11)
        np.testing.assert_array_equal(array, kept)
    for matrix in (sparse.csr_array(X), sparse.csc_array(X), sparse.coo_array(X)):
        kept = matrix.copy()
        np.testing.assert_allclose(loo_scores(ridge_basis(matrix, w), t, 0.2)[0], expected)
        np.testing.assert_array_equal(matrix.data, kept.data)


def test_integers_are_computed_in_float64():
    X = np.array([[250, 1], [3, 200], [100, 255], [7, 7]], dtype=np.uint8)
    ours, reference = ridge_basis(X), ridge_basis(X.astype(float))
    np.testing.assert_array_equal(ours.scale, reference.scale)
    assert ours.dtype == "float64"


def test_torch_agrees_with_numpy():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(10)
    X, t, w = rng.standard_normal((50, 12)), rng.standard_normal((50, 3)), rng.uniform(1, 2, 50)
    tensor = torch.tensor(X, requires_grad=True)
    basis, reference = ridge_basis(tensor, torch.tensor(w)), ridge_basis(X, w)
    ours = (*loo_path(basis, torch.tensor(t), ALPHAS), *coefficients(basis, t, 0.3))
    theirs = (*loo_path(reference, t, ALPHAS), *coefficients(reference, t, 0.3))
    for one, other in zip(ours, theirs, strict=True):
        assert torch.is_tensor(one) and not one.requires_grad
        np.testing.assert_allclose(to_numpy(one), other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(50, 40_000), (40_000, 50)])
def test_memory_is_one_copy_and_the_smaller_gram(shape):
    X = np.random.default_rng(11).standard_normal(shape)
    t = X[:, 0]
    tracemalloc.start()
    basis = ridge_basis(X)
    loo_path(basis, t, [0.1, 1.0, 10.0])
    coefficients(basis, t, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    blocks = 4 * 8 * gram_module._BLOCK
    results = 8 * 7 * shape[0]
    assert peak < 1.1 * X.nbytes + 8 * 10 * min(shape) ** 2 + results + blocks


def test_sparse_data_are_never_densified():
    rng = np.random.default_rng(12)
    for shape in ((60, 50_000), (50_000, 60)):
        X = sparse.random(*shape, density=0.002, random_state=rng, format="csr")
        tracemalloc.start()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gram_module, "_DENSE_LEFT", 0)
            patch.setattr(gram_module, "_BLOCK", 1 << 14)
            basis = ridge_basis(X)
            loo_scores(basis, np.ones(shape[0]), 1.0)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 0.35 * 8 * shape[0] * shape[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"X": np.ones(3)}, "X has shape"),
        ({"X": np.ones((0, 3))}, "X has shape"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
        ({"sample_weight": np.array([1.0, 0.0])}, "sample_weight must be positive"),
        ({"sample_weight": np.array([1.0, np.nan])}, "sample_weight must be positive"),
        ({"total_weight": 0.0}, "total_weight=0.0"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ridge_basis(**{"X": np.eye(2), **arguments})


def test_bad_targets_and_alphas_are_named():
    basis = ridge_basis(np.eye(3))
    with pytest.raises(ValueError, match="targets has shape"):
        loo_path(basis, np.ones(2), [1.0])
    for alphas in ([-1.0], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="alphas="):
            loo_path(basis, np.ones(3), alphas)


def test_sparse_tensors_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError, match="layout"):
        ridge_basis(torch.eye(3).to_sparse())
