"""Broadcasting, types of results, and the errors of the theory of noisy labels."""

import re

import numpy as np
import pytest

from skrmt.theory import noisy_labels as theory

NOISE = [[0.8, 0.2], [0.3, 0.7]]
MEANS = [[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
RIDGE = {
    "means": MEANS,
    "covariances": 1.0,
    "priors": [0.4, 0.6],
    "noise_matrix": NOISE,
    "alpha": 1.0,
    "n_samples": 10,
}


def test_scalars_give_floats():
    for value in [
        *theory.lpc(0.5, 1, 1),
        *theory.intercept_ridge(0.5, 1, 1)[1:],
        theory.optimal_shift(0.3, (0.1, 0.2)),
        theory.worst_shift(0.3, [0.1, 0.2]),
        theory.label_quality(0.3, np.array([0.1, 0.2])),
        *theory.optimal_perturbation(0.3, (0.1, 0.2)),
        *theory.bayes_accuracy(0.5, 1.0, 0.5, (0.1, 0.2)),
        theory.signal_from_eigenvalue(5.0, 0.5),
        theory.best_threshold((-1, 1), (1, 2), 0.4),
        theory.binary_accuracy((-1, 1), (1, 2), 0.4),
        theory.gaussian_mixture_ridge(**RIDGE).accuracy,
        theory.gaussian_mixture_ridge(**RIDGE).intercept,
        theory.optimal_alpha(MEANS, n_samples=10),
    ]:
        assert type(value) is float


def test_lpc_broadcasts_every_argument():
    eta = np.array([0.2, 0.5, 2.0])[:, None, None]
    alpha = np.array([0.1, np.inf])[:, None]
    pi = np.array([0.2, 0.5, 0.6, 0.9])
    rates = np.stack([np.linspace(0, 0.3, 4), np.linspace(0.4, 0.1, 4)], axis=-1)
    shift = np.array([0.1, 0.2, -0.3, 0.4])
    table = theory.lpc(eta, alpha, 1.3, prior=pi, noise_rates=rates, shift=shift)
    pairs = theory.lpc(eta, alpha, 1.3, prior=pi, noise_rates=tuple(rates.T), shift=shift)
    for values, same in zip(table, pairs, strict=True):
        assert values.shape == (3, 2, 4)
        np.testing.assert_array_equal(values, same)
    for i, j, k in np.ndindex(3, 2, 4):
        one = theory.lpc(
            eta[i, 0, 0],
            alpha[j, 0],
            1.3,
            prior=pi[k],
            noise_rates=tuple(rates[k]),
            shift=shift[k],
        )
        np.testing.assert_allclose(one, [values[i, j, k] for values in table], rtol=1e-14)


def test_perturbation_pairs_broadcast():
    grid = np.linspace(-1, 0.4, 5)
    table = theory.lpc(0.5, 1.0, 1.0, perturbation=(grid[:, None], grid)).accuracy
    assert table.shape == (5, 5)
    stacked = np.stack(np.meshgrid(grid, grid, indexing="ij"), axis=-1)
    np.testing.assert_array_equal(table, theory.lpc(0.5, 1.0, 1.0, perturbation=stacked).accuracy)


def test_other_functions_broadcast():
    pi, rate = np.linspace(0.2, 0.8, 4)[:, None], np.linspace(0, 0.4, 3)
    for function in (
        theory.optimal_shift,
        theory.worst_shift,
        theory.label_quality,
        lambda p, r: theory.optimal_perturbation(p, r).positive,
        lambda p, r: theory.optimal_perturbation(p, r, rho_negative=None).negative,
        lambda p, r: theory.bayes_accuracy(0.5, 1.0, p, r).overlap,
        lambda p, r: theory.intercept_ridge(0.5, 1.0, 1.0, prior=p, noise_rates=r).accuracy,
    ):
        table = function(pi, (rate, 0.3))
        assert table.shape == (4, 3)
        one = function(float(pi[2, 0]), (float(rate[1]), 0.3))
        assert one == pytest.approx(table[2, 1], rel=1e-12)
    means = theory.intercept_ridge(0.5, [1.0, np.inf], 1.0).score_means
    assert means.shape == (2, 2)
    cuts = theory.best_threshold((-1.0, np.ones((3, 1))), (1.0, [1.0, 2.0]), 0.4)
    assert cuts.shape == (3, 2)
    assert theory.signal_from_eigenvalue(np.ones((3, 1)), [0.5, 1.0]).shape == (3, 2)


def test_results_own_their_memory_and_inputs_stay():
    rates = np.array([0.1, 0.2])
    rates.flags.writeable = False
    result = theory.lpc(np.array([0.5, 1.0]), 1.0, 1.0, noise_rates=rates)
    result.mean[0] = 5.0
    pair = theory.optimal_perturbation(np.array([0.4, 0.5]), rates)
    pair.negative[0] = 1.0
    assert rates.tolist() == [0.1, 0.2]


def call(name, **changes):
    """Call a function of the theory with one argument changed."""
    base = {
        "lpc": {"aspect_ratio": 0.5, "alpha": 1.0, "mean_norm": 1.0},
        "intercept_ridge": {"aspect_ratio": 0.5, "alpha": 1.0, "mean_norm": 1.0},
        "optimal_shift": {"prior": 0.5, "noise_rates": (0.1, 0.2)},
        "worst_shift": {"prior": 0.5, "noise_rates": (0.1, 0.2)},
        "label_quality": {"prior": 0.5, "noise_rates": (0.1, 0.2)},
        "optimal_perturbation": {"prior": 0.5, "noise_rates": (0.1, 0.2)},
        "bayes_accuracy": dict(aspect_ratio=0.5, mean_norm=1, prior=0.5, noise_rates=(0, 0)),
        "amp_path": dict(aspect_ratio=0.5, mean_norm=1, prior=0.5, noise_rates=(0, 0)),
        "signal_from_eigenvalue": {"eigenvalue": 5.0, "aspect_ratio": 0.5},
        "best_threshold": {"means": (-1, 1), "variances": (1, 1), "prior": 0.5},
        "binary_accuracy": {"means": (-1, 1), "variances": (1, 1), "prior": 0.5},
        "gaussian_mixture_ridge": RIDGE,
        "optimal_alpha": {"means": MEANS, "n_samples": 10},
    }[name]
    return getattr(theory, name)(**{**base, **changes})


BAD = [
    ("lpc", {"aspect_ratio": 0.0}, "aspect_ratio must lie in (0, inf), got 0"),
    ("lpc", {"aspect_ratio": np.nan}, "aspect_ratio must lie in (0, inf), got nan"),
    ("lpc", {"alpha": -1.0}, "alpha must lie in [0, inf], got -1"),
    ("lpc", {"alpha": [1.0, np.nan]}, "alpha must lie in [0, inf], got nan"),
    ("lpc", {"mean_norm": -1.0}, "mean_norm must lie in [0, 1e+75], got -1"),
    ("lpc", {"mean_norm": np.inf}, "mean_norm must lie in [0, 1e+75], got inf"),
    ("lpc", {"prior": 0.0}, "prior must lie in (0, 1), got 0"),
    ("lpc", {"prior": 1.0}, "prior must lie in (0, 1), got 1"),
    ("lpc", {"noise_rates": (0.6, 0.4)}, "noise_rates must sum to less than 1, got (0.6, 0.4)"),
    ("lpc", {"noise_rates": ([0.1, 0.7], 0.5)}, "got (0.7, 0.5)"),
    ("lpc", {"noise_rates": (-0.1, 0.4)}, "noise_rates[0] must lie in [0, 1), got -0.1"),
    ("lpc", {"noise_rates": (0.1, np.nan)}, "noise_rates[1] must lie in [0, 1), got nan"),
    ("lpc", {"noise_rates": 0.1}, "noise_rates must be a pair"),
    ("lpc", {"noise_rates": (0.1, 0.1, 0.1)}, "noise_rates must be a pair"),
    ("lpc", {"noise_rates": np.zeros((2, 3))}, "noise_rates must be a pair"),
    ("lpc", {"perturbation": (0.5, 0.5)}, "perturbation must sum to less than 1"),
    ("lpc", {"perturbation": (0.0, 47 / 30)}, "rho_negative=None"),
    ("lpc", {"perturbation": (0.0, np.nan)}, "perturbation[1] must be finite, got nan"),
    ("lpc", {"perturbation": (0.0, 0.1), "shift": 0.1}, "Give one"),
    ("lpc", {"shift": np.inf}, "shift must be finite, got inf"),
    ("lpc", {"aspect_ratio": [1, 2], "alpha": [1, 2, 3]}, "do not broadcast together"),
    ("intercept_ridge", {"alpha": -1e-9}, "alpha must lie in [0, inf]"),
    ("optimal_shift", {"prior": 1.5}, "prior must lie in (0, 1), got 1.5"),
    ("optimal_shift", {"noise_rates": (0.5, 0.5)}, "say nothing"),
    ("worst_shift", {"noise_rates": (1.0, 0.0)}, "noise_rates[0] must lie in [0, 1), got 1"),
    ("label_quality", {"shift": np.nan}, "shift must be finite, got nan"),
    ("optimal_perturbation", {"rho_negative": np.nan}, "rho_negative must be finite, got nan"),
    ("bayes_accuracy", {"labelled_fraction": 1.1}, "labelled_fraction must lie in [0, 1]"),
    ("amp_path", {"n_iter": -1}, "n_iter must be an integer, 0 or more, got -1"),
    ("amp_path", {"n_iter": 1.5}, "n_iter must be an integer, 0 or more, got 1.5"),
    ("signal_from_eigenvalue", {"eigenvalue": -1.0}, "eigenvalue must lie in [0, inf), got -1"),
    ("best_threshold", {"variances": (0.0, 1.0)}, "variances must be positive, got 0"),
    ("best_threshold", {"means": (np.nan, 1.0)}, "means[0] must be finite, got nan"),
    ("binary_accuracy", {"variances": (-1.0, 1.0)}, "variances[0] must lie in [0, inf], got -1"),
    ("binary_accuracy", {"threshold": np.nan}, "threshold must not be NaN"),
    ("gaussian_mixture_ridge", {"means": [1.0, 2.0]}, "means must have shape"),
    ("gaussian_mixture_ridge", {"means": [[1.0, 2.0]]}, "two classes or more"),
    ("gaussian_mixture_ridge", {"means": [[np.nan], [1.0]]}, "means must be finite, got nan"),
    ("gaussian_mixture_ridge", {"covariances": -1.0}, "covariances must not be negative, got -1"),
    ("gaussian_mixture_ridge", {"covariances": np.ones(5)}, "got shape (5,)"),
    ("gaussian_mixture_ridge", {"covariances": np.triu(np.ones((3, 3)))}, "must be symmetric"),
    ("gaussian_mixture_ridge", {"covariances": -np.eye(3)}, "must be positive semidefinite"),
    (
        "gaussian_mixture_ridge",
        {"means": np.eye(2), "covariances": [1.0, 2.0]},
        "ambiguous where n_classes == n_features",
    ),
    ("gaussian_mixture_ridge", {"priors": [0.4, 0.4]}, "priors must sum to 1, got 0.8"),
    ("gaussian_mixture_ridge", {"priors": [0.0, 1.0]}, "priors must lie in (0, 1], got 0"),
    ("gaussian_mixture_ridge", {"priors": [0.2, 0.3, 0.5]}, "priors must have shape (2,)"),
    ("gaussian_mixture_ridge", {"noise_matrix": [0.1, 0.2]}, "one row per class"),
    (
        "gaussian_mixture_ridge",
        {"noise_matrix": [[0.9, 0.2], [0.3, 0.7]]},
        "noise_matrix must sum to 1 in each row, got 1.1",
    ),
    ("gaussian_mixture_ridge", {"noise_matrix": [[1.1, -0.1], [0, 1]]}, "noise_matrix must lie"),
    ("gaussian_mixture_ridge", {"alpha": -1.0}, "alpha must lie in [0, inf], got -1"),
    ("gaussian_mixture_ridge", {"alpha": [1.0, 2.0]}, "alpha must be one number"),
    ("gaussian_mixture_ridge", {"alpha": 0, "n_samples": 3}, "n_features >= n_samples"),
    ("gaussian_mixture_ridge", {"alpha": 0, "covariances": [1, 0, 0]}, "not invertible"),
    ("gaussian_mixture_ridge", {"n_samples": 0}, "n_samples must lie in (0, inf), got 0"),
    ("gaussian_mixture_ridge", {"targets": [1.0, 2.0, 3.0]}, "targets must have shape (2,)"),
    ("gaussian_mixture_ridge", {"targets": [1.0, np.inf]}, "targets must be finite, got inf"),
    ("optimal_alpha", {"n_samples": None}, "n_samples must be given with means"),
    ("optimal_alpha", {"alphas": []}, "alphas must hold one penalty or more"),
    ("optimal_alpha", {"threshold": "mean"}, "threshold must be a number or 'best'"),
    ("optimal_alpha", {"targets": np.ones((2, 3))}, "imply no decision rule"),
]


@pytest.mark.parametrize(("name", "changes", "message"), BAD)
def test_bad_values_are_named(name, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(name, **changes)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("lpc", {"alpha": "auto"}),
        ("lpc", {"prior": 0.5j}),
        ("lpc", {"noise_rates": (0.1, None)}),
        ("lpc", {"aspect_ratio": [[1, 2], [3]]}),
        ("gaussian_mixture_ridge", {"means": [["a"], ["b"]]}),
    ],
)
def test_what_is_not_a_number_is_a_type_error(name, changes):
    with pytest.raises(TypeError, match="must be a"):
        call(name, **changes)


def test_errors_leave_the_numpy_state():
    before = np.geterr()
    theory.lpc(1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="alpha"):
        theory.lpc(1.0, -1.0, 1.0)
    assert np.geterr() == before
