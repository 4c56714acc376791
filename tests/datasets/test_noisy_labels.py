import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.utils import check_random_state

from skrmt.datasets import flip_labels, make_noisy_mixture

MATRIX = np.array([[0.5, 0.5, 0.0], [0.15, 0.7, 0.15], [0.1, 0.25, 0.65]])
STANDARD_ERRORS = 4.5


def assert_frequency(hits, probability):
    """A frequency lies within 4.5 binomial standard errors of its probability."""
    se = np.sqrt(probability * (1 - probability) / len(hits))
    assert abs(np.mean(hits) - probability) <= STANDARD_ERRORS * se + 1e-15


# flip_labels


def test_flip_frequencies_follow_the_matrix():
    y = np.random.default_rng(0).integers(3, size=30_000)
    noisy = flip_labels(y, MATRIX, random_state=1)
    for k in range(3):
        for label in range(3):
            assert_frequency(noisy[y == k] == label, MATRIX[k, label])


@pytest.mark.parametrize(
    "labels",
    [(0, 1), (-1, 1), ("no", "yes"), (False, True), np.array([-1, 2], dtype=np.float32)],
)
def test_binary_rates_are_in_sorted_class_order(labels):
    y = np.asarray(labels)[np.random.default_rng(0).integers(2, size=20_000)]
    noisy = flip_labels(y, (0.1, 0.4), random_state=2)
    first, second = np.unique(y)
    assert noisy.dtype == y.dtype
    assert_frequency(noisy[y == first] == second, 0.1)
    assert_frequency(noisy[y == second] == first, 0.4)


def test_scalar_rate_is_spread_over_the_other_classes():
    y = np.repeat(["a", "b", "c", "d"], 8_000)
    noisy = flip_labels(y, 0.3, random_state=3)
    for k in "abcd":
        for label in "abcd":
            assert_frequency(noisy[y == k] == label, 0.7 if k == label else 0.1)


def test_short_forms_are_the_matrix():
    y = np.random.default_rng(0).integers(3, size=500)
    rates = np.array([0.2, 0.0, 0.5])
    matrix = np.array([[0.8, 0.1, 0.1], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])
    noisy = flip_labels(y, matrix, random_state=0)
    assert np.array_equal(noisy, flip_labels(y, rates, random_state=0))
    assert np.array_equal(noisy, flip_labels(y.tolist(), list(rates), random_state=0))
    matrix = np.full((3, 3), 0.2) + 0.4 * np.eye(3)
    assert np.array_equal(flip_labels(y, 0.4, random_state=0), flip_labels(y, matrix, 0))


def test_impossible_flips_never_happen():
    y = np.repeat([0, 1, 2], 2_000)
    matrix = np.array([[0.5, 0.0, 0.5], [0.5, 0.5, 0.0], [0.0, 0.5, 0.5]])
    noisy = flip_labels(y, matrix, random_state=0)
    assert set(noisy[y == 0]) == {0, 2}
    assert set(noisy[y == 1]) == {0, 1}
    assert set(noisy[y == 2]) == {1, 2}


def test_integer_seed_is_deterministic_and_input_is_kept():
    y = np.random.default_rng(0).integers(2, size=300)
    y.setflags(write=False)
    matrix = np.array([[0.8, 0.2], [0.3, 0.7]])
    matrix.setflags(write=False)
    noisy = flip_labels(y, matrix, random_state=7)
    assert np.array_equal(noisy, flip_labels(y, matrix, random_state=7))
    assert not np.array_equal(noisy, flip_labels(y, matrix, random_state=8))
    assert noisy.flags.writeable
    assert not np.shares_memory(noisy, y)
    assert flip_labels(y, 0.0) is not y


def test_global_random_state_is_untouched():
    def state():
        _, keys, position, *gauss = check_random_state(None).get_state()
        return (keys.tobytes(), position, *gauss)

    before = state()
    for random_state in (None, 0):
        flip_labels([0, 1] * 10, 0.2, random_state=random_state)
        make_noisy_mixture(10, 5, random_state=random_state)
    assert state() == before


def test_no_seed_gives_new_numbers():
    assert not np.array_equal(make_noisy_mixture(5, 3)[0], make_noisy_mixture(5, 3)[0])


def test_random_state_instance_advances():
    y = np.repeat([0, 1], 200)
    rng = np.random.RandomState(0)
    assert not np.array_equal(flip_labels(y, 0.3, rng), flip_labels(y, 0.3, rng))


def test_wrong_rows_are_nested_in_the_rate():
    y = np.random.default_rng(0).integers(4, size=2_000)
    few = flip_labels(y, 0.1, random_state=0) != y
    many = flip_labels(y, (0.3, 0.2, 0.1, 0.6), random_state=0) != y
    assert few.any()
    assert many[few].all()


@pytest.mark.parametrize(
    "container",
    [
        pd.Series,
        lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
        lambda y: pd.Series(y).astype("category"),
        lambda y: np.asarray(y, dtype=object),
        lambda y: np.asarray(y)[:, None],
        list,
    ],
)
def test_containers_give_the_array_result(container):
    y = ["no", "yes", "yes", "maybe"] * 50
    expected = flip_labels(np.array(y), MATRIX, random_state=0)
    noisy = flip_labels(container(y), MATRIX, random_state=0)
    assert isinstance(noisy, np.ndarray)
    assert noisy.shape == (200,)
    assert noisy.tolist() == expected.tolist()


def test_nullable_integers_are_labels():
    noisy = flip_labels(pd.Series([0, 1] * 20, dtype="Int64"), 0.2, random_state=0)
    assert noisy.tolist() == flip_labels([0, 1] * 20, 0.2, random_state=0).tolist()


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (0.5, "sum must be below 1"),
        ((0.4, 0.6), "sum must be below 1"),
        ([[0.3, 0.7], [0.3, 0.7]], "sum must be below 1"),
        (1.0, r"in \[0, 1\)"),
        (-0.1, r"in \[0, 1\)"),
        ([0.1, 0.2, 0.3], "one rate for each of the 2 classes"),
        ([[0.9, 0.2], [0.1, 0.9]], "Row 0 of noise_matrix has sum 1.1"),
        ([[1.1, -0.1], [0.1, 0.9]], "negative entry"),
        (np.eye(3), r"matrix of shape \(2, 2\)"),
        (np.nan, "not finite"),
        ("high", "not a number"),
    ],
)
def test_bad_noise_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        flip_labels([0, 1, 1, 0], matrix)


def test_matrix_that_never_observes_a_class_is_refused():
    matrix = np.array([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ValueError, match="never observes class 0"):
        flip_labels([0, 1, 2], matrix)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([1, 1, 1], ValueError, "at least two classes"),
        ([], ValueError, "vector of at least two labels"),
        ([[0, 1], [1, 0]], ValueError, "vector"),
        ([0.1, 0.7, 0.3], ValueError, "Unknown label type"),
        ([0.0, 1.0, np.nan], ValueError, "missing values"),
        (["a", None, "b"], ValueError, "missing values"),
        (pd.Series([1, None, 2], dtype="Int64"), ValueError, "missing values"),
        (np.array([1, "a"], dtype=object), TypeError, "cannot be sorted"),
    ],
)
def test_bad_labels_are_refused(y, error, message):
    with pytest.raises(error, match=message):
        flip_labels(y, 0.1)


# make_noisy_mixture


def test_returns_follow_scikit_learn():
    X, y, y_clean, _ = make_noisy_mixture(random_state=0)
    reference_X, reference_y = make_blobs(random_state=0)
    assert X.shape == (100, 20)
    assert X.dtype == reference_X.dtype
    assert y.shape == y_clean.shape == (100,)
    assert y.dtype == y_clean.dtype == reference_y.dtype
    *_, means = make_noisy_mixture(random_state=0)
    assert means.shape == (2, 20)


@pytest.mark.parametrize("n_classes", [2, 3, 7])
def test_means_are_a_regular_simplex(n_classes):
    *_, means = make_noisy_mixture(5, 12, n_classes=n_classes, mean_norm=1.7, random_state=0)
    gram = np.full((n_classes, n_classes), -(1.7**2) / (n_classes - 1))
    np.fill_diagonal(gram, 1.7**2)
    np.testing.assert_allclose(means @ means.T, gram, atol=1e-12)
    np.testing.assert_allclose(means.sum(axis=0), 0, atol=1e-12)


def test_means_need_no_more_features_than_dimensions():
    *_, means = make_noisy_mixture(5, 3, n_classes=4, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 2.0)
    *_, means = make_noisy_mixture(5, 1, random_state=0)
    np.testing.assert_allclose(np.abs(means), 2.0)


def test_mean_directions_are_isotropic():
    directions = np.array(
        [make_noisy_mixture(1, 3, mean_norm=1.0, random_state=seed)[3][1] for seed in range(400)]
    )
    # A coordinate of a uniform unit vector has variance 1/3, its square variance 4/45.
    assert np.all(np.abs(directions.mean(axis=0)) <= STANDARD_ERRORS * np.sqrt(1 / 3 / 400))
    assert np.all(
        np.abs((directions**2).mean(axis=0) - 1 / 3) <= STANDARD_ERRORS * np.sqrt(4 / 45 / 400)
    )


def test_prior_and_noise_frequencies():
    prior = np.array([0.2, 0.3, 0.5])
    _, y, y_clean, _ = make_noisy_mixture(
        20_000, 2, n_classes=3, class_prior=prior, noise_rates=MATRIX, random_state=0
    )
    for k in range(3):
        assert_frequency(y_clean == k, prior[k])
        for label in range(3):
            assert_frequency(y[y_clean == k] == label, MATRIX[k, label])


AR = 0.8 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))
WISHART = AR @ np.diag([1.0, 4.0, 0.5, 2.0]) @ AR


@pytest.mark.parametrize(
    ("covariance", "expected"),
    [
        ("isotropic", [np.eye(4)] * 2),
        (0.8, [AR] * 2),
        (-0.8, [AR * (-1.0) ** np.subtract.outer(np.arange(4), np.arange(4))] * 2),
        (WISHART, [WISHART] * 2),
        (np.stack([AR, WISHART]), [AR, WISHART]),
        (np.diag([1.0, 0.0, 2.0, 0.0]), [np.diag([1.0, 0.0, 2.0, 0.0])] * 2),
    ],
)
def test_moments_of_each_class(covariance, expected):
    X, _, y, means = make_noisy_mixture(40_000, 4, covariance=covariance, shift=3.0, random_state=0)
    for k in range(2):
        rows, C = X[y == k], expected[k]
        spread = np.sqrt(np.diag(C))
        assert np.all(
            np.abs(rows.mean(axis=0) - means[k])
            <= STANDARD_ERRORS * spread / np.sqrt(len(rows)) + 1e-12
        )
        # Gaussian samples: var(C_ij) = (C_ii C_jj + C_ij^2) / n.
        se = np.sqrt((np.outer(spread**2, spread**2) + C**2) / len(rows))
        assert np.all(np.abs(np.cov(rows.T) - C) <= STANDARD_ERRORS * se + 1e-12)


def test_shift_is_the_centre_of_the_means():
    *_, means = make_noisy_mixture(5, 6, shift=2.5, random_state=0)
    np.testing.assert_allclose(np.linalg.norm(means.mean(axis=0)), 2.5)
    shift = np.arange(6.0)
    *_, means = make_noisy_mixture(5, 6, shift=shift, random_state=0)
    np.testing.assert_allclose(means.mean(axis=0), shift, atol=1e-12)


def test_features_do_not_depend_on_the_noise():
    X, y, y_clean, _ = make_noisy_mixture(200, 5, noise_rates=0.1, random_state=0)
    X2, y2, y2_clean, _ = make_noisy_mixture(200, 5, noise_rates=(0.4, 0.2), random_state=0)
    assert np.array_equal(X, X2)
    assert np.array_equal(y_clean, y2_clean)
    assert (y2 != y2_clean)[y != y_clean].all()
    _, y, y_clean, _ = make_noisy_mixture(200, 5, noise_rates=None, random_state=0)
    assert np.array_equal(y, y_clean)


def test_integer_seed_is_deterministic():
    first = make_noisy_mixture(50, 5, n_classes=3, covariance=0.5, random_state=3)
    second = make_noisy_mixture(50, 5, n_classes=3, covariance=0.5, random_state=3)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_toeplitz_covariance_needs_no_square_matrix():
    rho, p = 0.9, 200_000
    X, *_ = make_noisy_mixture(3, p, covariance=rho, mean_norm=0, random_state=0)
    # Bartlett: p var = sum_l g(l)^2 + g(l+1) g(l-1), with g(l) = rho^|l|.
    se = np.sqrt(((1 + 3 * rho**2) / (1 - rho**2) + rho**2) / p)
    for row in X:
        assert abs(np.mean(row[1:] * row[:-1]) - rho) <= STANDARD_ERRORS * se


def test_parameters_are_not_modified():
    prior, C, shift = np.array([0.3, 0.7]), np.eye(4), np.zeros(4)
    for array in (prior, C, shift):
        array.setflags(write=False)
    make_noisy_mixture(20, 4, class_prior=prior, covariance=C, shift=shift, random_state=0)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_samples": 0}, ValueError, "n_samples=0"),
        ({"n_samples": 10.5}, TypeError, "n_samples=10.5"),
        ({"n_features": True}, TypeError, "n_features=True"),
        ({"n_classes": 1}, ValueError, "n_classes=1"),
        ({"n_classes": 9}, ValueError, "at least 8 features"),
        ({"mean_norm": -1}, ValueError, "mean_norm=-1"),
        ({"mean_norm": np.inf}, ValueError, "mean_norm=inf"),
        ({"mean_norm": "big"}, TypeError, "mean_norm='big'"),
        ({"class_prior": [0.5, 0.6]}, ValueError, "sum 1.1"),
        ({"class_prior": [-0.5, 1.5]}, ValueError, "non-negative"),
        ({"class_prior": [0.2, 0.3, 0.5]}, ValueError, "each of the 2 classes"),
        ({"noise_rates": 0.5}, ValueError, "sum must be below 1"),
        ({"noise_rates": [[0.9, 0.2], [0.2, 0.8]]}, ValueError, "Row 0 of noise_rates"),
        ({"covariance": "toeplitz"}, ValueError, "'isotropic'"),
        ({"covariance": 1.0}, ValueError, "strictly between -1 and 1"),
        ({"covariance": None}, TypeError, "covariance=None"),
        ({"covariance": np.eye(4)}, ValueError, r"\(4, 4\)"),
        ({"covariance": np.triu(np.ones((5, 5)))}, ValueError, "not symmetric"),
        ({"covariance": -np.eye(5)}, ValueError, "negative eigenvalue"),
        ({"shift": [1.0, 2.0]}, ValueError, "each of the 5 features"),
        ({"shift": "left"}, TypeError, "shift='left'"),
    ],
)
def test_bad_parameters_are_refused(parameters, error, message):
    with pytest.raises(error, match=message):
        make_noisy_mixture(**{"n_samples": 10, "n_features": 5, **parameters})
