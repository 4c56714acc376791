"""Bulk density: semicircle, moments, mpmath roots, and eigenvalues of random matrices."""

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import trapezoid

from skrmt.theory.spiked_tensor import noise_density, thresholds


def integrate(dims, power, n=4001):
    """Integral of x^power times the density; the substitution removes the edge's root."""
    edge = thresholds(dims).bulk_edge
    angle = np.linspace(0, np.pi, n)[1:-1]
    x = edge * np.cos(angle)
    weight = noise_density(x, dims) * x**power * edge * np.sin(angle)
    return float(weight.sum() * np.pi / (n - 1))


@pytest.mark.parametrize("order", [3, 4, 6])
def test_equal_sizes_give_a_semicircle(order):
    radius = 2 * np.sqrt((order - 1) / order)
    x = np.linspace(-1.2, 1.2, 101) * radius
    want = 2 / (np.pi * radius**2) * np.sqrt(np.maximum(radius**2 - x**2, 0))
    # Newton stops at 1e-13 of g; its square root is the error at the edge, where g is flat.
    np.testing.assert_allclose(noise_density(x, (30,) * order), want, atol=1e-6)
    inner = np.abs(x) < 0.99 * radius
    np.testing.assert_allclose(noise_density(x[inner], (30,) * order), want[inner], rtol=1e-10)


@pytest.mark.parametrize(
    "dims", [(45, 27, 28), (40, 60, 70), (50, 30, 25, 10), (60, 20, 20), (90, 5, 5)]
)
def test_mass_and_second_moment(dims):
    share = np.array(dims) / sum(dims)
    atom = max(0.0, 2 * share.max() - 1)
    # The rectangle rule errs by O(step^(3/2)) = 2e-5 at the square roots of inner edges, which
    # there are with an atom only.
    tolerance = 1e-4 if atom else 1e-6
    assert integrate(dims, 0) == pytest.approx(1 - atom, abs=tolerance)
    # The second moment is the sum of c_m c_k over pairs m != k, the variance of the blocks.
    assert integrate(dims, 2) == pytest.approx(1 - np.sum(share**2), abs=tolerance)


def mp_density(x, dims):
    """Follow the fixed point down from far above the axis with 30 digits."""
    share = [mp.mpf(p) / sum(dims) for p in dims]
    g = [-c / mp.mpc(x, 4) for c in share]
    for height in [mp.mpf(4) * mp.mpf("0.5") ** k for k in range(50)] + [mp.mpf(0)]:
        z = mp.mpc(x, height)
        system = [
            lambda *g, m=m, z=z: g[m] * (z + sum(g) - g[m]) + share[m] for m in range(len(dims))
        ]
        g = list(mp.findroot(system, g, tol=1e-40))
    return float(sum(g).imag / mp.pi)


@pytest.mark.parametrize("dims", [(45, 27, 28), (60, 20, 20)])
def test_agrees_with_mpmath(dims):
    with mp.workdps(30):
        for x in (0.3, 1.2):
            want = mp_density(x, dims)
            assert noise_density(x, dims) == pytest.approx(want, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dims", [(120, 200, 240), (300, 100, 150), (100, 120, 140, 160)])
def test_histogram_of_a_block_matrix(dims):
    rng = np.random.default_rng(3)
    total = sum(dims)
    noise = rng.standard_normal((total, total)) / np.sqrt(total)
    matrix = np.triu(noise, 1) + np.triu(noise, 1).T
    ends = np.cumsum([0, *dims])
    for start, stop in pairwise(ends):
        matrix[start:stop, start:stop] = 0
    values = np.linalg.eigvalsh(matrix)
    edge = thresholds(dims).bulk_edge
    for low, high in [(0.1, 0.5), (0.5, 0.9), (0.9, 1.3), (1.3, edge)]:
        x = np.linspace(low, high, 2001)
        want = float(trapezoid(noise_density(x, dims), x))
        got = np.mean((values > low) & (values < high))
        # Eigenvalues are rigid: counts of an interval fluctuate by O(sqrt(log N)) = 2.5 here,
        # a standard error below 2.5 / N; the edge and the limit itself cost O(1) more.
        assert got == pytest.approx(want, abs=4 * 2.5 / total)


def test_symmetry_edges_and_special_points():
    dims = (45, 27, 28)
    x = np.linspace(-2, 2, 401)
    density = noise_density(x, dims)
    np.testing.assert_allclose(density, density[::-1], rtol=1e-12)
    edge = thresholds(dims).bulk_edge
    assert np.all(density[np.abs(x) >= edge] == 0)
    assert np.all(density[np.abs(x) < edge] > 0)
    assert noise_density(0.0, (50, 25, 25)) == np.inf
    assert noise_density(0.0, (60, 20, 20)) == 0
    assert noise_density([1e-300, 1e-12, 1e-3], (90, 5, 5)) == pytest.approx(np.zeros(3), abs=1e-12)
    assert isinstance(noise_density(0.3, dims), float)
    assert noise_density(np.zeros((2, 3)), dims).shape == (2, 3)


def test_bad_arguments():
    with pytest.raises(ValueError, match="x must be finite, got nan"):
        noise_density([0.0, np.nan], (50, 50, 50))
    with pytest.raises(ValueError, match="dims"):
        noise_density(0.0, (50, 50))
    with pytest.raises(TypeError, match="x"):
        noise_density("zero", (50, 50, 50))
