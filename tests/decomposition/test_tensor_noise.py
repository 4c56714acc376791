"""Tests of a residual: silent on white noise, loud where theory fails."""

from __future__ import annotations

import numpy as np
import pytest

from skrmt.decomposition._noise import (
    check_tensor_noise,
    degrees_of_freedom,
    effective_entries,
    has_single_entry,
    is_suspect,
)
from skrmt.linalg import Components, DenseTensor, no_components

DIMS = (30, 40, 50)


def verdict(array):
    nothing = no_components(array.shape)
    return check_tensor_noise(DenseTensor(array), nothing, float((array**2).mean()))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dims", [DIMS, (4, 5, 6), (3, 200, 200), (10, 12, 600), (9, 8, 7, 10)])
def test_white_noise_passes(seed, dims):
    rng = np.random.default_rng(seed)
    for array in (rng.standard_normal(dims), rng.uniform(-1, 1, dims), rng.laplace(size=dims)):
        assert verdict(array).misfit == ""


def test_statistics_of_white_noise_are_those_of_theory(rng):
    """Standard errors: sqrt(24/n) for the kurtosis, and a random matrix edge."""
    check = verdict(rng.standard_normal((60, 60, 60)))
    assert abs(check.excess_kurtosis) < 5 * np.sqrt(24 / 2**16)
    assert check.dispersion < 0
    assert 0.9 < check.edge_ratio < 1


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda a, rng: a * (rng.random(a.shape) > 0.05), "missing"),
        (lambda a, rng: a * np.linspace(0.3, 2, a.shape[1])[:, None], "unequal variance|white"),
        (lambda a, rng: a + np.roll(a, 1, axis=2), "correlated|white"),
        (lambda a, rng: a + 1.0, "more components"),
    ],
)
def test_what_theory_does_not_cover_is_named(spoil, words, rng):
    check = verdict(spoil(rng.standard_normal(DIMS), rng))
    assert any(word in check.misfit for word in words.split("|")), check


def test_rounded_noise_is_not_missing(rng):
    assert verdict(np.rint(8 * rng.standard_normal(DIMS))).misfit == ""


def test_single_entries_are_recognised():
    eye, flat = np.eye(6)[:, :1], np.full((6, 1), 6**-0.5)
    assert has_single_entry(Components(np.ones(1), [eye] * 3))
    assert not has_single_entry(Components(np.ones(1), [eye, flat, eye]))
    assert not has_single_entry(no_components((6, 6, 6)))
    assert not has_single_entry(Components(np.ones(1), [np.eye(2)[:, :1]] * 3))


def test_degrees_of_freedom():
    assert degrees_of_freedom((4, 5, 6), 0) == 120
    assert degrees_of_freedom((4, 5, 6), 2) == 120 - 2 * 13
    assert degrees_of_freedom((2, 2, 2), 5) == 1


def test_counts_with_zeros_are_not_missing(rng):
    counts = rng.poisson(1.0, DIMS) - 1.0
    assert (counts == 0).mean() > 0.2
    assert "missing" not in verdict(counts).misfit
    assert "missing" not in verdict(rng.poisson(0.5, DIMS) * 1.0).misfit


def test_few_entries_are_suspect_and_a_slice_is_not(rng):
    eye, spread = np.eye(40)[:, :1], rng.standard_normal((40, 1)) / np.sqrt(40)
    outlier = Components(np.ones(1), [0.8 * eye + 0.1] * 3)
    outlier = Components(np.ones(1), [f / np.linalg.norm(f) for f in outlier.factors])
    assert is_suspect(outlier).tolist() == [True]
    assert is_suspect(Components(np.ones(1), [eye, spread, spread])).tolist() == [False]
    assert effective_entries(Components(np.ones(1), [eye] * 3)) == pytest.approx([1.0])
