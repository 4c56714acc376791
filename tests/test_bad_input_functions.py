"""Bad arguments to public functions: each error names the argument and says more than that.

A line of `TABLE` is a function, arguments that it accepts, and for some of them values that it
must refuse. The message must hold the name of the argument.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from skrmt import datasets, decomposition, matching, preference
from skrmt.theory import (
    collapse,
    deflation,
    nested_tensor,
    noisy_labels,
    representation,
    sgd,
    spiked_tensor,
    synthetic_mix,
)
from skrmt.theory import preference as preference_theory

NAN, INF = float("nan"), float("inf")
X = np.random.default_rng(0).standard_normal((12, 3))
Y = np.random.default_rng(1).standard_normal((12, 2))
HOLE = np.where(np.arange(36).reshape(12, 3) == 4, NAN, X)
S = X @ X.T
HALVES = [0.5, 0.5]
SIZES = {"n_samples": 100, "n_features": 80, "n_views": 60, "beta_t": 2, "beta_m": 1.5}
LOGS = np.log([0.5, 0.3, 0.2])
PAIRS = {
    "chosen_logps": [-1.0, -2.0],
    "rejected_logps": [-2.0, -1.0],
    "ref_chosen_logps": [-1.0, -1.0],
    "ref_rejected_logps": [-1.0, -1.0],
}
FACTORS = [np.eye(3, 2)] * 3
APART = X + 20.0 * (np.arange(12)[:, None] % 2 - 0.5)


class Says(NamedTuple):
    """A bad value whose message is scikit-learn's own, without the name."""

    value: Any
    message: str


TABLE: list[tuple[Any, dict[str, Any], dict[str, list[Any]]]] = [
    (
        collapse.collapse_probability,
        {"p": HALVES, "n": 10, "m": 3},
        {"p": [[0.5, 0.6], [-0.5, 1.5], [], NAN, "x", [[0.5, 0.5]]], "n": [0, -1, 1.5, NAN, "x"],
         "m": [-1, 0.5, NAN, "x"]},
    ),
    (
        collapse.expected_collapse_time,
        {"p": HALVES, "n": 10},
        {"p": [[0.2, 0.2]], "n": [0, INF], "method": ["approximate", None, 3]},
    ),
    (collapse.collapse_probability_bounds, {"p": HALVES, "n": 10, "m": 3}, {"m": [-2], "n": [0]}),
    (
        collapse.diversity,
        {"scheme": "full", "generation": 3, "s0": 0.5, "n_synthetic": 10},
        {"scheme": ["half", None], "generation": [-1, 0.5, NAN], "s0": [0.0, 1.5, NAN, "x"],
         "n_synthetic": [0, -3, 1.5], "n_real": [5]},
    ),
    (collapse.drift, {"q": HALVES, "n_synthetic": 5, "n_real": 5},
     {"q": [[1.0, 1.0]], "n_synthetic": [0], "n_real": [0], "norm": ["l3"]}),
    (collapse.expected_functional, {"f": "entropy", "p": HALVES, "n": 5, "m": 1},
     {"f": ["size", 3], "p": [[2.0]], "n": [0], "m": [-1]}),
    (collapse.fixation_probability, {"p": 0.2, "n": 10},
     {"p": [-0.1, 1.2, NAN], "n": [0], "advantage": [NAN]}),
    (collapse.gaussian_recursion, {"n": 10, "generation": 3},
     {"n": [0, 1, NAN], "generation": [-1], "ddof": [2, -1]}),
    (collapse.half_life, {"n_synthetic": 10}, {"n_synthetic": [0, NAN], "scheme": ["none"]}),
    (collapse.ols_recursion, {"n_features": 3, "n_samples": 20, "generation": 2},
     {"n_features": [0], "n_samples": [2], "generation": [-1], "noise_variance": [-1.0, NAN],
      "scheme": ["x"]}),
    (collapse.safe_synthetic_size, {"n_real": 100, "tolerance": 0.1},
     {"n_real": [0], "tolerance": [-0.1, NAN], "criterion": ["x"]}),
    (collapse.selected_distribution, {"p": HALVES, "acceptance": [1, 0.5]},
     {"p": [[0.4, 0.4]], "acceptance": [[1.0], [-1, 1], [NAN, 1]], "generation": [-1]}),
    (collapse.tempered_distribution, {"p": HALVES, "temperature": 1.0},
     {"p": [[0.4, 0.4]], "temperature": [0.0, -1.0, NAN]}),
    (collapse.token_expectation, {"f": "support", "x": [0.5], "n": 5, "m": 1},
     {"x": [[-0.1], [1.1], 0.5], "n": [0]}),
    (deflation.hotelling, {"betas": [5.0, 4.0], "grams": 0.5, "dims": (20, 20, 20)},
     {"betas": [[], [-1.0, 2.0], [NAN, 1.0]], "grams": [1.5, NAN], "dims": [(20,), (0, 2, 3)],
      "n_steps": [-1]}),
    (deflation.joint_cp, {"betas": [5.0, 4.0], "grams": 0.5, "dims": (20, 20, 20)},
     {"betas": [[INF, 1.0]], "grams": [-2.0], "dims": [(20, 20), "abc"]}),
    (deflation.orthogonalized,
     {"betas": [5.0, 4.0], "grams": 0.5, "dims": (20, 20, 20), "gamma": 0.5},
     {"gamma": [-0.1, 1.5, NAN]}),
    (spiked_tensor.rank_one_limit, {"beta": 2.0, "dims": (20, 20, 20)},
     {"beta": [-1.0, NAN, "x"], "dims": [(20,), (20, -1, 20), (20, NAN, 20)]}),
    (spiked_tensor.thresholds, {"dims": (20, 20, 20)}, {"dims": [(), (1,), None, "x"]}),
    (spiked_tensor.required_signal, {"alignment": 0.9, "dims": (20, 20, 20)},
     {"alignment": [0.0, 1.0, -0.5, NAN]}),
    (spiked_tensor.signal_strength, {"singular_value": 3.0, "dims": (20, 20, 20)},
     {"singular_value": [-1.0, NAN]}),
    (spiked_tensor.noise_density, {"x": 1.0, "dims": (20, 20, 20)}, {"x": [NAN, "x"]}),
    (nested_tensor.unfolding, SIZES,
     {"n_samples": [0, -5, NAN, "x"], "n_views": [0], "beta_t": [-1.0, NAN], "beta_m": [INF],
      "regime": ["guess"]}),
    (nested_tensor.nested_ml, SIZES, {"n_features": [0], "beta_m": [-1.0, [1.0, 2.0]]}),
    (nested_tensor.fixed_weights, {**SIZES, "view_cosine": 0.5}, {"view_cosine": [1.5, NAN]}),
    (nested_tensor.thresholds, {"n_samples": 100, "n_features": 50, "n_views": 4, "tau": 0.5},
     {"n_samples": [0, 2.5], "tau": [-1.0, NAN], "regime": ["other"]}),
    (nested_tensor.contraction_density, {"x": 1.0, **SIZES},
     {"x": [NAN], "n_views": [0], "view_overlap": [1.5, NAN]}),
    (nested_tensor.bayes_accuracy, {"snr": 1.0, "ratio": 2.0},
     {"snr": [-1.0, NAN], "ratio": [-1.0, NAN]}),
    (nested_tensor.imbalanced, {"n_samples": 100, "n_features": 50, "snr": 1.0, "prior": 0.3},
     {"prior": [0.0, 1.0, NAN], "snr": [-1.0]}),
    (nested_tensor.matrix_spike,
     {"signal": 4.0, "noise_variance": 1.0, "n_samples": 10, "n_features": 5},
     {"signal": [-1.0], "noise_variance": [0.0, -1.0]}),
    (nested_tensor.missing_views,
     {"mask": np.ones((9, 2), bool), "n_features": 5, "signal": 1.0, "noise": [1.0, 2.0]},
     {"mask": [np.ones(9, bool), np.zeros((9, 2), bool)], "noise": [[1.0], [0.0, 1.0]],
      "weights": ["best"]}),
    (nested_tensor.overlap_accuracy, {"sample_overlap": 0.5}, {"sample_overlap": [-0.1, 1.1, NAN]}),
    (noisy_labels.lpc, {"aspect_ratio": 0.5, "alpha": 1.0, "mean_norm": 1.0},
     {"aspect_ratio": [0.0, -1.0, NAN], "alpha": [-1.0, NAN], "mean_norm": [-1.0, NAN],
      "prior": [0.0, 1.0, NAN], "noise_rates": [(0.6, 0.6), (-0.1, 0.1), 0.7]}),
    (noisy_labels.bayes_accuracy,
     {"aspect_ratio": 0.5, "mean_norm": 1.0, "prior": 0.5, "noise_rates": (0.1, 0.1)},
     {"prior": [1.5], "noise_rates": [(0.7, 0.4)], "labelled_fraction": [-0.1, 1.5]}),
    (noisy_labels.amp_path,
     {"aspect_ratio": 0.5, "mean_norm": 1.0, "prior": 0.5, "noise_rates": (0.1, 0.1)},
     {"n_iter": [-1, 1.5]}),
    (noisy_labels.binary_accuracy, {"means": (-1, 1), "variances": (1, 1), "prior": 0.5},
     {"means": [(1,), (NAN, 1)], "variances": [(-1, 1)], "prior": [2.0]}),
    (noisy_labels.gaussian_mixture_ridge,
     {"means": [-np.ones(3), np.ones(3)], "covariances": 1.0, "priors": HALVES,
      "noise_matrix": np.eye(2), "alpha": 1.0, "n_samples": 10},
     {"means": [np.ones(3), [[NAN] * 3] * 2], "covariances": [-1.0], "priors": [[0.5, 0.6]],
      "noise_matrix": [np.ones((2, 2)), np.eye(3)], "alpha": [-1.0], "n_samples": [0]}),
    (noisy_labels.relabelling_path,
     {"aspect_ratio": 0.5, "alpha": 1.0, "mean_norm": 1.0, "prior": 0.5, "noise_rates": (0.1, 0.1)},
     {"n_relabel": [-1], "cleaned_fraction": [1.5]}),
    (noisy_labels.signal_from_eigenvalue, {"eigenvalue": 5.0, "aspect_ratio": 0.5},
     {"aspect_ratio": [0.0, NAN]}),
    (preference_theory.kl_regularized_optimum,
     {"reward": [0, 1, 2], "log_reference": LOGS, "beta": 1.0},
     {"reward": [[0, 1], [0, NAN, 1]], "log_reference": [[NAN] * 3, LOGS[:2]],
      "beta": [0.0, -1.0, NAN]}),
    (preference_theory.pairwise_accuracy,
     {"signal": 1.0, "n_pairs": 100, "n_features": 10, "alpha": 1.0},
     {"signal": [-1.0], "n_pairs": [0], "n_features": [0], "alpha": [-1.0],
      "noise_rate": [0.5, -0.1]}),
    (preference_theory.population_margin, {"loss": "dpo", "p": 0.8, "beta": 1.0},
     {"loss": ["kto2"], "p": [-0.1, 1.1, NAN], "beta": [0.0]}),
    (preference_theory.self_play_rate, {"scheme": "spin", "beta": 1.0},
     {"scheme": ["x", 3], "beta": [0.0, NAN], "mixture_weight": [-0.1, 1.5]}),
    (preference_theory.self_play_map,
     {"scheme": "spin", "log_policy": LOGS, "log_human": LOGS, "beta": 1.0},
     {"log_policy": [[NAN] * 3], "log_human": [LOGS[:2]]}),
    (preference_theory.safety_utility_curve,
     {"safety": [0, 1, 2], "utility": [2, 1, 0], "log_reference": LOGS, "beta": 1.0},
     {"safety": [[0, 1]], "utility": [[0, NAN, 1]], "safety_weight": [[-0.5], [2.0]]}),
    (representation.effective_dimension, {"cov": [1.0, 1.0]}, {"cov": [[], [-1.0, 1.0], [NAN]]}),
    (representation.expected_cka, {"n": 10, "cov_x": [1.0], "cov_y": [1.0]},
     {"n": [1, NAN], "cov_x": [[-1.0]], "cov_y": [[NAN]]}),
    (representation.similarity_accuracy, {"rho": 0.5, "n_pairs": 10, "n_queries": 10},
     {"rho": [-1.5, 1.5, NAN], "n_pairs": [0], "n_queries": [0], "k": [0, 11]}),
    (representation.required_pairs, {"accuracy": 0.9, "rho": 0.5, "n_queries": 10},
     {"accuracy": [0.0, 1.0, NAN], "rho": [2.0]}),
    (representation.mutual_information, {"canonical_correlations": [0.5]},
     {"canonical_correlations": [[1.5], [-0.5], [NAN]]}),
    (representation.permutation_moments, {"K": S, "L": S},
     {"K": [S[:3]], "L": [S[:3, :3]], "statistic": ["x"]}),
    (sgd.critical_learning_rate, {"eigenvalues": [1.0], "batch_size": 2},
     {"eigenvalues": [[], [-1.0], [NAN]], "batch_size": [0, NAN]}),
    (sgd.noise_floor,
     {"eigenvalues": [1.0], "noise_variance": 1.0, "learning_rate": 0.1, "batch_size": 1},
     {"noise_variance": [-1.0], "learning_rate": [-0.1, NAN]}),
    (sgd.risk_curve,
     {"eigenvalues": [1.0], "displacement": [1.0], "noise_variance": 1.0, "stages": [(2, 1, 0.1)]},
     {"displacement": [[1.0, 2.0], [NAN]], "stages": [[], 3, [(2, 1)]]}),
    (sgd.plan_stages, {"eigenvalues": [1.0], "noise_variance": 1.0, "budget": 100},
     {"budget": [0, 1.5, NAN], "batch_size": [0]}),
    (sgd.spike_p_value, {"loss": 1.0, "risk": 1.0, "batch_size": 2},
     {"loss": [-1.0, NAN], "risk": [-1.0]}),
    (sgd.tail_index, {"learning_rate": 0.1, "n_features": 5},
     {"learning_rate": [0.0, NAN], "n_features": [0]}),
    (synthetic_mix.isotropic_mix,
     {"n_real": 10, "n_synthetic": 10, "n_features": 5, "mean_norm": 1.0, "alpha": 1.0},
     {"n_real": [-1, NAN], "n_features": [0], "mean_norm": [-1.0], "alpha": [-1.0],
      "noise_rate": [-0.1, 1.1], "keep_correct": [1.5], "weight": [-1.0],
      "synthetic_variance": [-1.0]}),
    (synthetic_mix.break_even_size, {"n_real": 10, "noise_rate": 0.1},
     {"n_real": [-1], "noise_rate": [1.1, NAN], "keep_incorrect": [-0.5]}),
    (synthetic_mix.critical_noise_rate, {"keep_correct": 0.9, "keep_incorrect": 0.1},
     {"keep_correct": [1.1, NAN], "keep_incorrect": [-0.1]}),
    (synthetic_mix.verifier_value,
     {"noise_rate": 0.1, "keep_correct": 0.9, "keep_incorrect": 0.1}, {"noise_rate": [2.0]}),
    (synthetic_mix.simplex_accuracy, {"ratio": 1.0, "n_classes": 3},
     {"ratio": ["x", NAN], "n_classes": [1, 2.5, NAN]}),
    (synthetic_mix.optimal_averaging_weights,
     {"n_samples": [10, 10], "means": [[1.0], [1.0]], "noise_rates": [0.1, 0.1], "mean": [1.0]},
     {"n_samples": [[10]], "noise_rates": [[2.0, 0.1]]}),
    (synthetic_mix.pruned_gaussian_moments,
     {"mean": [1.0, 0.0], "covariance": 1.0, "direction": [1.0, 0.0], "threshold": 0.0},
     {"direction": [[1.0], [0.0, 0.0]], "covariance": [-1.0], "noise_rate": [1.5]}),
    (datasets.flip_labels, {"y": [0, 1, 0, 1], "noise_matrix": 0.1},
     {"noise_matrix": [1.5, -0.1, NAN, np.ones((2, 2)), np.eye(3), "x"], "y": [[]],
      "random_state": [Says("seed", "'seed' cannot be used to seed")]}),
    (datasets.make_noisy_mixture, {"n_samples": 10, "n_features": 2},
     {"n_samples": [0, -1, 1.5, "x"], "n_features": [0], "mean_norm": [-1.0, NAN],
      "n_classes": [1], "class_prior": [[0.5, 0.6]], "noise_rates": [1.5],
      "covariance": ["round"], "random_state": [Says(-1, "Seed must be between 0 and")]}),
    (datasets.make_synthetic_mix,
     {"n_real": 10, "n_synthetic": 10, "n_features": 3, "random_state": 0},
     {"n_real": [-1, 2.5], "n_synthetic": [-1], "noise_rate": [1.5, NAN], "keep_correct": [2.0],
      "synthetic_variance": [-1.0], "n_test": [-1]}),
    (datasets.make_spiked_tensor, {"dims": (3, 4, 5), "betas": [2.0], "random_state": 0},
     {"dims": [(3,), (0, 1, 2), "abc"], "betas": [[-1.0], [NAN], 2.0], "noise_std": [0.0, NAN]}),
    (datasets.make_nested_views, {"n_samples": 10, "n_features": 3},
     {"n_samples": [0], "n_features": [0], "noise_stds": [[], [-1.0]], "separation": [-1.0, NAN],
      "n_classes": [1]}),
    (datasets.make_noisy_copies, {"X": X, "noise_stds": [1.0]},
     {"X": [HOLE, X[0]], "noise_stds": [[-1.0], [], [NAN]]}),
    (datasets.make_paired_encoders, {"n_samples": 10},
     {"n_samples": [0], "n_features_x": [0], "n_latent": [0], "noise_std": [-1.0, NAN]}),
    (datasets.make_correlated_graphs, {"n_items": 5},
     {"n_items": [0, 1.5], "correlation": [1.5, NAN]}),
    (decomposition.factor_alignments, {"factors": FACTORS, "true_factors": FACTORS},
     {"factors": [[], [np.eye(3, 2)] * 2], "true_factors": [[np.eye(4, 2)] * 3]}),
    (matching.cka, {"X": X, "Y": Y},
     {"X": [HOLE, X[0], X[:3], "x", [[1, 2], [3]]], "Y": [Y[:5], Y * INF], "kernel": ["cubic"],
      "batch_size": [0]}),
    (matching.cka, {"X": X, "Y": Y, "kernel": "rbf"}, {"bandwidth": [-1.0, "wide", 0.0, NAN]}),
    (matching.cka_test, {"X": X, "Y": Y},
     {"X": [HOLE], "Y": [Y[:5]], "n_permutations": [-1]}),
    (matching.cka_matrix, {"encoders": [X, Y]},
     {"encoders": [[]], "correction": ["bonferroni2"], "level": [0.0, 1.5]}),
    (matching.hsic, {"X": X, "Y": Y}, {"X": [X + 1j, None], "Y": [Y[:3]]}),
    (matching.local_cka_scores,
     {"X": X[:8], "Y": Y[:8], "X_query": X[8:], "Y_query": Y[8:]},
     {"Y": [Y[:7]], "X_query": [X[8:, :2], HOLE], "Y_query": [Y[8:, :1]],
      "kernel": ["x"]}),
    (matching.quadratic_assignment, {"A": S, "B": S},
     {"A": [S[:3], np.where(S > 1, NAN, S)], "B": [S[:4]], "cv": [1, 2.5],
      "known_pairs": [[[0, 0], [0, 1]], [[0, 99]], [0, 1]], "init": ["x"], "n_init": [0],
      "linear_term": [S[:3]], "max_iter": [0]}),
    (preference.preference_loss, {"name": "dpo", **PAIRS},
     {"name": ["dpo2", 3], "chosen_logps": [[-1.0], [NAN, -1.0], ["a", "b"]],
      "ref_chosen_logps": [None], "beta": [0.0, -1.0, NAN], "label_smoothing": [-0.1, 0.7],
      "reduction": ["max"]}),
    (preference.preference_gradient, {"name": "ipo", **PAIRS},
     {"name": [None], "rejected_logps": [[INF, 0.0]], "beta": ["x"]}),
    (preference.listwise_loss,
     {"name": "info_nca", "logps": [[-1.0, -2.0]], "ref_logps": [[-1.0, -1.0]],
      "rewards": [[1.0, 0.0]]},
     {"name": ["x"], "logps": [[[NAN, 0.0]]], "rewards": [[[1.0]]], "temperature": [0.0],
      "beta": [-1.0]}),
    (preference.spin_loss,
     {"human_logps": [-1.0], "generated_logps": [-1.0], "previous_human_logps": [-1.0],
      "previous_generated_logps": [-1.0]},
     {"human_logps": [[NAN], [-1.0, -2.0]], "beta": [0.0], "reference": ["x"],
      "mixture_weight": [1.5], "history": [0]}),
]  # fmt: skip


def short(value: Any) -> str:
    """Return a readable piece of a test id."""
    text = f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
    return text if len(text) < 30 else f"{type(value).__name__} of {len(value)}"


def cases():
    """Yield function, arguments and what the message must match."""
    for function, good, bad in TABLE:
        for name, values in bad.items():
            for value in values:
                said = value if isinstance(value, Says) else Says(value, rf"\b{name}\b")
                id = f"{function.__name__}-{name}-{short(said.value)}"
                yield pytest.param(function, {**good, name: said.value}, said.message, id=id)


CASES = list(cases())


@pytest.mark.parametrize(("function", "arguments", "message"), CASES)
def test_refused_by_name(function, arguments, message):
    with pytest.raises((ValueError, TypeError), match=message) as caught:
        function(**arguments)
    assert len(str(caught.value)) > 20


@pytest.mark.parametrize(
    ("function", "arguments"),
    [pytest.param(function, good, id=function.__name__) for function, good, _ in TABLE],
)
def test_the_arguments_beside_the_bad_one_are_good(function, arguments):
    function(**arguments)


def test_the_battery_is_large():
    assert len(CASES) >= 150
