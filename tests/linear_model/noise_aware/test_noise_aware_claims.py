"""What is claimed where classes overlap, labels are right, or rows are not like the others."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import RidgeClassifierCV

from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
PENALTIES = np.logspace(-4, 3, 29)


def gaussian(rng, n, distance=1.5):
    """Two Gaussian classes."""
    y = rng.integers(0, 2, n)
    X = rng.standard_normal((n, 8))
    X[:, 0] += distance * y
    return X, y


def logistic(rng, n):
    """A weak logistic law of Gaussian features."""
    X = rng.standard_normal((n, 8))
    return X, (rng.random(n) < 1 / (1 + np.exp(-1.2 * X[:, 0] - 0.5 * X[:, 1]))).astype(int)


def survival(rng, n):
    """Survival by sex, class and age: two clouds that are not the classes."""
    sex, age, place = rng.random(n) < 0.35, rng.standard_normal(n), rng.integers(1, 4, n)
    odds = -1.2 + 2.5 * sex - 0.2 * age - 0.5 * (place - 2)
    X = np.column_stack([sex, age, place]).astype(float)
    return X, (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int)


def heavy(rng, n):
    """Student's t of two degrees."""
    y = rng.integers(0, 2, n)
    return rng.standard_t(2, (n, 8)) + 0.8 * y[:, None] * np.ones(8), y


def ordered(rng, n):
    """Four ordered classes that overlap."""
    X = rng.standard_normal((n, 6))
    score = X[:, 0] + 0.7 * rng.standard_normal(n)
    return X, np.digitize(score, [-0.8, 0.0, 0.8])


def judged(make, draws, flips=(0.0, 0.0), **parameters):
    """Return bias, coverage, rate of wrong labels and width of some fits to 300 rows."""
    found = []
    for k in range(draws):
        rng = np.random.default_rng(k)
        (X, y), (X_test, y_test) = make(rng, 300), make(rng, 6000)
        wrong = rng.random(300) < np.where(y == 1, flips[1], flips[0])
        noisy = np.where(wrong, 1 - y, y)
        model = NoiseAwareLinearClassifier(**parameters).fit(X, noisy)
        truth, (low, high) = model.score(X_test, y_test), model.theoretical_accuracy_interval_
        rate = model.noise_rates_ @ model.class_prior_
        found.append([model.theoretical_accuracy_ - truth, low <= truth <= high, rate, high - low])
        if not parameters:
            ends = model.accuracy_if_clean_, model.accuracy_if_noisy_
            masses = 1 - model.noise_probability_, model.noise_probability_
            for end, mass in zip(ends, masses, strict=True):
                assert mass <= 0.05 or low <= end <= high
    return np.array(found).T


@pytest.mark.parametrize(
    ("make", "draws"), [(gaussian, 20), (logistic, 20), (survival, 20), (heavy, 16), (ordered, 12)]
)
def test_right_labels_of_overlapping_classes(make, draws):
    """Mean error .03 (.06 where binary columns make clouds) plus 4 standard errors; covered."""
    bias, covered, rate, width = judged(make, draws)
    allowed = 0.06 if make is survival else 0.03
    assert abs(bias.mean()) <= allowed + 4.0 * bias.std(ddof=1) / np.sqrt(draws)
    assert covered.mean() >= 0.93 - 2.0 * np.sqrt(0.93 * 0.07 / draws)
    if make is not survival:
        assert rate.mean() <= 0.03 + 4.0 * rate.std(ddof=1) / np.sqrt(draws)
    assert width.mean() <= 0.3


@pytest.mark.parametrize("flips", [(0.1, 0.1), (0.1, 0.4), (0.3, 0.3)])
def test_wrong_labels(flips):
    def separated(rng, n):
        return gaussian(rng, n, 3.0)

    _, covered, _, _ = judged(separated, 20, flips)
    assert covered.mean() >= 0.93 - 2.0 * np.sqrt(0.93 * 0.07 / 20)
    known, covered, _, _ = judged(separated, 20, flips, noise_rates=flips)
    assert abs(known.mean()) <= 0.015 + 4.0 * known.std(ddof=1) / np.sqrt(20)
    assert covered.mean() >= 0.92 - 2.0 * np.sqrt(0.92 * 0.08 / 20)


@pytest.mark.parametrize("factor", [30.0, 1000.0])
@pytest.mark.parametrize("what", ["row", "cell"])
def test_one_row_or_cell_far_out(what, factor):
    """Truth covered in all of 12 draws, .02 of accuracy lost at most, few right labels listed."""
    gaps, listed = [], []
    for k in range(12):
        rng = np.random.default_rng(k)
        y = np.arange(4200) % 2
        X = rng.standard_normal((4200, 20)) + 0.5 * rng.standard_normal((2, 20))[y]
        ridge = RidgeClassifierCV(200 * PENALTIES).fit(X[1:200], y[1:200])
        X[0, slice(None) if what == "row" else k] *= factor
        model = NoiseAwareLinearClassifier().fit(X[:200], y[:200])
        truth, (low, high) = model.score(X[200:], y[200:]), model.theoretical_accuracy_interval_
        assert low - 0.01 <= truth <= high + 0.01
        gaps.append(truth - ridge.score(X[200:], y[200:]))
        listed.append(len(model.find_label_issues().indices) / 200)
    assert np.mean(gaps) >= -0.02 and np.mean(listed) <= 0.05


def test_rare_classes_that_one_hot_columns_tell_apart_do_not_vanish(rng):
    counts = np.r_[[100] * 5, [120] * 5, [60] * 5, [14] * 5, [3] * 5]
    sub = np.repeat(np.arange(25), counts)
    y = np.array(list("ABCDE"))[sub // 5]
    X = np.column_stack([np.eye(25)[sub][:, 1:], rng.standard_normal((len(y), 6))])
    X = (X - X.mean(0)) / X.std(0)
    model = NoiseAwareLinearClassifier().fit(X, y)
    predicted = model.predict(X)
    assert all((predicted[y == c] == c).all() for c in "ABCDE")
    assert model.noise_rates_.max() < 0.01 and len(model.find_label_issues().indices) == 0


def test_rows_that_look_wrong_are_wrong_as_often():
    """Known rates: of rows given a probability above .5, as many are wrong, within .05 + 2 s.e."""
    said, found = [], []
    for k in range(20):
        rng = np.random.default_rng(k)
        X, y = gaussian(rng, 300, 2.5)
        wrong = rng.random(300) < np.where(y == 1, 0.3, 0.1)
        model = NoiseAwareLinearClassifier(noise_rates=(0.1, 0.3)).fit(X, np.where(wrong, 1 - y, y))
        said.append(1.0 - model.label_quality_)
        found.append(wrong)
    said, found = np.concatenate(said), np.concatenate(found)
    for low in (0.0, 0.1, 0.3, 0.5, 0.7, 0.9):
        rows = (said >= low) & (said < low + (0.1 if low in (0.0, 0.9) else 0.2) + 1e-9)
        if rows.sum() >= 100:
            error = np.sqrt(max(said[rows].mean() * (1 - said[rows].mean()), 1e-3) / rows.sum())
            assert abs(said[rows].mean() - found[rows].mean()) <= 0.05 + 2.0 * error


def test_ten_digits_are_right():
    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order], y[order]
    model = NoiseAwareLinearClassifier().fit(X[:900], y[:900])
    truth = model.score(X[900:], y[900:])
    assert abs(model.theoretical_accuracy_ - truth) <= 0.03
    assert model.noise_rates_.max() <= 0.02
    assert model.regime_ in {"detected", "ambiguous"}


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_many_classes_warn_what_to_use_instead(rng):
    y = np.arange(240) % 60
    X = rng.standard_normal((240, 10)) + 3.0 * rng.standard_normal((60, 10))[y]
    with pytest.warns(UserWarning, match="RidgeCV"):
        model = NoiseAwareLinearClassifier().fit(X, y)
    assert np.isfinite(model.theoretical_accuracy_)
    with pytest.warns(UserWarning, match="RidgeCV"):
        NoiseAwareLinearClassifier().fit(X[:30], np.arange(30))


def test_constant_columns_change_no_number(rng):
    X, y = gaussian(rng, 90)
    one = NoiseAwareLinearClassifier().fit(X, y)
    two = NoiseAwareLinearClassifier().fit(np.column_stack([X, np.zeros((90, 200))]), y)
    for name in ("theoretical_accuracy_", "model_accuracy_", "bayes_accuracy_", "snr_", "alpha_"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-9), name
    expected = one.forecast(n_samples=500).score
    np.testing.assert_allclose(two.forecast(n_samples=500).score, expected, rtol=1e-9)
