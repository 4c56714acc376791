"""Properties of the displays: what is drawn is what was given, or what theory says."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skrmt import inspection, preference
from skrmt.theory import collapse, nested_tensor, representation, sgd, synthetic_mix

plt = pytest.importorskip("matplotlib.pyplot")

SEEDS = st.integers(0, 10**6)


def shares(rng, *shape):
    """Return numbers between one half and one."""
    return rng.uniform(0.5, 1.0, shape)


def accuracy_path(rng):
    accuracies = shares(rng, 6)
    return (np.logspace(-2, 2, 6), accuracies), {"alpha": 1.0, "accuracy": 0.9}, [accuracies]


def cka_matrix(rng):
    cka = shares(rng, 3, 4)
    return (cka, cka > 0.7), {"names": (list("abc"), list("defg"))}, [cka]


def clustering_accuracy(rng):
    curves = {"oracle": shares(rng, 7), "unfolding": shares(rng, 7)}
    return (np.linspace(0, 3, 7), curves), {}, list(curves.values())


def collapse_forecast(rng):
    curves = {"full": shares(rng, 9), "fresh": shares(rng, 9)}
    return (np.arange(9), curves), {}, list(curves.values())


def factor_alignment(rng):
    predicted = shares(rng, 2, 3)
    return (predicted, predicted - 0.05, np.minimum(predicted + 0.05, 1)), {}, [predicted]


def label_noise_transition(rng):
    accuracies, limit = shares(rng, 2, 8), shares(rng, 8)
    return (np.linspace(0, 1, 8), accuracies, [0.1, 1.0], limit, 0.6), {}, [*accuracies, limit]


def noise_floor(rng):
    floors = {1: shares(rng, 5), 8: shares(rng, 5)}
    shown = [values / 0.125 - 1 for values in floors.values()]
    return (np.logspace(-3, -1, 5), floors, 0.25), {}, shown


def noise_sensitivity(rng):
    curves = {"naive": shares(rng, 6), "optimal": shares(rng, 6)}
    return (np.linspace(0, 0.5, 6), curves), {"against": "noise"}, list(curves.values())


def preference_loss(rng):
    losses, gradients = ({"dpo": shares(rng, 5), "ipo": shares(rng, 5)} for _ in range(2))
    shown = [*losses.values(), *gradients.values()]
    return (np.linspace(-2, 2, 5), losses, gradients), {}, shown


def safe_amount(rng):
    amounts = {"l1": shares(rng, 5), "variance": shares(rng, 5)}
    return (np.linspace(0.1, 0.5, 5), amounts), {}, list(amounts.values())


def safety_utility(rng):
    safety, utility = np.sort(shares(rng, 6)), np.sort(shares(rng, 6))[::-1]
    return (safety, utility, shares(rng, 6), np.linspace(0, 1, 6)), {}, [utility]


def score_matrix(rng):
    scores = shares(rng, 4, 5)
    return (scores, [0, 1, 3, 2], range(4)), {}, [scores]


def known_pairs(rng):
    curves = {"correlation 0.5": shares(rng, 6)}
    return (np.arange(1, 7) * 10, curves), {}, list(curves.values())


def self_play(rng):
    errors = np.sort(shares(rng, 6))[::-1]
    return (errors, 0.5), {}, [errors]


def staged_loss(rng):
    losses, risks = shares(rng, 40), shares(rng, 40)
    return (losses, risks, [0, 20, 40]), {}, [losses]


def synthetic_value(rng):
    accuracies = shares(rng, 6, 2)
    return (np.arange(6) * 10, accuracies, ["one", "two"]), {"xlabel": "Rows"}, [*accuracies.T]


def tensor_scree(rng):
    values = np.sort(3 + shares(rng, 4))[::-1]
    return (values, values > 3.6), {"bulk_edge": 1.6, "noise_norm": 1.7}, [values]


def token_survival(rng):
    survival = {1: shares(rng, 6), 5: shares(rng, 6)}
    return (np.arange(1, 7), survival), {}, list(survival.values())


def unfolding_spectrum(rng):
    density = shares(rng, 30)
    return (np.linspace(1, 5, 30), density), {"isolated": 7.0}, [density]


def view_weights(rng):
    weights = shares(rng, 4)
    return (weights, shares(rng, 4)), {"accuracy": 0.9}, [weights]


BUILDERS = {
    "AccuracyPathDisplay": accuracy_path,
    "CKAMatrixDisplay": cka_matrix,
    "ClusteringAccuracyDisplay": clustering_accuracy,
    "CollapseForecastDisplay": collapse_forecast,
    "FactorAlignmentDisplay": factor_alignment,
    "LabelNoiseTransitionDisplay": label_noise_transition,
    "NoiseFloorDisplay": noise_floor,
    "NoiseSensitivityDisplay": noise_sensitivity,
    "PreferenceLossDisplay": preference_loss,
    "SafeAmountDisplay": safe_amount,
    "SafetyUtilityDisplay": safety_utility,
    "ScoreMatrixDisplay": score_matrix,
    "KnownPairsDisplay": known_pairs,
    "SelfPlayConvergenceDisplay": self_play,
    "StagedLossDisplay": staged_loss,
    "SyntheticValueDisplay": synthetic_value,
    "TensorScreeDisplay": tensor_scree,
    "TokenSurvivalDisplay": token_survival,
    "UnfoldingSpectrumDisplay": unfolding_spectrum,
    "ViewWeightsDisplay": view_weights,
}
"""Name of a display: returns its arguments, and the numbers that its figure must show."""


def drawn(figure):
    """Return every number drawn: of lines, points, bars, images and meshes."""
    found = [np.zeros(0)]
    for ax in figure.axes:
        found += [np.asarray(line.get_ydata(), float) for line in ax.lines]
        found += [
            np.array([patch.get_height()]) for patch in ax.patches if hasattr(patch, "get_height")
        ]
        found += [
            np.array([patch.get_width()]) for patch in ax.patches if hasattr(patch, "get_width")
        ]
        for artist in [*ax.images, *ax.collections]:
            if artist.get_array() is not None:
                found.append(np.ma.filled(artist.get_array(), np.nan).astype(float))
            if hasattr(artist, "get_offsets"):
                found.append(np.ma.filled(artist.get_offsets(), np.nan).astype(float))
    return np.concatenate([np.ravel(numbers) for numbers in found])


@pytest.mark.property_of(
    "inspection.AccuracyPathDisplay",
    "inspection.CKAMatrixDisplay",
    "inspection.ClusteringAccuracyDisplay",
    "inspection.CollapseForecastDisplay",
    "inspection.FactorAlignmentDisplay",
    "inspection.LabelNoiseTransitionDisplay",
    "inspection.NoiseFloorDisplay",
    "inspection.NoiseSensitivityDisplay",
    "inspection.PreferenceLossDisplay",
    "inspection.SafeAmountDisplay",
    "inspection.SafetyUtilityDisplay",
    "inspection.ScoreMatrixDisplay",
    "inspection.KnownPairsDisplay",
    "inspection.SelfPlayConvergenceDisplay",
    "inspection.StagedLossDisplay",
    "inspection.SyntheticValueDisplay",
    "inspection.TensorScreeDisplay",
    "inspection.TokenSurvivalDisplay",
    "inspection.UnfoldingSpectrumDisplay",
    "inspection.ViewWeightsDisplay",
)
@pytest.mark.parametrize("name", BUILDERS)
@settings(max_examples=3)
@given(SEEDS)
def test_what_is_given_is_drawn_and_kept(name, seed):
    arguments, options, shown = BUILDERS[name](np.random.default_rng(seed))
    before = pickle.dumps((arguments, options))
    plt.close("all")
    display = getattr(inspection, name)(*arguments, **options)
    kept = set(vars(display))
    assert display.plot() is display
    assert pickle.dumps((arguments, options)) == before
    numbers = drawn(display.figure_)
    for values in shown:
        missing = [v for v in np.ravel(values) if not np.isclose(numbers, v, atol=1e-9).any()]
        assert missing == [], f"{name} does not draw {missing}"
    assert all(attribute.endswith("_") for attribute in set(vars(display)) - kept)
    plt.close("all")


@pytest.mark.property_of("inspection.ScoreDistributionDisplay")
@settings(max_examples=3)
@given(SEEDS)
def test_histograms_of_classes_share_the_mass_of_one(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=200)
    display = inspection.ScoreDistributionDisplay(
        2 * y - 1 + 0.6 * rng.standard_normal(200), np.eye(2)[y],
        means=[-1, 1], variances=[0.36, 0.36], prior=[0.5, 0.5], classes=["no", "yes"],
    ).plot()  # fmt: skip
    lines = [np.asarray(line.get_ydata(), float) for line in display.lines_]
    assert len(lines) == 2
    assert all((line >= 0).all() for line in lines)
    np.testing.assert_allclose(lines[0].max(), lines[1].max(), rtol=1e-2)
    plt.close("all")


@pytest.mark.property_of("inspection.VerifierFrontierDisplay")
@settings(max_examples=3)
@given(st.floats(0.05, 0.45), st.floats(0.5, 1.0), st.floats(0.0, 0.4))
def test_the_frontier_of_theory_is_the_display_of_its_noise(noise, right, wrong):
    marked = {"mine": (right, wrong)}
    display = inspection.VerifierFrontierDisplay.from_theory(noise, verifiers=marked)
    assert display.noise_rate == noise
    again = inspection.VerifierFrontierDisplay(noise, verifiers=marked).plot()
    np.testing.assert_allclose(drawn(display.figure_), drawn(again.figure_), equal_nan=True)
    plt.close("all")


@pytest.mark.property_of(
    "inspection.CollapseForecastDisplay",
    "inspection.TokenSurvivalDisplay",
    "inspection.SafeAmountDisplay",
)
@settings(max_examples=3)
@given(st.floats(0.05, 0.5), st.integers(10, 30), st.integers(2, 20))
def test_forecasts_drawn_are_those_of_theory(s0, n, support):
    n = 3 * n
    display = inspection.CollapseForecastDisplay.from_theory(s0, n, n_real=n, window=3)
    expected = collapse.diversity("full", display.generations, s0, n)
    np.testing.assert_allclose(display.diversities["full"], expected)
    p = np.full(support, 1 / support)
    survival = inspection.TokenSurvivalDisplay.from_theory(p, n, [1, 5]).survival
    np.testing.assert_allclose(survival[5], collapse.survival_probabilities(p, n, 5))
    safe = inspection.SafeAmountDisplay.from_theory(10**5, support=support)
    ratio = collapse.safe_synthetic_size(10**5, safe.tolerances) / 10**5
    np.testing.assert_allclose(safe.amounts["variance"], ratio)
    plt.close("all")


@pytest.mark.property_of("inspection.ClusteringAccuracyDisplay")
@settings(max_examples=2)
@given(st.integers(20, 60), st.floats(0.2, 1.0))
def test_accuracies_of_methods_are_those_of_theory(length, beta_t):
    sizes = {"n_samples": length, "n_features": 50, "n_views": 20}
    curves = inspection.ClusteringAccuracyDisplay.from_theory(
        **sizes, beta_t=beta_t, betas=[1.0, 2.0]
    ).accuracies
    expected = nested_tensor.oracle(**sizes, beta_t=beta_t, beta_m=2.0).accuracy
    assert np.isclose(curves["oracle"][1], expected)
    plt.close("all")


@pytest.mark.property_of(
    "inspection.NoiseFloorDisplay",
    "inspection.KnownPairsDisplay",
    "inspection.LabelNoiseTransitionDisplay",
)
@settings(max_examples=3)
@given(st.floats(0.1, 1.0), st.floats(0.2, 0.8), st.floats(0.6, 1.0))
def test_curves_of_theory_are_its_functions(noise, rho, right):
    rates = [0.01, 0.02]
    floors = inspection.NoiseFloorDisplay.from_theory(
        np.ones(5), noise, batch_sizes=(1, 4), learning_rates=rates
    ).floors
    expected = [sgd.noise_floor(np.ones(5), noise, rate, 4) for rate in rates]
    np.testing.assert_allclose(floors[4], expected)
    drawn = inspection.KnownPairsDisplay.from_theory([rho], n_queries=100)
    np.testing.assert_allclose(
        next(iter(drawn.accuracies.values())),
        representation.similarity_accuracy(rho, drawn.n_pairs, 100),
    )
    transition = inspection.LabelNoiseTransitionDisplay.from_theory(
        1.0, keep_correct=right, keep_incorrect=0.3
    )
    assert np.isclose(transition.critical, synthetic_mix.critical_noise_rate(right, 0.3))
    limit = synthetic_mix.infinite_sample_accuracy(transition.noise_rate, 1.0, right, 0.3)
    np.testing.assert_allclose(transition.limit, limit)
    plt.close("all")


@pytest.mark.property_of("inspection.PreferenceLossDisplay", "inspection.SafetyUtilityDisplay")
@settings(max_examples=2)
@given(SEEDS)
def test_losses_and_frontiers_drawn_are_those_of_the_functions(seed):
    display = inspection.PreferenceLossDisplay.from_functions(
        preference.preference_loss, preference.preference_gradient, ["dpo"]
    )
    assert (np.diff(display.losses["dpo"]) <= 0).all()
    safety, utility = np.random.default_rng(seed).random((2, 4))
    frontier = inspection.SafetyUtilityDisplay.from_rewards(
        safety, utility, np.log(np.full(4, 0.25)), beta=0.5
    )
    assert (np.diff(frontier.safety - frontier.utility) >= -1e-12).all()
    plt.close("all")
