"""CKA, its test and tables, local CKA and quadratic assignment: naive twins, tables, bad input."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import quadratic_assignment as scipy_assignment
from scipy.stats import kstest, ortho_group

from skrmt.datasets import make_correlated_graphs
from skrmt.exceptions import TheoryWarning
from skrmt.matching import (
    cka,
    cka_matrix,
    cka_test,
    hsic,
    local_cka_scores,
    quadratic_assignment,
)

TABLE = [
    (40, 25, 5, 7, "linear", (2, 2), 0.730863, 0.707985, 0.706218, 0.665043, 0.105479, 0.032387),
    (40, 25, 5, 7, "rbf", (2, 2), 0.745540, 0.704391, 0.735714, 0.666266, 0.161869, 0.030380),
    (60, 30, 12, 6, "rbf", (0, 4), 0.528196, 0.449405, 0.599396, 0.460223, 0.163891, 0.019661),
    (60, 30, 12, 6, "linear", (3, 3), 0.498122, 0.449246, 0.531252, 0.434794, 0.106824, 0.021142),
]
HSIC = [1.237732, 0.014859, 0.005929, 1.063665]
FAQ = [0.484676, 0.469599, 0.378751, 0.364074]


def wave(n, p, a, b):
    """A deterministic matrix."""
    i, j = np.arange(1, n + 1)[:, None], np.arange(1, p + 1)
    return np.cos(a * i * j + b * i + 0.3 * j**2)


def pair(n, p, q):
    """Two deterministic sets of features."""
    X = wave(n, p, 0.7, 0.2)
    r = min(p, q)
    return X, np.tanh(X[:, :r] @ wave(r, q, 0.5, 0.1)) + 0.3 * wave(n, q, 1.1, 0.4)


def median(X):
    """Root of the median squared distance."""
    squares = ((X[:, None] - X) ** 2).sum(-1)
    return np.sqrt(np.median(squares[np.triu_indices(len(X), 1)]))


def gram(X, kernel, width):
    """A kernel, entry by entry."""
    if kernel == "linear":
        return X @ X.T
    return np.exp(-((X[:, None] - X) ** 2).sum(-1) / (2 * width**2))


def naive_cka(K, L, debiased):
    """CKA of two kernels by its definition."""
    n = len(K)
    H = np.eye(n) - 1 / n
    if not debiased:
        A, B = H @ K @ H, H @ L @ H
        return (A * B).sum() / np.sqrt((A * A).sum() * (B * B).sum())

    def unbiased(A, B):
        A, B = A - np.diag(np.diag(A)), B - np.diag(np.diag(B))
        ones = np.ones(n)
        return (
            (A * B).sum()
            + ones @ A @ ones * (ones @ B @ ones) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (A @ ones) @ (B @ ones)
        )

    return unbiased(K, L) / np.sqrt(unbiased(K, K) * unbiased(L, L))


@pytest.mark.parametrize(("row", "value"), list(zip(TABLE, HSIC, strict=True)))
def test_table(row, value):
    n, m, p, q, kernel, (i, j), biased, debiased, local_b, local_u, mean, std = row
    X, Y = pair(n, p, q)
    widths = median(X[:m]), median(Y[:m])
    options = {"kernel": kernel, "bandwidth": widths}
    assert cka(X, Y, debiased=False, **options) == pytest.approx(biased, abs=1e-6)
    assert cka(X, Y, **options) == pytest.approx(debiased, abs=1e-6)
    assert hsic(X, Y, **options) == pytest.approx(value, abs=1e-6)
    test = cka_test(X, Y, debiased=False, **options)
    assert test.null_mean == pytest.approx(mean, abs=1e-6)
    assert test.null_std == pytest.approx(std, abs=1e-6)
    parts = X[:m], Y[:m], X[m:], Y[m:]
    for flag, wanted in ((False, local_b), (True, local_u)):
        scores = local_cka_scores(*parts, kernel=kernel, debiased=flag)
        assert scores[i, j] == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "precomputed"])
@pytest.mark.parametrize("debiased", [True, False])
@pytest.mark.parametrize("widths", [(3, 50), (8, 2)])
def test_cka_agrees_with_its_definition(kernel, debiased, widths, rng):
    X, Y = (rng.standard_normal((30, width)) for width in widths)
    Y[:, 0] += X[:, 0]
    K, L = (
        gram(X, kernel.replace("precomputed", "rbf"), 2.0),
        gram(Y, kernel.replace("precomputed", "rbf"), 3.0),
    )
    sides = (K, L) if kernel == "precomputed" else (X, Y)
    found = cka(*sides, kernel=kernel, debiased=debiased, bandwidth=(2.0, 3.0))
    assert found == pytest.approx(naive_cka(K, L, debiased), rel=1e-10)


def test_cka_is_invariant_and_takes_what_users_have(rng):
    X, Y = rng.standard_normal((40, 6)), rng.standard_normal((40, 5))
    rotation = ortho_group.rvs(6, random_state=0)
    assert cka(3 * X @ rotation + 7, Y) == pytest.approx(cka(X, Y))
    order = rng.permutation(40)
    assert cka(X[order], Y[order]) == pytest.approx(cka(X, Y))
    assert cka(pd.DataFrame(X), Y.tolist()) == pytest.approx(cka(X, Y))
    assert cka(X, X) == pytest.approx(1)
    assert cka(X * 1e150, Y * 1e-150) == pytest.approx(cka(X, Y))
    near = (X + 1e4).astype(np.float32)
    assert cka(near, X, kernel="rbf") == pytest.approx(1, abs=1e-3)
    X.setflags(write=False)
    cka(X, Y, kernel="rbf")


def test_minibatches_average_hsic_and_not_ratios(rng):
    X = rng.standard_normal((64, 5))
    Y = X[:, :3] + rng.standard_normal((64, 3))
    parts = [slice(k, k + 16) for k in range(0, 64, 16)]
    cross, first, second = (
        np.mean([hsic(a[p], b[p]) for p in parts]) for a, b in ((X, Y), (X, X), (Y, Y))
    )
    assert cka(X, Y, batch_size=16) == pytest.approx(cross / np.sqrt(first * second))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("debiased", [True, False])
def test_scores_of_unrelated_data_are_standard(kernel, debiased, rng):
    X, Y = rng.standard_normal((25, 4)) ** 3, rng.standard_exponential((25, 3))
    scores = [
        cka_test(X, Y[rng.permutation(25)], kernel=kernel, debiased=debiased).z_score
        for _ in range(400)
    ]
    assert abs(np.mean(scores)) < 4.5 / np.sqrt(400)
    spread = np.var(scores)
    kurtosis = np.mean((np.array(scores) - np.mean(scores)) ** 4) / spread**2
    assert abs(spread - 1) < 4.5 * np.sqrt((kurtosis - 1) / 400)


@pytest.mark.parametrize("kernel", ["linear", "rbf", "precomputed"])
@pytest.mark.parametrize("debiased", [True, False])
def test_moments_under_random_pairing_are_those_of_all_pairings(kernel, debiased, rng):
    X, Y = rng.standard_normal((6, 3)) ** 3, rng.standard_normal((6, 2))
    if kernel == "precomputed":
        X, Y = X @ X.T, Y @ Y.T
    found = cka_test(X, Y, kernel=kernel, debiased=debiased)
    values = []
    for order in map(list, permutations(range(6))):
        moved = Y[order][:, order] if kernel == "precomputed" else Y[order]
        values.append(cka(X, moved, kernel=kernel, debiased=debiased))
    centred = np.array(values) - np.mean(values)
    assert found.null_mean == pytest.approx(np.mean(values), abs=1e-10)
    assert found.null_std == pytest.approx(np.std(values), rel=1e-8)
    assert found.null_skewness == pytest.approx(np.mean(centred**3) / np.std(values) ** 3, rel=1e-8)


@pytest.mark.parametrize("debiased", [True, False])
def test_p_values_are_true_where_one_direction_dominates(debiased, rng):
    scales, draws = np.array([20.0, 1.0, 1.0, 1.0]), 1500
    p_values = np.array(
        [
            cka_test(*(rng.standard_normal((2, 40, 4)) * scales), debiased=debiased).p_value
            for _ in range(draws)
        ]
    )
    for level in (0.05, 0.01):
        error = np.sqrt(level * (1 - level) / draws)
        assert abs(np.mean(p_values <= level) - level) < 4.5 * error


def test_permutation_p_values_are_uniform_under_the_null(rng):
    found = [
        cka_test(*rng.standard_normal((2, 12, 3)), n_permutations=39, random_state=k).p_value
        for k in range(200)
    ]
    assert min(found) >= 1 / 40
    assert kstest(np.array(found) - rng.uniform(0, 1 / 40, 200), "uniform").pvalue > 1e-4
    same = rng.standard_normal((12, 3))
    assert cka_test(same, same, n_permutations=99, random_state=0).p_value == 0.01


def test_a_constant_side_is_alike_to_nothing(rng):
    X = rng.standard_normal((10, 3))
    for debiased in (True, False):
        assert cka(np.ones((10, 2)), X, debiased=debiased) == 0
        found = cka_test(np.ones((10, 2)), X, debiased=debiased)
        assert (found.statistic, found.z_score, found.p_value) == (0, 0, 1)


def test_matrix_finds_relatives_and_corrects(rng):
    X = rng.standard_normal((80, 6))
    encoders = {"a": X, "b": X[:, :4] + 0.5 * rng.standard_normal((80, 4))}
    encoders |= {f"noise {k}": rng.standard_normal((80, 5)) for k in range(4)}
    found = cka_matrix(encoders)
    assert found.names[0] == tuple(encoders)
    assert found.significant[0, 1] and found.significant[1, 0]
    assert found.significant[:2, 2:].sum() == 0
    assert np.diagonal(found.cka) == pytest.approx(1)
    raw = cka_matrix(encoders, correction=None).p_value
    upper = np.triu_indices(6, 1)
    order = np.argsort(raw[upper])
    holm = np.minimum(np.maximum.accumulate(np.sort(raw[upper]) * np.arange(15, 0, -1)), 1)
    assert found.p_value[upper][order] == pytest.approx(holm)
    other = cka_matrix([X], encoders, correction="fdr")
    assert other.cka.shape == (1, 6)
    assert other.cka[0, 1] == pytest.approx(cka(X, encoders["b"]))


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
@pytest.mark.parametrize("debiased", [True, False])
def test_local_cka_agrees_with_brute_force(kernel, debiased, rng):
    X, Y = rng.standard_normal((20, 4)), rng.standard_normal((23, 3))
    m, widths = 12, (1.3, 0.8)
    found = local_cka_scores(
        X[:m], Y[:m], X[m:], Y[m:], kernel=kernel, debiased=debiased, bandwidth=widths
    )
    for i, j in np.ndindex(8, 11):
        K = gram(np.vstack([X[:m], X[m + i]]), kernel, widths[0])
        L = gram(np.vstack([Y[:m], Y[m + j]]), kernel, widths[1])
        assert found[i, j] == pytest.approx(naive_cka(K, L, debiased), abs=1e-10)


@pytest.mark.parametrize(("row", "value"), list(zip(TABLE, FAQ, strict=True)))
def test_quadratic_assignment_reaches_the_table_and_scipy(row, value):
    n, m, p, q, kernel, *_ = row
    X, Y = pair(n, p, q)
    H = np.eye(n) - 1 / n
    A, B = (H @ gram(Z, kernel, median(Z[:m])) @ H for Z in (X, Y))
    A, B = A / np.linalg.norm(A), B / np.linalg.norm(B)
    pairs = np.column_stack([np.arange(m)] * 2)
    found = quadratic_assignment(A, B, known_pairs=pairs, random_state=0)
    known = (A[:m, :m] * B[:m, :m]).sum()
    assert found.objective - known == pytest.approx(value, abs=1e-6)
    indices = found.indices
    assert found.objective == pytest.approx((A * B[np.ix_(indices, indices)]).sum())
    assert sorted(indices) == list(range(n)) and (indices[:m] == np.arange(m)).all()


def test_quadratic_assignment_minimises_and_takes_terms(rng):
    A, B = rng.uniform(size=(2, 30, 30))
    ours = quadratic_assignment(A, B, maximize=False, random_state=0)
    theirs = scipy_assignment(A, B, options={"maximize": False, "rng": rng})
    assert ours.objective == pytest.approx((A * B[np.ix_(ours.indices, ours.indices)]).sum())
    assert ours.objective < 1.02 * theirs.fun
    truth = rng.permutation(30)
    term = np.zeros((30, 30))
    term[np.arange(30), truth] = 1000.0
    found = quadratic_assignment(
        A, B, linear_term=term, known_pairs=[[0, truth[0]]], random_state=0
    )
    assert (found.indices == truth).all()
    assert found.objective == pytest.approx(30_000 + (A * B[np.ix_(truth, truth)]).sum())


def test_correlated_graphs_are_matched_from_few_known_pairs():
    rates = []
    for seed in range(4):
        data = make_correlated_graphs(120, 0.8, random_state=seed)
        pairs = np.column_stack([np.arange(8), data.indices[:8]])
        found = quadratic_assignment(data.A, data.B, known_pairs=pairs, random_state=seed, n_init=2)
        rates.append(np.mean(found.indices == data.indices))
    assert np.mean(rates) > 0.95


def test_without_known_pairs_the_order_given_says_nothing():
    n = 40
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, 5))
    H = np.eye(n) - 1 / n
    A = H @ X @ X.T @ H
    noise = rng.standard_normal((n, 5))
    B = H @ noise @ noise.T @ H
    found = quadratic_assignment(A, B, random_state=1)
    assert np.mean(found.indices == np.arange(n)) < 0.2
    flat = quadratic_assignment(np.zeros((n, n)), np.zeros((n, n)), random_state=2)
    assert np.mean(flat.indices == np.arange(n)) < 0.2


def test_sides_of_unequal_size_are_padded(rng):
    K = rng.standard_normal((40, 40))
    K = K + K.T
    order = rng.permutation(40)[:28]
    L, term = K[np.ix_(order, order)], np.zeros((40, 28))
    term[order, np.arange(28)] = 0.1
    pairs = np.column_stack([order[:8], np.arange(8)])
    options = {"known_pairs": pairs, "linear_term": term, "random_state": 0}
    larger = quadratic_assignment(K, L, **options)
    assert (larger.indices[order] == np.arange(28)).all()
    assert larger.indices.shape == (40,) and (larger.indices == -1).sum() == 12
    assert larger.objective == pytest.approx((L * L).sum() + 2.8)
    smaller = quadratic_assignment(
        L, K, known_pairs=pairs[:, ::-1], linear_term=term.T, random_state=0
    )
    assert (smaller.indices == order).all()
    F, G = rng.standard_normal((40, 4)), rng.standard_normal((28, 6))
    found = quadratic_assignment(F, G, low_rank="features", **options)
    wanted = quadratic_assignment(F @ F.T, G @ G.T, **options)
    assert (found.indices == wanted.indices).all()
    assert found.objective == pytest.approx(wanted.objective)


@pytest.mark.parametrize("features", [False, True])
def test_scales_from_very_small_to_very_large_change_nothing(features, rng):
    F, G = rng.standard_normal((30, 3)), rng.standard_normal((30, 3))
    sides = (F, G) if features else (F @ F.T, G @ G.T)
    options = {"low_rank": "features" if features else None, "random_state": 0}
    pairs, term = [[0, 1], [2, 3]], rng.standard_normal((30, 30))
    for given in (None, term):
        wanted = quadratic_assignment(*sides, known_pairs=pairs, linear_term=given, **options)
        for first, second in ((-664, 530), (530, 530), (-664, -664), (-1, 400)):
            power = (2 if features else 1) * (first + second)
            if given is not None and abs(power) > 900:
                continue
            found = quadratic_assignment(
                *(2.0**e * side for e, side in zip((first, second), sides, strict=True)),
                known_pairs=pairs,
                linear_term=None if given is None else 2.0**power * given,
                **options,
            )
            assert (found.indices == wanted.indices).all()
            with np.errstate(over="ignore", under="ignore"):
                assert found.objective == np.ldexp(wanted.objective, power)
    # A linear term that dwarfs everything decides alone.
    picks = np.zeros((30, 30))
    picks[np.arange(30), np.arange(30)[::-1]] = 1e150
    found = quadratic_assignment(*(1e-200 * side for side in sides), linear_term=picks, **options)
    assert (found.indices == np.arange(30)[::-1]).all()


def test_accuracy_is_predicted_by_known_pairs_held_out():
    gaps, covered = [], []
    for seed in range(16):
        data = make_correlated_graphs(50, 0.6, random_state=seed)
        pairs = np.column_stack([np.arange(10), data.indices[:10]])
        found = quadratic_assignment(
            data.A, data.B, known_pairs=pairs, cv=10, random_state=seed, n_jobs=1
        )
        real = np.mean((found.indices == data.indices)[10:])
        low, high = found.theoretical_accuracy_interval
        gaps.append(found.theoretical_accuracy - real)
        covered.append(low <= real <= high)
    assert abs(np.mean(gaps)) < 4.5 * np.std(gaps, ddof=1) / 4 + 0.01
    assert np.mean(covered) > 0.95 - 4.5 * np.sqrt(0.95 * 0.05 / 16)
    plain = quadratic_assignment(data.A, data.B, known_pairs=pairs, random_state=15)
    assert (plain.indices == found.indices).all() and np.isnan(plain.theoretical_accuracy)
    with pytest.warns(TheoryWarning, match="fewer than ten"):
        few = quadratic_assignment(data.A, data.B, known_pairs=pairs[:9], cv=3, random_state=0)
    assert np.isnan(few.theoretical_accuracy_interval).all()


def test_low_rank_and_polish(rng):
    F = rng.standard_normal((60, 4))
    order = rng.permutation(60)
    A, B = F @ F.T, (F @ F.T)[np.ix_(order, order)]
    pairs = [[order[k], k] for k in range(6)]
    for options in ({"low_rank": 4}, {"low_rank": 20}, {"polish": True}):
        found = quadratic_assignment(A, B, known_pairs=pairs, random_state=0, **options)
        assert (order[found.indices] == np.arange(60)).mean() == 1
        assert found.objective == pytest.approx((A * A).sum())


def test_features_stand_for_their_scalar_products(rng):
    F, G = rng.standard_normal((50, 4)), rng.standard_normal((50, 6))
    pairs = [[k, 49 - k] for k in range(5)]
    for maximize in (True, False):
        options = {"known_pairs": pairs, "maximize": maximize, "random_state": 0}
        found = quadratic_assignment(F, G, low_rank="features", **options)
        wanted = quadratic_assignment(F @ F.T, G @ G.T, **options)
        assert found.objective == pytest.approx(wanted.objective, rel=1e-9)
    centred = F - F.mean(0)
    alone = quadratic_assignment(centred, centred[::-1], low_rank="features", random_state=0)
    assert np.mean(alone.indices == np.arange(50)) < 0.2


SMALL = np.random.default_rng(0).standard_normal((6, 3))
SQUARE = SMALL @ SMALL.T


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: cka(SMALL, SMALL[:5]), "6 rows and Y has 5"),
        (lambda: cka(SMALL[:3], SMALL[:3]), "at least 4"),
        (lambda: cka(SMALL * np.nan, SMALL), "NaN"),
        (lambda: cka(SMALL, SMALL[0]), "dimension"),
        (lambda: cka(SMALL, SMALL, kernel="poly"), "kernel must be"),
        (lambda: cka(SMALL, SMALL, kernel="precomputed"), "square"),
        (lambda: cka(SQUARE, SQUARE + np.triu(SQUARE, 1), kernel="precomputed"), "symmetric"),
        (lambda: cka(SMALL, SMALL, kernel="rbf", bandwidth=-1), "bandwidth"),
        (lambda: cka(SMALL, SMALL, kernel="rbf", bandwidth=(1, 2, 3)), "bandwidth"),
        (lambda: cka(SMALL, SMALL, batch_size=3), "batch_size"),
        (lambda: cka_test(SMALL, SMALL, n_permutations=-1), "n_permutations"),
        (lambda: cka_matrix([]), "encoders"),
        (lambda: cka_matrix([SMALL], correction="none"), "correction"),
        (lambda: cka_matrix([SMALL], level=0), "level"),
        (lambda: local_cka_scores(SMALL, SMALL, SMALL[:, :2], SMALL), "X_query has 2 features"),
        (lambda: local_cka_scores(SMALL[:3], SMALL[:3], SMALL, SMALL), "at least 4"),
        (lambda: quadratic_assignment(SMALL, SMALL), "square"),
        (lambda: quadratic_assignment(SQUARE, SQUARE[:5, :5], known_pairs=[[0, 5]]), "0 and 4"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, linear_term=SQUARE[:5]), "linear_term"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, cv=1), "cv"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, known_pairs=[[0, 9]]), "between 0 and 5"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, known_pairs=[[0, 1], [2, 1]]), "twice"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, known_pairs=[0, 1]), "shape"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, init="best"), "init"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, init=np.eye(6) * 2), "doubly"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, n_init=0), "n_init"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, low_rank="best"), "low_rank"),
        (lambda: quadratic_assignment(SQUARE, SQUARE, linear_term=SMALL), "linear_term"),
    ],
)
def test_bad_input_is_named(call, match):
    with pytest.raises(ValueError, match=match):
        call()


def test_functions_on_torch_agree_with_numpy(rng):
    torch = pytest.importorskip("torch")
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, 5))
    S, T = torch.as_tensor(X), torch.as_tensor(Y)
    for kernel in ("linear", "rbf"):
        assert cka(S, T, kernel=kernel) == pytest.approx(cka(X, Y, kernel=kernel), abs=1e-12)
    scores = local_cka_scores(S[:20], T[:20], S[20:], T[20:])
    assert torch.is_tensor(scores)
    wanted = local_cka_scores(X[:20], Y[:20], X[20:], Y[20:])
    np.testing.assert_allclose(scores.numpy(), wanted, atol=1e-12)
    mixed = cka(S, Y)
    assert mixed == pytest.approx(cka(X, Y))
    A, B = X @ X.T, Y @ Y.T
    pairs = [[0, 0], [1, 1]]
    found = quadratic_assignment(S @ S.T, T @ T.T, known_pairs=pairs, random_state=0)
    assert found.objective == pytest.approx(
        quadratic_assignment(A, B, known_pairs=pairs, random_state=0).objective
    )
