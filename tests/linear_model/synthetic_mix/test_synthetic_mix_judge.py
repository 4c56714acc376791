"""Labels by a judge: how often they are wrong, and what a fit makes of them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier
from skrmt.utils._intervals import wilson_interval

P, GAP = 10, 1.2
FLIPS = np.array([0.05, 0.3])


def draw(n, seed, n_classes=2):
    """Return rows and right labels."""
    rng = np.random.default_rng(seed)
    y = rng.integers(n_classes, size=n)
    return GAP * np.eye(P)[y] + rng.standard_normal((n, P)), y, rng


def judged(y, rng, rates=FLIPS):
    """Return labels that are wrong at a rate of their class."""
    return np.where(rng.random(len(y)) < rates[y], 1 - y, y)


def fit(n=120, m=400, seed=0, **options):
    """Return a fit to gold labels and to those of a judge, with the arguments."""
    X, y, rng = draw(n, seed)
    Xs, ys, _ = draw(m, seed + 1000)
    j = judged(y, rng)
    made = {"X_synthetic": Xs, "y_synthetic": judged(ys, rng)}
    return SyntheticMixClassifier(**options).fit(X, y, **made, y_judge=j), X, y, j, made


def test_confusion_and_intervals_are_those_of_counting():
    model, _, y, j, _ = fit()
    table = np.array([[np.mean(j[y == k] == other) for other in (0, 1)] for k in (0, 1)])
    np.testing.assert_allclose(model.judge_confusion_[0], table, rtol=1e-12)
    np.testing.assert_allclose(model.noise_rates_[0], 1.0 - np.diag(table), rtol=1e-12)
    for k in (0, 1):
        expected = 1.0 - wilson_interval(table[k, k], (y == k).sum())[::-1]
        np.testing.assert_allclose(model.noise_rates_interval_[0, k], expected, rtol=1e-9)
    assert model.noise_rate_ == pytest.approx(np.mean(j != y), rel=1e-12)
    low, high = model.noise_rate_interval_
    assert low < model.noise_rate_ < high
    assert model.source_quality_[0].noise_rate == model.noise_rate_


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_intervals_of_error_rates_hold_the_truth():
    inside = []
    for seed in range(400):
        _, y, rng = draw(100, seed)
        X = rng.standard_normal((100, 1))
        made = {"X_synthetic": [[3.0], [5.0], [4.0], [6.0]], "y_synthetic": [0, 1, 0, 1]}
        model = SyntheticMixClassifier([1.0], synthetic_weight=0.5)
        model.fit(X, y, **made, y_judge=judged(y, rng))
        low, high = model.noise_rates_interval_[0].T
        inside.append((low <= FLIPS) & (high >= FLIPS))
    # 4 standard errors of .95 over 800 independent intervals, and what counts leave: Wilson's
    # interval of a share of .05 of 50 rows covers .92 to .97.
    assert np.mean(inside) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 800) - 0.01


@pytest.mark.parametrize("kind", ["NaN", "None", "masked", "pandas"])
def test_rows_without_a_label_by_the_judge_are_not_counted(kind):
    model, X, y, j, made = fit()
    gone = np.arange(len(y)) % 3 == 0
    labels = {
        "NaN": np.where(gone, np.nan, j),
        "None": np.where(gone, None, j.astype(object)),
        "masked": np.ma.masked_array(j, gone),
    }
    if kind == "pandas":
        pd = pytest.importorskip("pandas")
        labels["pandas"] = pd.Series(j, dtype="Int64").mask(gone)
    other = SyntheticMixClassifier().fit(X, y, **made, y_judge=labels[kind])
    assert other.noise_rate_ == pytest.approx(np.mean((j != y)[~gone]), rel=1e-12)
    np.testing.assert_array_equal(other.coef_, model.coef_)


def test_strings_and_stacked_sources_each_with_a_judge():
    X, y, rng = draw(60, 0)
    Xs, ys, _ = draw(200, 1)
    names = np.array(["cat", "dog"])
    source = np.repeat([0, 1, 2], [60, 100, 100])
    rows, labels = np.concatenate([X, Xs]), names[np.concatenate([y, ys])]
    judges = np.full((260, 2), None, dtype=object)
    judges[:60, 0] = names[judged(y, rng)]
    judges[:60, 1] = names[1 - y]
    model = SyntheticMixClassifier(synthetic_weight=[0.5, 0.0])
    model.fit(rows, labels, sample_source=source, y_judge=judges)
    assert model.noise_rates_.shape == (2, 2) and model.judge_confusion_.shape == (2, 2, 2)
    np.testing.assert_array_equal(model.noise_rates_[1], 1.0)
    assert [q.noise_rate for q in model.source_quality_][1] == 1.0
    one, two = (q.noise_rate for q in model.source_quality_)
    assert model.noise_rate_ == pytest.approx((one + two) / 2)


def test_weights_are_repetitions():
    _, X, y, j, made = fit(n=40)
    times = np.random.default_rng(3).integers(1, 4, len(y))
    one = SyntheticMixClassifier().fit(X, y, 1.0 * times, **made, y_judge=j)
    with pytest.warns(TheoryWarning, match="repeat"):
        two = SyntheticMixClassifier().fit(
            *(np.repeat(a, times, axis=0) for a in (X, y)), **made, y_judge=np.repeat(j, times)
        )
    for name in ("judge_confusion_", "noise_rates_interval_", "noise_rate_interval_"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9)


def test_without_a_judge_error_rates_are_nan():
    X, y, _ = draw(40, 0)
    model = SyntheticMixClassifier().fit(X, y, X_synthetic=X + 5.0, y_synthetic=y)
    assert np.isnan(model.noise_rates_).all() and model.noise_rates_.shape == (1, 2)
    np.testing.assert_array_equal(model.noise_rates_interval_[0], [[0, 1], [0, 1]])
    assert SyntheticMixClassifier().fit(X, y).noise_rates_.shape == (0, 2)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        (np.zeros(39), "y_judge has shape"),
        (np.zeros((40, 2)), "y_judge has shape"),
        (np.full(40, 7), "y_judge has the label 7"),
        (np.full(40, "a"), "y_judge has the label 'a'"),
    ],
)
def test_bad_labels_by_the_judge_are_refused(labels, match):
    X, y, _ = draw(40, 0)
    with pytest.raises(ValueError, match=match):
        SyntheticMixClassifier().fit(X, y, X_synthetic=X, y_synthetic=y, y_judge=labels)
    with pytest.raises(ValueError, match="there are none"):
        SyntheticMixClassifier().fit(X, y, y_judge=y)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_weights_inside_are_taken_only_if_surely_better():
    # Noise: the best of 200 points beats both ends by chance.
    inside = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, Xs = rng.standard_normal((30, 5)), rng.standard_normal((100, 5))
        model = SyntheticMixClassifier()
        model.fit(X, np.arange(30) % 2, X_synthetic=Xs, y_synthetic=rng.integers(2, size=100))
        inside += 0 < model.synthetic_weight_[0] < 1
    # A sixth would pass one standard error in a single comparison, and eight are correlated.
    assert inside <= 12


@pytest.mark.parametrize("n", [60, 200])
def test_labels_by_another_classifier_have_no_silent_share_of_errors(n):
    errors = []
    for seed in range(6):
        X, y, _ = draw(n, seed)
        Xs, ys, _ = draw(400, seed + 50)
        teacher, labels, _ = draw(30, seed + 500)
        near = ((Xs[:, None] - teacher) ** 2).sum(-1).argmin(1)
        made = {"X_synthetic": Xs, "y_synthetic": labels[near]}
        model = SyntheticMixClassifier(0.1, synthetic_weight=0.5).fit(X, y, **made)
        truth = np.mean(labels[near] != ys)
        low, high = model.noise_rate_interval_
        assert low <= truth <= high
        quality = model.source_quality_[0]
        if np.isnan(quality.noise_rate):
            with pytest.warns(TheoryWarning, match="not identified"):
                assert np.isnan(model.noise_rate_)
        else:
            errors.append(abs(model.noise_rate_ - truth))
    assert not errors or max(errors) <= 0.08


def test_clean_labels_behind_a_verifier_are_not_called_wrong():
    X, y, _ = draw(150, 0)
    Xs, ys, _ = draw(600, 1)
    other, labels, _ = draw(100, 2)
    means = np.stack([other[labels == k].mean(0) for k in (0, 1)])
    scores = (Xs - means.mean(0)) @ (means[1] - means[0])
    keep = (scores > 0) == ys
    model = SyntheticMixClassifier(pruning="mask")
    model.fit(X, y, X_synthetic=Xs, y_synthetic=ys, keep=keep)
    assert model.noise_rate_interval_[0] == 0.0
    assert np.isnan(model.source_quality_[0].noise_rate) or model.noise_rate_ < 0.08
    assert np.isnan(model.keep_rates_).all()


def corrected(table, sizes, plain):
    """Return targets of labels whose mean over those of a class is that of the class, scaled."""
    contrast = (np.trace(table) - 1) / (len(table) - 1)
    uniform = contrast * np.eye(len(table)) + (1 - contrast) / len(table)
    share = (table * (1 - table)).sum(1) @ (1 / sizes) / ((table - uniform) ** 2).sum()
    table = uniform + max(1 - share, 0) * (table - uniform)
    return contrast * np.linalg.inv(table) @ plain, contrast, table


@pytest.mark.parametrize("n_classes", [2, 3])
def test_targets_of_the_judge_are_corrected_by_its_confusion_matrix(n_classes):
    X, y, rng = draw(150, 0, n_classes)
    Xs, ys, _ = draw(300, 1, n_classes)
    # Every fourth row of the last class is taken for the first.
    j, js = (np.where((k == n_classes - 1) & (rng.random(len(k)) < 0.4), 0, k) for k in (y, ys))
    model = SyntheticMixClassifier(0.2, synthetic_weight=0.5)
    model.fit(X, y, X_synthetic=Xs, y_synthetic=js, y_judge=j)
    plain = np.array([[-1.0], [1.0]]) if n_classes == 2 else 2 * np.eye(n_classes) - 1
    targets, contrast, table = corrected(model.judge_confusion_[0], np.bincount(y), plain)
    np.testing.assert_allclose(table @ targets, contrast * plain, atol=1e-12)
    ridge = Ridge(alpha=0.2 * 450).fit(
        np.concatenate([X, Xs]),
        np.concatenate([plain[y], targets[js]]),
        np.repeat([1, 0.5], [150, 300]),
    )
    np.testing.assert_allclose(model.coef_, np.atleast_2d(ridge.coef_), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(model.intercept_, ridge.intercept_, rtol=1e-8, atol=1e-12)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_a_judge_that_prefers_a_class_moves_no_threshold():
    rates, gains, claims = np.array([0.02, 0.45]), [], []
    for seed in range(8):
        X, y, rng = draw(150, seed)
        Xs, ys, _ = draw(3000, seed + 100)
        test = draw(4000, seed + 200)[:2]
        made = {"X_synthetic": Xs, "y_synthetic": judged(ys, rng, rates)}
        plain = SyntheticMixClassifier().fit(X, y, **made)
        shown = SyntheticMixClassifier().fit(X, y, **made, y_judge=judged(y, rng, rates))
        gains.append(shown.score(*test) - plain.score(*test))
        claims.append(shown.theoretical_accuracy_ - shown.score(*test))
    assert np.mean(gains) > 2 * np.std(gains) / np.sqrt(8)
    assert abs(np.mean(claims)) < 4 * np.std(claims) / np.sqrt(8) + 0.01


def test_errors_on_all_classes_alike_change_no_fit():
    X, y, rng = draw(200, 0)
    Xs, ys, _ = draw(300, 1)
    flips = np.array([0.3, 0.3])
    made = {"X_synthetic": Xs, "y_synthetic": judged(ys, rng, flips)}
    j = y.copy()
    for k in (0, 1):
        own = np.flatnonzero(y == k)
        j[own[: round(0.3 * len(own))]] = 1 - k
    one, two = (SyntheticMixClassifier().fit(X, y, **made, y_judge=z) for z in (None, j))
    np.testing.assert_array_equal(one.coef_, two.coef_)
