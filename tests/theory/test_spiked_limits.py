"""One spike: closed forms against mpmath, the explicit cubic formulas, and tables."""

import mpmath as mp
import numpy as np
import pytest

from skrmt.theory.spiked_tensor import (
    rank_one_limit,
    required_signal,
    signal_strength,
    thresholds,
)

RTOL = 1e-10
DIMS = [(60, 60, 60), (40, 80, 120), (2, 30, 500), (30, 30, 40, 40), (20, 20, 20, 20, 20), (5,) * 7]


def mp_stieltjes(h, share):
    """The g_m of the fixed point g_m^2 - h g_m - c_m = 0, negative."""
    return [(h - mp.sqrt(h * h + 4 * c)) / 2 for c in share]


def mp_at(h, dims):
    """Value, signal and alignments at h = z + g(z), from the fixed point."""
    share = [mp.mpf(p) / sum(dims) for p in dims]
    g = mp_stieltjes(h, share)
    q = [mp.sqrt(1 - gm**2 / c) for gm, c in zip(g, share, strict=True)]
    return h - sum(g), h / mp.fprod(q), q


def mp_edge(dims):
    """Minimiser of the value over h: the derivative is 0."""

    def slope(h):
        return sum(h / mp.sqrt(h * h + 4 * mp.mpf(p) / sum(dims)) for p in dims) - len(dims) + 2

    return mp.findroot(slope, (mp.mpf("1e-6"), mp.mpf(4)), solver="anderson", tol=1e-60)


@pytest.fixture(autouse=True)
def digits():
    with mp.workdps(50):
        yield


@pytest.mark.parametrize("dims", DIMS)
def test_limits_agree_with_mpmath(dims):
    edge = mp_edge(dims)
    for factor in ("1.01", "1.2", "2", "10", "1000"):
        value, signal, q = mp_at(edge * mp.mpf(factor), dims)
        result = rank_one_limit(float(signal), dims)
        # 1.01 is within 1e-3 of the transition in the signal, where h moves as its square root.
        rtol = 1e-6 if factor == "1.01" else RTOL
        np.testing.assert_allclose(result.singular_value, float(value), rtol=RTOL)
        np.testing.assert_allclose(result.alignments, [float(x) for x in q], rtol=rtol)
        assert signal_strength(float(value), dims) == pytest.approx(float(signal), rel=rtol)


@pytest.mark.parametrize("dims", DIMS)
def test_thresholds_agree_with_mpmath(dims):
    def complexity(h):
        share = [mp.mpf(p) / sum(dims) for p in dims]
        total = -h * mp_at(h, dims)[0] / 2
        for c in share:
            total += c * mp.log((h + mp.sqrt(h * h + 4 * c)) / 2) - c * mp.log(c) / 2
        return total

    edge = mp_edge(dims)
    level = mp.findroot(complexity, (edge, mp.mpf(10)), solver="anderson", tol=1e-60)
    want = [*mp_at(edge, dims)[:2], *mp_at(level, dims)[:2]]
    want.append(mp.fprod(dims) ** mp.mpf("0.25") / mp.sqrt(sum(dims)))
    np.testing.assert_allclose(thresholds(dims), [float(x) for x in want], rtol=RTOL)


@pytest.mark.parametrize(
    ("dims", "want"),
    [
        ((60, 60, 60), (1.632993, 1.154701, 1.656998, 1.206556)),
        ((40, 80, 120), (1.600291, 1.113407, 1.622593, 1.162891)),
        ((20, 60, 100), (1.570364, 1.073925, 1.590928, 1.121011)),
        ((25, 25, 25, 25), (1.732051, 1.299038, 1.794085, 1.405669)),
        ((30, 30, 40, 40), (1.728718, 1.294867, 1.790289, 1.400945)),
        ((9, 9, 9, 9, 9), (1.788854, 1.377061, 1.887989, 1.532259)),
    ],
)
def test_threshold_table(dims, want):
    np.testing.assert_allclose(thresholds(dims)[:4], want, atol=1e-6)


def test_explicit_cubic_formulas():
    beta = np.array([1.2, 1.6, 3.0, 40.0])
    root = np.sqrt(3 * (3 * beta**2 - 4) ** 3)
    value = np.sqrt(beta**2 / 2 + 2 + root / (18 * beta))
    left, right = 9 * beta**2 - 12 + root / beta, 9 * beta**2 + 36 + root / beta
    alignment = (np.sqrt(left) + np.sqrt(right)) / (6 * np.sqrt(2) * beta)
    result = rank_one_limit(beta, (50, 50, 50))
    np.testing.assert_allclose(result.singular_value, value, rtol=RTOL)
    np.testing.assert_allclose(result.alignments, alignment[:, None] * np.ones(3), rtol=RTOL)
    h = (value + np.sqrt(9 * value**2 - 24)) / 4
    q2 = 2 * h / (h + np.sqrt(h * h + 4 / 3))
    np.testing.assert_allclose(signal_strength(value, (50, 50, 50)), h / q2**1.5, rtol=RTOL)


@pytest.mark.parametrize("order", [3, 4, 6])
def test_equal_sizes_have_closed_thresholds(order):
    marks = thresholds((20,) * order)
    edge = (order - 2) / np.sqrt(order * (order - 1))
    assert marks.bulk_edge == pytest.approx(2 * np.sqrt((order - 1) / order), rel=1e-13)
    want = edge * ((order - 1) / (order - 2)) ** (order / 2)
    assert marks.signal == pytest.approx(want, rel=1e-13)


def test_below_the_threshold():
    dims = (50, 60, 70)
    marks = thresholds(dims)
    values, alignments = rank_one_limit([0.0, 0.5, marks.signal * (1 - 1e-12)], dims)
    assert np.isnan(values).all()
    assert np.all(alignments == 0)
    assert np.isnan(signal_strength(marks.bulk_edge * (1 - 1e-12), dims))
    assert np.isnan(signal_strength([0.0, 1.0], dims)).all()


def test_at_the_threshold():
    dims = (50, 50, 50)
    marks = thresholds(dims)
    value, alignments = rank_one_limit(marks.signal, dims)
    assert value == pytest.approx(marks.bulk_edge, rel=1e-12)
    np.testing.assert_allclose(alignments, np.sqrt(0.5), rtol=1e-6)


@pytest.mark.parametrize("dims", DIMS)
def test_maps_are_inverse_of_each_other(dims):
    rng = np.random.default_rng(0)
    beta = thresholds(dims).signal * (1 + 10 ** rng.uniform(-2, 5, 200))
    value = rank_one_limit(beta, dims).singular_value
    np.testing.assert_allclose(signal_strength(value, dims), beta, rtol=1e-9)


def test_derivative_of_the_value_is_the_product_of_alignments():
    dims, beta, step = (30, 50, 90), 1.7, 1e-5
    up, down = (rank_one_limit(beta + s, dims).singular_value for s in (step, -step))
    # The central difference errs by step^2 in theory, 1e-16 / step by rounding.
    want = rank_one_limit(beta, dims).alignments.prod()
    assert (up - down) / (2 * step) == pytest.approx(want, rel=1e-8)


def test_shapes_and_huge_signals():
    result = rank_one_limit(np.full((2, 4), 1e250), (30, 40, 50))
    assert result.singular_value.shape == (2, 4)
    assert result.alignments.shape == (2, 4, 3)
    np.testing.assert_allclose(result.singular_value, 1e250, rtol=1e-12)
    np.testing.assert_allclose(result.alignments, 1.0, rtol=1e-12)
    assert isinstance(rank_one_limit(2, (30, 40, 50)).singular_value, float)


@pytest.mark.parametrize("dims", [(100, 100, 100), (40, 80, 120), (20, 30, 40, 50)])
def test_required_signal_inverts_the_alignment(dims):
    # The largest alignment at the edge is below 0.9 for these sizes.
    target = np.array([0.9, 0.95, 0.99, 0.9999])
    plan = required_signal(target, dims)
    reached = rank_one_limit(plan.signal, dims)
    np.testing.assert_allclose(reached.alignments.min(axis=-1), target, rtol=RTOL)
    np.testing.assert_allclose(reached.alignments, plan.alignments, rtol=RTOL)
    np.testing.assert_allclose(reached.singular_value, plan.singular_value, rtol=RTOL)


def test_required_signal_flags():
    dims = (400, 400, 400)
    marks = thresholds(dims)
    assert marks.critical < marks.computational
    at_critical, at_computational = rank_one_limit(
        [marks.critical, marks.computational], dims
    ).alignments[:, 0]
    plan = required_signal(
        [at_critical - 1e-3, at_critical + 1e-3, at_computational - 1e-4, at_computational + 1e-4],
        dims,
    )
    np.testing.assert_array_equal(plan.detectable, [False, True, True, True])
    np.testing.assert_array_equal(plan.computational_gap, [False, True, True, False])


def test_required_signal_is_at_least_the_threshold():
    plan = required_signal(0.1, (50, 50, 50))
    marks = thresholds((50, 50, 50))
    assert plan.signal == pytest.approx(marks.signal, rel=1e-14)
    assert plan.singular_value == pytest.approx(marks.bulk_edge, rel=1e-14)
    assert plan.detectable is False
    assert plan.computational_gap is False


@pytest.mark.parametrize("function", [rank_one_limit, signal_strength, required_signal])
@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ((50, 50), "three or more"),
        (50, "three or more"),
        ([[50, 50, 50]], "three or more"),
        ((50, 50, 1), "2 or more, got 1"),
        ((50, 50, 2.5), "integers of 2 or more, got 2.5"),
        ((50, 50, np.nan), "integers"),
        ((50, 50, np.inf), "integers"),
        ((50, 50, -3), "got -3"),
    ],
)
def test_bad_sizes(function, dims, message):
    with pytest.raises(ValueError, match=message):
        function(0.5, dims)


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_bad_numbers(bad):
    with pytest.raises(ValueError, match="beta must lie in"):
        rank_one_limit(bad, (50, 50, 50))
    with pytest.raises(ValueError, match="singular_value must lie in"):
        signal_strength([2.0, bad], (50, 50, 50))
    with pytest.raises(ValueError, match="alignment must lie in"):
        required_signal(bad, (50, 50, 50))


def test_bad_types():
    with pytest.raises(TypeError, match="beta"):
        rank_one_limit("strong", (50, 50, 50))
    with pytest.raises(TypeError, match="beta"):
        rank_one_limit(1 + 2j, (50, 50, 50))
    with pytest.raises(TypeError, match="dims"):
        thresholds(("a", "b", "c"))
    with pytest.raises(ValueError, match="alignment"):
        required_signal(1.0, (50, 50, 50))
