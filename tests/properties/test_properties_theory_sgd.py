"""Properties of the theory of stochastic gradient descent."""

from __future__ import annotations

from fractions import Fraction
from math import comb, prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt.theory import sgd

SPECTRA = st.lists(st.floats(0.05, 4.0), min_size=2, max_size=12)
BATCHES = st.integers(1, 64)
SHARES = st.floats(0.05, 0.9)
NOISES = st.floats(0.01, 2.0)


def displaced(spectrum):
    """Return a displacement of the length of the spectrum."""
    return np.cos(np.arange(len(spectrum))) + 0.5


def exact_moment(rate, n_features, order):
    """Return E rho^order of `tail_index` in exact arithmetic, by the moments of chi-squares."""

    def moment(degrees, k):
        return prod(degrees + 2 * i for i in range(k))

    return sum(
        comb(order, j) * comb(j, k) * comb(k, i)
        * (-2 * rate) ** (j - k) * rate ** (2 * k)
        * moment(1, j + k - i) * moment(n_features - 1, i)
        for j in range(order + 1)
        for k in range(j + 1)
        for i in range(k + 1)
    )  # fmt: skip


@pytest.mark.property_of("theory.sgd.critical_learning_rate", "theory.sgd.noise_amplification")
@given(SPECTRA, BATCHES, st.floats(0.1, 10.0))
def test_the_critical_rate_makes_noise_feed_on_itself_in_full(spectrum, batch, scale):
    rate = sgd.critical_learning_rate(spectrum, batch)
    assert np.isclose(sgd.noise_amplification(spectrum, rate, batch), 1, rtol=1e-8)
    assert sgd.noise_amplification(spectrum, 0.5 * rate, batch) < 1
    assert rate <= sgd.critical_learning_rate(spectrum, batch + 1)
    scaled = sgd.critical_learning_rate(scale * np.array(spectrum), batch)
    assert np.isclose(scaled, rate / scale, rtol=1e-8)
    assert np.isclose(sgd.critical_learning_rate(spectrum[::-1], batch), rate, rtol=1e-9)


@pytest.mark.property_of("theory.sgd.critical_batch_size")
@given(SPECTRA, st.floats(0.1, 10.0))
def test_critical_batch_size_is_at_least_one_and_has_no_unit(spectrum, scale):
    size = sgd.critical_batch_size(spectrum)
    assert np.isclose(sgd.critical_batch_size(scale * np.array(spectrum)), size, rtol=1e-9)
    assert 1 - 1e-12 <= size <= len(spectrum) + 2


@pytest.mark.property_of("theory.sgd.noise_floor", "theory.sgd.risk_curve")
@settings(max_examples=10)
@given(SPECTRA, NOISES, SHARES, BATCHES)
def test_a_long_run_ends_at_the_floor(spectrum, noise, share, batch):
    spectrum = np.clip(spectrum, 0.5, 4.0)
    rate = share * sgd.critical_learning_rate(spectrum, batch)
    floor = sgd.noise_floor(spectrum, noise, rate, batch)
    assert floor >= noise / 2
    curve = sgd.risk_curve(spectrum, 0 * spectrum, noise, [(3000, batch, rate)])
    assert np.isclose(curve[0], noise / 2)
    assert (np.diff(curve) >= -1e-12 * curve[1:]).all()
    assert curve[-1] <= floor * (1 + 1e-9)
    assert np.isclose(curve[-1], floor, rtol=5e-2)


@pytest.mark.property_of("theory.sgd.risk_curve", "theory.sgd.volterra_curve")
@given(SPECTRA, NOISES, SHARES, BATCHES, st.integers(1, 30))
def test_two_ways_to_the_risk_agree(spectrum, noise, share, batch, n_steps):
    rate = share * sgd.critical_learning_rate(spectrum, batch)
    start = displaced(spectrum)
    direct = sgd.risk_curve(spectrum, start, noise, [(n_steps, batch, rate)])
    volterra = sgd.volterra_curve(spectrum, start, noise, rate, batch, n_steps)
    np.testing.assert_allclose(volterra, direct, rtol=1e-8)
    flipped = sgd.risk_curve(spectrum[::-1], -start[::-1], noise, [(n_steps, batch, rate)])
    np.testing.assert_allclose(flipped, direct, rtol=1e-9)


@pytest.mark.property_of("theory.sgd.risk_curve")
@given(SPECTRA, NOISES, SHARES, BATCHES, st.integers(1, 20), st.integers(1, 20))
def test_two_stages_of_one_rate_are_one_stage(spectrum, noise, share, batch, first, second):
    rate = share * sgd.critical_learning_rate(spectrum, batch)
    start = displaced(spectrum)
    cut = sgd.risk_curve(spectrum, start, noise, [(first, batch, rate), (second, batch, rate)])
    whole = sgd.risk_curve(spectrum, start, noise, [(first + second, batch, rate)])
    np.testing.assert_allclose(cut, whole, rtol=1e-10)
    assert (whole >= noise / 2 * (1 - 1e-12)).all()


@pytest.mark.property_of("theory.sgd.multi_pass_risk_curve")
@given(SPECTRA, NOISES, SHARES, BATCHES, st.integers(2, 30))
def test_a_larger_batch_trains_better_on_fixed_rows(spectrum, noise, share, batch, n_steps):
    spectrum = np.array(spectrum)
    residual = displaced(spectrum)
    rate = share / (spectrum.max() + spectrum.sum())
    small, large = (
        sgd.multi_pass_risk_curve(spectrum, residual, [(n_steps, size, rate)])
        for size in (batch, batch + 10)
    )
    assert small[0] == large[0] > 0
    assert (large <= small * (1 + 1e-9)).all()


@pytest.mark.property_of("theory.sgd.plan_stages", "theory.sgd.StagePlan")
@settings(max_examples=2)  # Each plans a run.
@given(st.floats(0.1, 1.0), st.integers(400, 1200), SHARES)
def test_the_plan_spends_its_budget_and_beats_a_constant_rate(noise, budget, share):
    spectrum = 1 / np.arange(1, 9)
    plan = sgd.plan_stages(spectrum, noise, budget, batch_size=2)
    assert isinstance(plan, sgd.StagePlan)
    assert sum(stage.n_steps * stage.batch_size for stage in plan.stages) <= budget
    rate = share * sgd.critical_learning_rate(spectrum, 2)
    start = np.full(8, 8**-0.5)
    constant = sgd.risk_curve(spectrum, start, noise, [(budget // 2, 2, rate)])[-1]
    assert noise / 2 <= plan.risk <= constant * (1 + 1e-3)


@pytest.mark.property_of("theory.sgd.spike_p_value")
@given(st.floats(0.01, 5.0), st.floats(0.1, 3.0), BATCHES, st.floats(0.1, 10.0))
def test_p_value_falls_with_the_loss_and_has_no_unit(loss, risk, batch, scale):
    value = sgd.spike_p_value([0.0, loss, 2 * loss], risk, batch)
    assert value[0] == 1
    assert 0 <= value[2] <= value[1] <= 1
    assert np.isclose(sgd.spike_p_value(scale * loss, scale * risk, batch), value[1], rtol=1e-8)


@pytest.mark.property_of("theory.sgd.tail_index")
@settings(max_examples=6)  # Indices close to two take long.
@given(st.integers(2, 25), st.floats(0.7, 0.9), st.floats(1.02, 1.1))
def test_larger_rates_have_heavier_tails(n_features, share, factor):
    critical = 2 / (n_features + 2)
    low, high = sgd.tail_index([share * critical, share * factor * critical], n_features)
    assert low > high > 2 - 1e-9
    assert np.isclose(sgd.tail_index(critical, n_features), 2, atol=1e-6)


@pytest.mark.property_of("theory.sgd.tail_index")
@given(st.integers(2, 100), st.integers(10, 95), st.integers(2, 19))
def test_tail_index_exceeds_the_moments_that_shrink(n_features, percent, order):
    rate = Fraction(2 * percent, 100 * (n_features + 2))
    moment = exact_moment(rate, n_features, order)
    index = sgd.tail_index(float(rate), n_features)
    assert (moment < 1) == (index > 2 * order) or abs(index - 2 * order) < 1e-9
