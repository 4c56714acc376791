"""Leave-one-out with synthetic rows, against n refits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from skrmt.linalg import coefficients, loo_path, ridge_basis
from skrmt.linear_model.synthetic_mix._basis import mix_basis
from skrmt.linear_model.synthetic_mix._path import mix_coefficients, mix_loo
from skrmt.linear_model.synthetic_mix._predict_path import predict_path

FORMS = ["primal", "gram", "kernel"]
ALPHAS = np.array([1e-3, 0.05, 1.0, 30.0])


def problem(n, m, p, q=2, n_sources=2, seed=0, weighted=True):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) + 0.5
    T = rng.standard_normal((n, q)) + X[:, :1]
    u = rng.uniform(0.5, 2.0, n) if weighted else None
    sources = []
    for s in range(n_sources):
        Z = rng.standard_normal((m, p)) * (1 + s) - 0.3
        v = rng.uniform(0.5, 2.0, m) if weighted else None
        sources.append((Z, rng.standard_normal((m, q)) + Z[:, :1], v))
    return X, T, u, sources


def fit(X, T, weights, penalty, intercept):
    """Solve one weighted ridge densely."""
    if intercept:
        mean, target = (weights @ a / weights.sum() for a in (X, T))
    else:
        mean, target = np.zeros(X.shape[1]), np.zeros(T.shape[1])
    Xc, Tc = X - mean, T - target
    gram = (Xc.T * weights) @ Xc + penalty * np.eye(X.shape[1])
    coef = np.linalg.solve(gram, (Xc.T * weights) @ Tc)
    return coef, target - mean @ coef


def refits(X, T, u, sources, omega, alpha, intercept, part=None):
    """Return left-out scores by n dense fits without a row, or without a part of its weight."""
    ones = [np.ones(len(Z)) if v is None else v for Z, _, v in sources]
    u = np.ones(len(X)) if u is None else u
    data, targets = (np.concatenate([a, *(s[k] for s in sources)]) for k, a in enumerate((X, T)))
    total = u.sum() + sum(v.sum() for v in ones)
    weights = np.concatenate([u, *(w * v for w, v in zip(omega, ones, strict=True))])
    scores = np.empty_like(T)
    for i in range(len(X)):
        rest = weights.copy()
        rest[i] *= 0.0 if part is None else 1.0 - part[i]
        coef, b = fit(data, targets, rest, total * alpha, intercept)
        scores[i] = X[i] @ coef + b
    return scores, fit(data, targets, weights, total * alpha, intercept)


def grid(basis, omegas, alphas):
    """Collect the scores of `mix_loo` as (n, q, g, k)."""
    n, q = basis.real.targets.shape
    scores = np.full((n, q, len(omegas), len(alphas)), np.nan)
    for indices, part in mix_loo(basis, omegas, alphas):
        assert np.isnan(scores[:, :, indices]).all()
        scores[:, :, indices] = np.asarray(part)
    return scores


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "m", "p"), [(12, 20, 6), (8, 30, 15), (9, 6, 25), (6, 14, 16)])
def test_scores_are_those_of_refits(form, intercept, n, m, p):
    if form == "kernel" and 2 * m > p:
        pytest.skip("the kernel form is for fewer synthetic rows than features")
    X, T, u, sources = problem(n, m, p)
    omegas = np.array([[0.0, 0.0], [0.3, 0.3], [1.0, 1.0], [0.5, 0.0], [0.1, 0.9]])
    basis = mix_basis(X, T, sources, u, fit_intercept=intercept, form=form)
    scores = grid(basis, omegas, ALPHAS)
    for g, omega in enumerate(omegas):
        for k, alpha in enumerate(ALPHAS):
            expected, (coef, b) = refits(X, T, u, sources, omega, alpha, intercept)
            np.testing.assert_allclose(scores[:, :, g, k], expected, rtol=1e-8, atol=1e-8)
            got, constant = mix_coefficients(basis, omega, alpha)
            np.testing.assert_allclose(got, coef.T, rtol=1e-8, atol=1e-9)
            np.testing.assert_allclose(constant, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("intercept", [True, False])
def test_a_part_of_a_row_is_left_out_as_by_refits(form, intercept):
    X, T, u, sources = problem(9, 6, 25)
    part = np.array([1.0, 0.5, 1 / 3, 0.1, 1.0, 0.25, 0.9, 0.01, 1.0])
    omegas = np.array([[0.0, 0.0], [0.3, 0.3], [0.1, 0.9]])
    basis = mix_basis(X, T, sources, u, fit_intercept=intercept, part=part, form=form)
    scores = grid(basis, omegas, ALPHAS)
    for g, omega in enumerate(omegas):
        for k, alpha in enumerate(ALPHAS):
            expected, _ = refits(X, T, u, sources, omega, alpha, intercept, part)
            np.testing.assert_allclose(scores[:, :, g, k], expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("form", ["gram", "kernel"])
def test_shared_ratios_agree_with_single_ones(form):
    X, T, u, sources = problem(7, 8, 20, n_sources=1)
    omegas, alphas = np.array([[0.25], [0.5], [1.0]]), np.array([0.1, 0.2, 0.4, 0.8])
    shared = grid(mix_basis(X, T, sources, u, form=form), omegas, alphas)
    direct = grid(mix_basis(X, T, sources, u, form="primal"), omegas, alphas)
    np.testing.assert_allclose(shared, direct, rtol=1e-8, atol=1e-9)


def test_unpenalised_fits():
    X, T, u, sources = problem(12, 10, 6)
    for form in ("primal", "gram"):
        basis = mix_basis(X, T, sources, u, form=form)
        expected, (coef, _) = refits(X, T, u, sources, [0.5, 0.5], 0.0, True)
        np.testing.assert_allclose(
            grid(basis, [[0.5, 0.5]], [0.0])[:, :, 0, 0], expected, rtol=1e-8, atol=1e-9
        )
        np.testing.assert_allclose(mix_coefficients(basis, [0.5, 0.5], 0.0)[0], coef.T, rtol=1e-8)


def test_no_synthetic_weight_is_the_plain_path():
    X, T, u, sources = problem(12, 10, 6)
    basis = mix_basis(X, T, sources, u)
    plain = ridge_basis(X, u, total_weight=basis.total_weight)
    expected = loo_path(plain, T, ALPHAS)[0]
    np.testing.assert_allclose(grid(basis, [[0.0, 0.0]], ALPHAS)[:, :, 0], expected)
    np.testing.assert_allclose(
        mix_coefficients(basis, [0.0, 0.0], 0.1)[0], coefficients(plain, T, 0.1)[0]
    )


@pytest.mark.parametrize(("n", "m", "p"), [(12, 20, 6), (8, 30, 15), (9, 6, 25)])
def test_sparse_data(n, m, p):
    X, T, u, sources = problem(n, m, p)
    X[np.abs(X) < 0.8] = 0
    thin = [(np.where(np.abs(Z) < 0.8, 0, Z), *rest) for Z, *rest in sources]
    loose = [(sparse.csr_matrix(Z), *rest) for Z, *rest in thin]
    omegas = [[0.3, 0.3], [0.2, 1.0]]
    for form in FORMS[: 3 if 2 * m < p else 2]:
        dense = grid(mix_basis(X, T, thin, u, form=form), omegas, ALPHAS)
        basis = mix_basis(sparse.csr_matrix(X), T, loose, u, form=form)
        np.testing.assert_allclose(grid(basis, omegas, ALPHAS), dense, rtol=1e-7, atol=1e-8)
        np.testing.assert_allclose(
            mix_coefficients(basis, [0.2, 1.0], 0.1)[0],
            mix_coefficients(mix_basis(X, T, thin, u, form=form), [0.2, 1.0], 0.1)[0],
            rtol=1e-7,
            atol=1e-9,
        )


@pytest.mark.parametrize("form", FORMS)
def test_torch_tensors(form):
    torch = pytest.importorskip("torch")
    X, T, u, sources = problem(9, 6, 25)
    moved = [tuple(torch.as_tensor(a) for a in s) for s in sources]
    basis = mix_basis(torch.as_tensor(X), torch.as_tensor(T), moved, torch.as_tensor(u), form=form)
    omegas = [[0.3, 0.3], [0.2, 1.0], [0.0, 0.0]]
    expected = grid(mix_basis(X, T, sources, u, form=form), omegas, ALPHAS)
    np.testing.assert_allclose(grid(basis, omegas, ALPHAS), expected, rtol=1e-8, atol=1e-9)
    coef, intercept = mix_coefficients(basis, [0.2, 1.0], 0.1)
    assert isinstance(coef, torch.Tensor) and isinstance(intercept, torch.Tensor)


@pytest.mark.parametrize("form", FORMS)
def test_single_precision_comes_out(form):
    X, T, u, sources = problem(9, 6, 25)
    small = [(Z.astype(np.float32), *rest) for Z, *rest in sources]
    basis = mix_basis(X.astype(np.float32), T, small, u, form=form)
    (_, part), *_ = mix_loo(basis, [[0.3, 0.4]], ALPHAS)
    assert part.dtype == np.float32
    expected = grid(mix_basis(X, T, sources, u, form=form), [[0.3, 0.4]], ALPHAS)
    np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-4)


def test_new_rows_along_the_path():
    X, T, u, _ = problem(12, 10, 6)
    new = np.random.default_rng(1).standard_normal((5, 6))
    for alpha, scores in zip(
        ALPHAS, np.moveaxis(predict_path(ridge_basis(X, u), T, ALPHAS, new), 2, 0), strict=True
    ):
        coef, b = fit(X, T, u, u.sum() * alpha, True)
        np.testing.assert_allclose(scores, new @ coef + b, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda b: next(mix_loo(b, [[0.1]], [1.0])), "source_weights has shape"),
        (lambda b: next(mix_loo(b, [[-0.1, 1.0]], [1.0])), "source_weights has the value"),
        (lambda b: next(mix_loo(b, [[0.1, 1.0]], [np.inf])), "finite"),
        (lambda b: next(mix_loo(b, [[0.1, 1.0]], [-1.0])), "alphas"),
        (lambda b: mix_coefficients(b, [1.0], 1.0), "source_weights has shape"),
    ],
)
def test_bad_arguments(call, message):
    X, T, u, sources = problem(6, 5, 4)
    with pytest.raises(ValueError, match=message):
        call(mix_basis(X, T, sources, u))


def test_bad_sources():
    X, T, _, sources = problem(6, 5, 4)
    with pytest.raises(ValueError, match="features"):
        mix_basis(X[:, :3], T, sources)
    with pytest.raises(ValueError, match="targets has shape"):
        mix_basis(X, T, [(sources[0][0], T[:2])])
    with pytest.raises(ValueError, match="positive"):
        mix_basis(X, T, [(*sources[0][:2], np.zeros(5))])
    with pytest.raises(ValueError, match="part must be"):
        mix_basis(X, T, sources, part=np.zeros(6))
