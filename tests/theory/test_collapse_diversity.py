"""Diversity of recursive training: tables, simulation of all schemes, mpmath, limits."""

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory.collapse import (
    corpus_half_life,
    diversity,
    half_life,
    optimal_real_weight,
    variance_factor,
)

INF = float("inf")
CASES = [
    ("full", 12, {}),
    ("partial", 12, {"n_real": 8}),
    ("partial", 12, {"n_real": 8, "real_weight": 0.2}),
    ("fresh", 12, {"n_real": 8}),
    ("fresh", 12, {"n_real": 8, "real_weight": "optimal"}),
    ("accumulate", 12, {"n_real": 8}),
    ("random", 12, {}),
    ("window", 12, {"window": 3}),
]
IDS = [f"{scheme}{i}" for i, (scheme, _, _) in enumerate(CASES)]


def zipf(size, power):
    p = np.arange(1.0, size + 1) ** -power
    return p / p.sum()


def squares(size, power):
    return float((zipf(size, power) ** 2).sum())


def simulate(scheme, p, n, last, chains, rng, n_real=None, window=None, real_weight=None):
    """Models 0, ..., last of many chains, as the schemes are described in words."""
    truth = np.tile(p, (chains, 1))
    real = rng.multinomial(n_real, truth) if n_real else None
    weight = n_real / (n_real + n) if n_real else None
    if real_weight == "optimal":
        weight = (np.sqrt((n_real / n) ** 2 + 4 * n_real / n) - n_real / n) / 2
    elif real_weight is not None:
        weight = real_weight
    models, pool, size = [truth], real, n_real
    for m in range(1, last + 1):
        if scheme == "full":
            models.append(rng.multinomial(n, models[-1]) / n)
        elif scheme == "random":
            chosen = np.stack(models)[rng.integers(0, m, (chains, n)), np.arange(chains)[:, None]]
            draws = (chosen.cumsum(axis=2) < rng.random((chains, n, 1))).sum(axis=2)
            counts = (draws[..., None] == np.arange(len(p))).sum(axis=1)
            models.append(counts / n)
        elif scheme == "window":
            part = n // window
            used = models[-window:]
            models.append(sum(rng.multinomial(part, q) for q in used) / (part * len(used)))
        elif m == 1:
            models.append(real / n_real)
        elif scheme == "accumulate":
            pool, size = pool + rng.multinomial(n, models[-1]), size + n
            models.append(pool / size)
        else:
            given = real if scheme == "partial" else rng.multinomial(n_real, truth)
            own = rng.multinomial(n, models[-1]) / n
            models.append(weight * given / n_real + (1 - weight) * own)
    return np.stack(models)


@pytest.mark.parametrize(("scheme", "n", "options"), CASES, ids=IDS)
def test_schemes_agree_with_simulation(scheme, n, options):
    p, chains = zipf(4, 0.7), 8000
    rng = np.random.default_rng(6)
    seen = 1 - (simulate(scheme, p, n, 6, chains, rng, **options) ** 2).sum(axis=2)
    want = diversity(scheme, np.arange(7), (p**2).sum(), n, **options)
    error = seen.std(axis=1) / np.sqrt(chains)
    assert np.all(np.abs(seen.mean(axis=1) - want) <= 4.5 * error + 1e-12)


@pytest.mark.parametrize(("scheme", "n", "options"), CASES, ids=IDS)
def test_observed_corpora_agree_with_simulation(scheme, n, options):
    """Given the corpus q: its own data for partial and accumulate, the truth for the others."""
    q, chains, rng = np.array([5, 2, 1]) / 8, 8000, np.random.default_rng(7)
    if scheme in ("partial", "accumulate"):
        weight = options.get("real_weight", 8 / (8 + n))
        models, pool, size = [np.tile(q, (chains, 1))], np.tile(8 * q, (chains, 1)), 8
        for _ in range(5):
            new = rng.multinomial(n, models[-1])
            pool, size = pool + new, size + n
            partial = weight * q + (1 - weight) * new / n
            models.append(partial if scheme == "partial" else pool / size)
    elif scheme == "fresh":
        weight = 8 / (8 + n) if "real_weight" not in options else optimal_real_weight(8, n)
        models = [np.tile(q, (chains, 1))]
        for _ in range(5):
            own, new = rng.multinomial(n, models[-1]) / n, rng.multinomial(8, q, chains) / 8
            models.append(weight * new + (1 - weight) * own)
    else:
        models = simulate(scheme, q, n, 5, chains, rng, **options)
    seen = 1 - (np.stack(models) ** 2).sum(axis=2)
    want = diversity(scheme, np.arange(6), (q**2).sum(), n, observed=True, **options)
    error = seen.std(axis=1) / np.sqrt(chains)
    assert np.all(np.abs(seen.mean(axis=1) - want) <= 4.5 * error + 1e-12)


@pytest.mark.parametrize(
    ("scheme", "m", "truth", "n", "options", "want"),
    [
        ("full", 1, (50, 1.0), 30, {}, 1 - 0.110939),
        ("full", 5, (50, 1.0), 30, {}, 1 - 0.223684),
        ("full", 20, (50, 1.0), 30, {}, 1 - 0.533137),
        ("full", 60, (50, 1.0), 30, {}, 1 - 0.879702),
        ("full", 50, (600, 1.2), 100, {}, 1 - 0.442418),
        ("partial", 30, (50, 1.0), 10, {"n_real": 100}, 1 - 0.0902371),
        ("partial", 30, (50, 1.0), 100, {"n_real": 100}, 1 - 0.092504),
        ("partial", 60, (50, 1.0), 1000, {"n_real": 100}, 1 - 0.0937942),
        ("partial", 4, (5, 0.5), 40, {"n_real": 8}, 1 - 0.341652),
        ("accumulate", 60, (50, 1.0), 100, {"n_real": 100}, 0.904813),
        ("accumulate", INF, (50, 1.0), 100, {"n_real": 100}, 0.904664),
        ("accumulate", 100, (50, 1.0), 20, {"n_real": 20}, 0.84634),
        ("accumulate", 100, (50, 1.0), 40, {"n_real": 10}, 0.80342),
        ("accumulate", INF, (50, 1.0), 40, {"n_real": 10}, 0.803219),
        ("random", 100, (600, 1.2), 10, {}, 0.778096),
        ("random", INF, (600, 1.2), 10, {}, 0.777322),
        ("random", 100, (50, 1.0), 30, {}, 0.870401),
        ("window", 30, (50, 1.0), 30, {"window": 1}, 0.332627),
        ("window", 60, (50, 1.0), 30, {"window": 3}, 0.5322),
        ("window", 200, (50, 1.0), 30, {"window": 10}, 0.638436),
    ],
)
def test_table(scheme, m, truth, n, options, want):
    assert diversity(scheme, m, squares(*truth), n, **options) == pytest.approx(want, abs=1e-6)


@pytest.mark.parametrize(
    ("m", "n", "weight", "want"),
    [(40, 100, None, 0.00664452), (40, 100, 0.61803, 0.0061698), (60, 400, 0.39039, 0.00389812)],
)
def test_table_of_fresh_data(m, n, weight, want):
    assert variance_factor("fresh", m, n, 100, real_weight=weight) == pytest.approx(want, abs=1e-8)


def test_limits_of_fresh_data():
    pooled = [100 * variance_factor("fresh", INF, r * 100, 100) for r in (1, 2, 10, 100)]
    np.testing.assert_allclose(pooled, [0.664, 0.598, 0.521, 0.500], atol=6e-4)
    amounts = np.array([1, 2, 10, 100]) * 100
    best = variance_factor("fresh", INF, amounts, 100, real_weight="optimal")
    np.testing.assert_allclose(100 * best, [0.617, 0.499, 0.270, 0.095], atol=6e-4)


def test_best_weight_minimises_the_limit():
    weights = np.linspace(1e-4, 1 - 1e-4, 20001)
    for real, n in [(100, 100), (3, 40), (50, 2), (1, 1), (10**6, 17)]:
        grid = variance_factor("fresh", INF, n, real, real_weight=weights)
        exact = optimal_real_weight(real, n, exact=True)
        least = variance_factor("fresh", INF, n, real, real_weight=exact)
        assert least <= grid.min() * (1 + 1e-12)
    k = np.array([1e-8, 0.3, 1.0, 1e8])
    n = np.array([1e12, 10, 7, 1e3])
    want = [float((mp.sqrt(mp.mpf(x) ** 2 + 4 * mp.mpf(x)) - mp.mpf(x)) / 2) for x in k]
    np.testing.assert_allclose(optimal_real_weight(k * n, n), want, rtol=1e-7)
    assert optimal_real_weight(7, 7) == pytest.approx((np.sqrt(5) - 1) / 2, rel=1e-14)


@pytest.mark.parametrize(
    ("n", "real", "m"), [(7, 3, 30), (1, 1, 5), (10**9, 10**12, 10**9), (10, 10**6, 400)]
)
def test_products_agree_with_gamma_functions(n, real, m):
    with mp.workdps(60):
        a, b, top = mp.mpf(real) / n, 1 / mp.sqrt(n), mp.mpf(m)
        ratio = mp.gammaprod([top + a - b, top + a + b], [top + a, top + a]) * mp.gammaprod(
            [1 + a, 1 + a], [1 + a - b, 1 + a + b]
        )
        want = (1 - mp.mpf(1) / real) * ratio
        lost = 1 - want
        found = diversity("accumulate", m, 0.25, n, real)
        assert found == pytest.approx(float(0.75 * want), rel=1e-12)
        assert variance_factor("accumulate", m, n, real) == pytest.approx(float(lost), rel=1e-10)
        limit = mp.sin(mp.pi * b) / (mp.pi * b)
    found = diversity("random", INF, 0.25, n)
    assert found == pytest.approx(float(0.75 * limit), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("window", [2, 3, 8])
def test_windows_agree_with_all_cross_moments(window):
    """The matrix of all models, without a closed tail."""
    n, last = 8 * window, 700
    part = n // window
    D = np.ones((last + 1, last + 1))
    for m in range(1, last + 1):
        used = np.arange(max(0, m - window), m)
        block = D[np.ix_(used, used)]
        D[m, :m] = D[:m, m] = D[used, :m].mean(axis=0)
        D[m, m] = block.mean() - np.diag(block).sum() / part / len(used) ** 2
    seen = diversity("window", np.arange(last + 1), 0.5, n, window=window)
    np.testing.assert_allclose(seen, 0.5 * np.diag(D), rtol=1e-11)
    rate = np.log(D[last - 1, last - 1] / D[last, last])
    assert rate == pytest.approx(4 / (n * (window + 1) ** 2), rel=0.1)


def test_window_of_one_is_full():
    m = np.array([0, 1, 5, 10**6])
    np.testing.assert_allclose(
        diversity("window", m, 0.1, 50, window=1), diversity("full", m, 0.1, 50)
    )


def test_half_life():
    n = np.array([2, 30, 10**9])
    want = [float(mp.log(2) / -mp.log1p(-mp.mpf(1) / int(x))) for x in n]
    np.testing.assert_allclose(half_life(n), want, rtol=1e-12)
    assert half_life(1) == 0
    late = [diversity("window", [4000, 5000], 0.5, 30, window=k) for k in (3, 10)]
    times = [1000 * np.log(2) / np.log(x / y) for x, y in late]
    np.testing.assert_allclose(times, [83.9, 644], rtol=1e-3)
    assert half_life(30, "accumulate", 30) == INF
    assert half_life(30, "partial", 30) == INF


@pytest.mark.parametrize(
    ("scheme", "options"),
    [("window", {"window": 5}), ("fresh", {"n_real": 50, "real_weight": 0.001})],
)
def test_half_life_is_where_half_is_gone(scheme, options):
    time = half_life(40, scheme, **options)
    before, after = diversity(scheme, [np.floor(time), np.ceil(time)], 0.5, 40, **options)
    assert before >= 0.25 >= after
    part = time - np.floor(time)
    assert before ** (1 - part) * after**part == pytest.approx(0.25, rel=1e-12)


def test_half_life_of_a_corpus():
    rng = np.random.default_rng(0)
    s0, n, share = rng.uniform(0.1, 1, 40), rng.integers(1, 2000, 40), rng.uniform(0, 1, 40)
    time = corpus_half_life(s0, n, share=share)
    ends = np.array([0, np.floor(time), np.ceil(time)])
    start, before, after = share @ diversity("full", ends, s0[:, None], n[:, None])
    assert before >= start / 2 >= after
    assert corpus_half_life([0.3], [50]) == pytest.approx(half_life(50), rel=1e-12)
    assert corpus_half_life([1.0, 1.0], [5, 9]) == 0
    assert corpus_half_life([0.5, 0.3], [5, 9], [5, 9], scheme="accumulate") == INF


@pytest.mark.parametrize("scheme", ["full", "partial", "fresh", "accumulate", "random", "window"])
def test_extremes(scheme):
    options = {"n_real": 1} if scheme in ("partial", "fresh", "accumulate") else {}
    options |= {"window": 1} if scheme == "window" else {}
    m = np.array([0, 1, 2, 50, INF])
    single = diversity(scheme, m, 1.0, 5, **options)
    assert np.all(single == 0)
    one = diversity(scheme, m, 0.5, 1, **options)
    assert one[0] == 0.5
    assert np.isfinite(one).all()
    if scheme != "fresh":
        assert np.all(one[1:] == 0)
    huge = {k: 10**9 if k == "n_real" else v for k, v in options.items()}
    early = diversity(scheme, [0, 1, 10], 0.5, 10**9, **huge)
    np.testing.assert_allclose(early, 0.5, rtol=2e-8)
    factor = variance_factor(scheme, 1, 10**9, **huge)
    assert factor == pytest.approx(1e-9, rel=1e-12)


def test_broadcasting():
    s0, n = np.array([0.1, 0.5, 1.0])[:, None], np.array([3, 10, 99])[:, None]
    table = diversity("partial", np.arange(4), s0, n, n)
    assert table.shape == (3, 4)
    assert table[1, 2] == diversity("partial", 2, 0.5, 10, 10)
    assert isinstance(diversity("full", 2, 0.5, 10), float)
    assert diversity("window", np.arange(4), s0, n * 3, window=3).shape == (3, 4)


@pytest.mark.parametrize(
    ("arguments", "options", "match"),
    [
        (("half", 1, 0.5, 3), {}, "scheme must be one of"),
        ((None, 1, 0.5, 3), {}, "scheme must be one of"),
        (("full", -1, 0.5, 3), {}, "generation must hold whole numbers of 0"),
        (("full", 1.5, 0.5, 3), {}, "generation"),
        (("full", np.nan, 0.5, 3), {}, "generation"),
        (("full", 1, 0.0, 3), {}, "s0 must lie in"),
        (("full", 1, 1.1, 3), {}, "s0 must lie in"),
        (("full", 1, 0.5, 0), {}, "n_synthetic must hold whole numbers of 1"),
        (("full", 1, 0.5, 2.5), {}, "n_synthetic"),
        (("full", 1, 0.5, 3, 4), {}, "n_real is not used"),
        (("full", 1, 0.5, 3), {"window": 2}, "window is not used"),
        (("full", 1, 0.5, 3), {"real_weight": 0.5}, "real_weight is not used"),
        (("partial", 1, 0.5, 3), {}, "n_real is needed"),
        (("fresh", 1, 0.5, 3, 0), {}, "n_real must hold"),
        (("fresh", 1, 0.5, 3, 4), {"real_weight": "best"}, "real_weight must be"),
        (("fresh", 1, 0.5, 3, 4), {"real_weight": 1.5}, "real_weight must lie"),
        (("window", 1, 0.5, 3), {}, "window is needed"),
        (("window", 1, 0.5, 10), {"window": 3}, "window must divide"),
        (("window", 1, 0.5, 10), {"window": [1, 2]}, "window must be one number"),
        (("full", [1, 2], [0.5] * 3, 10), {}, "do not broadcast"),
    ],
)
def test_bad_input(arguments, options, match):
    with pytest.raises(ValueError, match=match):
        diversity(*arguments, **options)


def test_bad_types_and_shares():
    with pytest.raises(TypeError, match="s0"):
        diversity("full", 1, "a", 3)
    with pytest.raises(ValueError, match="share must have a positive"):
        corpus_half_life([0.5], [3], share=[0.0])
