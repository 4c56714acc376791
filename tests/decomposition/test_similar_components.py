"""Components behind one another, which the residual shows only along the component found."""

import numpy as np
import pytest

from skrmt.datasets import make_spiked_tensor
from skrmt.decomposition import TensorDeflation, factor_alignments
from skrmt.decomposition._contractions import contracted_residual, split_component
from skrmt.exceptions import TheoryWarning
from skrmt.linalg import Components, DenseTensor, best_rank_one
from skrmt.theory.spiked_tensor import thresholds


def random_components(dims, rank, rng):
    """Return components of unit factors and of weights that are not large."""
    factors = [rng.standard_normal((size, rank)) for size in dims]
    return Components(
        1.0 + np.arange(rank), [factor / np.linalg.norm(factor, axis=0) for factor in factors]
    )


@pytest.mark.parametrize("pair", [(0, 1), (0, 3), (1, 2)])
def test_contracted_residual_is_a_sum_over_the_residual(pair, rng):
    dims = (3, 4, 5, 6)
    tensor, components = rng.standard_normal(dims), random_components(dims, 2, rng)
    vectors = [rng.standard_normal((size, 1)) for size in dims]
    fitted = np.einsum("ar,br,cr,dr,r->abcd", *components.factors, components.weights)
    kept = "".join("abcd"[mode] for mode in pair)
    rest = [mode for mode in range(4) if mode not in pair]
    terms = "abcd," + ",".join("abcd"[mode] for mode in rest) + "->" + kept
    expected = np.einsum(terms, tensor - fitted, *(vectors[mode][:, 0] for mode in rest))
    found = contracted_residual(DenseTensor(tensor), components, vectors, pair)
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("dims", [(20, 30, 40), (14, 12, 13, 15)])
def test_white_noise_hides_nothing_and_reaches_the_edge(dims):
    """At nine tenths of the edge of theory pure noise is split, at the edge it is not."""
    unit = np.sqrt(sum(dims))
    for seed in range(6):
        rng = np.random.default_rng(seed)
        tensor = DenseTensor(rng.standard_normal(dims))
        best = best_rank_one(tensor, n_init=4, tol=1e-6, seed=0)
        components = Components(best.values, best.factors)
        assert split_component(tensor, components, unit) is None
        below = 0.9 * thresholds(dims).bulk_edge / (thresholds(dims).bulk_edge + 0.35)
        assert split_component(tensor, components, below * unit) is not None


def test_a_component_is_split_towards_the_two_behind_it():
    data = make_spiked_tensor((30, 40, 50), [5.0, 4.0], grams=0.7, random_state=1)
    with pytest.warns(TheoryWarning, match="more components"):
        model = TensorDeflation(1, random_state=0).fit(data.X)
    unit = np.sqrt(model.noise_variance_ * 120)
    one = Components(model.weights_, model.factors_)
    two = split_component(DenseTensor(data.X), one, unit)
    assert two.rank == 2
    np.testing.assert_allclose([np.linalg.norm(f, axis=0) for f in two.factors], 1.0)
    before = np.abs([f.T @ t for f, t in zip(one.factors, data.factors, strict=True)]).mean()
    assert factor_alignments(two.factors, data.factors).mean() > before


@pytest.mark.parametrize("seed", range(3))
def test_similar_components_are_separated_or_nothing_is_claimed(seed):
    """Cosines of .8 in every axis: one component was claimed at .99, where .92 is true."""
    data = make_spiked_tensor((30, 40, 50), [5.0, 4.0], grams=0.8, random_state=700 + seed)
    with pytest.warns(TheoryWarning, match="more components"):
        one = TensorDeflation(1, random_state=0).fit(data.X)
    assert np.isnan(one.theoretical_accuracy_) and one.regime_ == "misfit"
    both = TensorDeflation(random_state=0).fit(data.X)
    assert both.n_components_ == 2 and both.regime_ == "detected"
    realised = (factor_alignments(data.factors, both.factors_) ** 2).mean()
    assert both.theoretical_accuracy_ == pytest.approx(realised, abs=0.03)


@pytest.mark.parametrize("snr", [[5.0], [5.0, 4.0, 3.0]])
def test_components_that_stand_apart_are_still_claimed(snr):
    for seed in range(3):
        data = make_spiked_tensor((25, 30, 35), snr, grams=0.3, random_state=seed)
        assert TensorDeflation(len(snr), random_state=0).fit(data.X).regime_ == "detected"
