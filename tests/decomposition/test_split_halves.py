"""Reproducibility of components: their congruence over halves, and the interval that it gives."""

import numpy as np
import pytest

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.decomposition._reproducibility import shared_distortion
from skrmt.exceptions import TheoryWarning
from skrmt.linalg import Components, DenseTensor

DIMS = (24, 30, 36)


def two_components(norms, seed):
    """Return the factors of two components, and their sum in noise units."""
    factors = make_spiked_tensor(DIMS, norms, grams=0.3, random_state=seed).factors
    weights = np.sqrt(sum(DIMS)) * np.array(norms)
    return factors, np.einsum("ar,br,cr,r->abc", *factors, weights)


def smooth_noise(rng):
    """Return autoregressive noise along the last axis."""
    noise = rng.standard_normal((*DIMS[:2], DIMS[2] + 100))
    for step in range(1, noise.shape[2]):
        noise[..., step] = 0.7 * noise[..., step - 1] + np.sqrt(0.51) * noise[..., step]
    return noise[..., 100:]


def test_components_that_halves_find_again_are_not_undetected():
    """A third component that is noise stays undetected; one of a norm that is told to be noise
    does not, where halves agree on it."""
    signal = two_components([6.0, 4.0], 5)[1]
    X = signal + smooth_noise(np.random.default_rng(0))
    with pytest.warns(TheoryWarning, match="Some components"):
        noise = TensorDeflation(3, random_state=0).fit(X)
    assert sorted(noise.component_regimes_) == ["detected", "detected", "undetected"]
    undetected = noise.component_regimes_.index("undetected")
    assert (noise.theoretical_alignments_[undetected] == 0).all()
    told = TensorDeflation(2, noise_variance=40.0, random_state=0).fit(X)
    assert "undetected" not in told.component_regimes_
    assert "misfit" in told.component_regimes_
    assert told.theoretical_alignments_.min() > 0.9


def spoiled(kind, seed):
    """Return factors, and a tensor of two components to which the theory does not apply."""
    rng = np.random.default_rng(seed)
    if kind == "saturated":
        factors, signal = two_components([12.0, 8.0], seed)
        noisy = signal + 0.2 * rng.standard_normal(DIMS)
        return factors, np.minimum(noisy, np.quantile(noisy, 0.98))
    factors, signal = two_components([8.0, 6.0], seed)
    scale = np.ones(DIMS)
    scale[:8, :12], scale[12:, :, 22:] = 3.0, 2.0
    return factors, signal + scale / np.sqrt((scale**2).mean()) * rng.standard_normal(DIMS)


@pytest.mark.parametrize("kind", ["saturated", "blocks"])
def test_intervals_of_split_halves_cover_the_truth(kind):
    """All draws but one at least; a quarter of saturated ones without what halves share."""
    covered, widths = 0, []
    for seed in range(6):
        factors, X = spoiled(kind, seed)
        with pytest.warns(TheoryWarning):
            model = TensorDeflation(2, random_state=0).fit(X)
        assert model.regime_ == "misfit"
        if np.isnan(model.theoretical_accuracy_):
            continue
        low, high = model.theoretical_accuracy_interval_
        realised = (factor_alignments(factors, model.factors_) ** 2).mean()
        assert low <= model.theoretical_accuracy_ <= high
        covered += low <= realised <= high
        widths.append(high - low)
    assert len(widths) >= 4 and covered >= len(widths) - 1
    assert np.median(widths) < 0.05


def test_distortion_is_what_halves_share(rng):
    """A matrix in two axes along a component, of a known value, and no noise."""
    factors = [np.linalg.qr(rng.standard_normal((size, 2)))[0] for size in DIMS]
    weights = np.array([10.0, 5.0])
    components = Components(weights, factors)
    fitted = np.einsum("ar,br,cr,r->abc", *factors, weights)
    b, c = (np.linalg.qr(np.c_[f, rng.standard_normal(len(f))])[0][:, 2] for f in factors[1:])
    hidden = 0.3 * np.einsum("a,b,c->abc", factors[0][:, 0], b, c)
    parts = [np.arange(0, 24, 2), np.arange(1, 24, 2)]
    found = shared_distortion(DenseTensor(fitted + hidden), components, 0, parts)
    np.testing.assert_allclose(found, [(2 * 0.3 / 10.0) ** 2, 0.0], atol=1e-12)
    white = rng.standard_normal(DIMS)
    noise = shared_distortion(DenseTensor(fitted + 0.3 * white), components, 0, parts)
    whole = np.linalg.norm(np.einsum("abc,a->bc", 0.3 * white, factors[0][:, 0]), 2)
    assert (noise[0] < (0.5 * whole / 10.0) ** 2).all()


def test_the_interval_is_unknown_where_one_axis_alone_is_halved():
    """The spread of one split is unknown: both ends are, not the upper one alone."""
    rng = np.random.default_rng(8)
    dims = (3, 3, 40)
    factors = [rng.standard_normal(size) for size in dims]
    signal = 40 * np.einsum("a,b,c->abc", *(factor / np.linalg.norm(factor) for factor in factors))
    noise = rng.standard_normal(dims) * np.exp(rng.standard_normal(dims))
    with pytest.warns(TheoryWarning):
        model = TensorDeflation(1, random_state=0).fit(signal + noise)
    assert model.regime_ == "misfit" and 0 < model.theoretical_accuracy_ < 1
    assert np.isnan(model.theoretical_accuracy_interval_).all()
