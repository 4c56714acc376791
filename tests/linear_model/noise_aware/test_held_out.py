"""Held-out scores against refits, and folds that follow from the rows' content."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skrmt.linalg import ridge_basis
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.linear_model.noise_aware import _classifier
from skrmt.linear_model.noise_aware._held_out import content_folds, held_out
from skrmt.linear_model.noise_aware._reading import read_rows
from skrmt.model_selection import clean_accuracy
from skrmt.model_selection._clean_labels import read_labels
from skrmt.utils._rows import content_keys

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def problem(rng, n=60, p=12, n_classes=2):
    """Return data, targets of -1 and +1 or one-hot ones, and codes."""
    y = np.arange(n) % n_classes
    X = rng.standard_normal((n, p)) + rng.standard_normal((n_classes, p))[y] + 0.5
    return X, (2.0 * y - 1.0 if n_classes == 2 else np.eye(n_classes)[y]), y


def refit(X, targets, weights, alpha, rows):
    """Return the scores of rows by a ridge fit without them, from the intercept of all rows."""
    kept = np.ones(len(X), dtype=bool)
    kept[rows] = False
    ridge = Ridge(alpha=weights.sum() * alpha, tol=1e-12)
    ridge.fit(X[kept], targets[kept], sample_weight=weights[kept])
    mean = np.average(targets, axis=0, weights=weights)
    part = np.average(targets[kept], axis=0, weights=weights[kept])
    return ridge.predict(X[rows]) + mean - part


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alphas", [[1e-6], [0.3], [1e-6, 1e-2, 0.3, 3.0]])
def test_scores_are_those_of_refits_at_the_penalty_of_the_fold(rng, n_classes, alphas):
    X, targets, y = problem(rng, n_classes=n_classes)
    weights = rng.uniform(0.5, 2.0, len(y))
    folds = content_folds(content_keys(X, np.ones(12, dtype=bool)), y)
    fit = held_out(ridge_basis(X, weights), targets, np.array(alphas), folds)
    bound = targets.min() - 1.0, targets.max() + 1.0
    each = np.array(
        [[refit(X, targets, weights, alpha, [i])[0] for alpha in alphas] for i in range(len(y))]
    )
    shift = np.average(targets, axis=0, weights=weights)
    loo = np.array(
        [
            each[i]
            - shift
            + np.average(np.delete(targets, i, 0), axis=0, weights=np.delete(weights, i))
            for i in range(len(y))
        ]
    )
    error = (np.clip(loo, *bound) - np.expand_dims(targets, 1)) ** 2
    error = weights[:, None] * error.reshape(len(y), len(alphas), -1).sum(2)
    for i in range(len(y)):
        chosen = np.argmin(error[folds != folds[i]].sum(0))
        np.testing.assert_allclose(fit.scores[i], each[i, chosen], rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(fit.errors, error.sum(0), rtol=1e-8)
    assert fit.alpha_index == np.argmin(error.sum(0))


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("alpha", [1e-6, 0.05])
def test_scores_of_groups_are_those_of_refits_without_the_group(rng, n_classes, alpha):
    X, targets, y = problem(rng, n_classes=n_classes)
    group, weights = np.arange(60) // 4, rng.uniform(0.5, 2.0, 60)
    folds = content_folds(content_keys(X, np.ones(12, dtype=bool)), y, group)
    fit = held_out(ridge_basis(X, weights), targets, np.array([alpha]), folds, group)
    for g in range(15):
        rows = np.flatnonzero(group == g)
        expected = refit(X, targets, weights, alpha, rows)
        np.testing.assert_allclose(fit.scores[rows], expected, rtol=1e-8, atol=1e-9)
        assert len(set(folds[rows])) == 1


@pytest.mark.parametrize("n_classes", [2, 3])
def test_scores_at_an_infinite_penalty_are_those_of_means(rng, n_classes):
    """The limit of `alpha` times the slopes: the mean of targets times data, without the row."""
    X, targets, y = problem(rng, n_classes=n_classes)
    weights = rng.uniform(0.5, 2.0, len(y))
    folds = content_folds(content_keys(X, np.ones(12, dtype=bool)), y)
    fit = held_out(ridge_basis(X, weights), targets, np.array([np.inf]), folds)
    mean = np.average(targets, axis=0, weights=weights)
    total = weights.sum()
    for i in range(len(y)):
        kept = np.arange(len(y)) != i
        share = weights[kept] / weights[kept].sum()
        centre, level = share @ X[kept], share @ targets[kept]
        slopes = (weights[kept, None] / total * (X[kept] - centre)).T @ (targets[kept] - level)
        np.testing.assert_allclose(
            fit.scores[i] - mean, (X[i] - centre) @ slopes, rtol=1e-8, atol=1e-9
        )


def test_one_unit_of_a_counted_row_goes_out(rng):
    """Parts: rows stand for several people each, of whom one is left out."""
    X, targets, y = problem(rng)
    counts = rng.integers(1, 5, len(y)).astype(float)
    folds = content_folds(content_keys(X, np.ones(12, dtype=bool)), y)
    fit = held_out(ridge_basis(X, counts, part=1.0 / counts), targets, np.array([0.05]), folds)
    people = np.repeat(np.arange(len(y)), counts.astype(int))
    ones = np.ones(len(people))
    for i in range(len(y)):
        one = [np.flatnonzero(people == i)[0]]
        expected = refit(X[people], targets[people], ones, 0.05, one)
        np.testing.assert_allclose(fit.scores[[i]], expected, rtol=1e-8, atol=1e-9)


def test_scores_of_groups_at_an_infinite_penalty_are_those_of_means(rng):
    """``(x - centre) . sum_j w_j (x_j - centre) t_j`` over the rows that stay, of share w."""
    X, targets, y = problem(rng)
    group = np.arange(60) // 4
    folds = content_folds(content_keys(X, np.ones(12, dtype=bool)), y, group)
    fit = held_out(ridge_basis(X), targets, np.array([np.inf]), folds, group)
    for i in range(60):
        kept = group != group[i]
        centre = X[kept].mean(0)
        slopes = (X[kept] - centre).T @ targets[kept] / 60
        expected = (X[i] - centre) @ slopes + targets.mean()
        np.testing.assert_allclose(fit.scores[i], expected, rtol=1e-8, atol=1e-9)


def test_choosing_without_the_fold_is_worth_nested_folds(rng):
    """Mean over draws of the accuracy of held-out signs: within .003 of nested 10-fold refits."""
    gaps, alphas = [], np.logspace(-4, 3, 15)
    for _ in range(60):
        X = rng.standard_normal((100, 30))
        y = (X[:, 0] + 1.5 * rng.standard_normal(100) > 0).astype(int)
        targets = 2.0 * y - 1.0
        folds = content_folds(content_keys(X, np.ones(30, dtype=bool)), y)
        ours = held_out(ridge_basis(X), targets, alphas, folds).scores
        nested = np.empty(100)
        for k in range(10):
            kept = folds != k
            basis = ridge_basis(X[kept])
            inner = held_out(basis, targets[kept], alphas, folds[kept])
            ridge = Ridge(alpha=kept.sum() * alphas[inner.alpha_index])
            nested[~kept] = ridge.fit(X[kept], targets[kept]).predict(X[~kept])
        gaps.append(np.mean((ours > 0) == y) - np.mean((nested > 0) == y))
    assert abs(np.mean(gaps)) <= 0.003 + 4.0 * np.std(gaps, ddof=1) / np.sqrt(60)


def test_a_penalty_chosen_with_the_row_claims_more(rng):
    """What the folds are for: on noise the best of many penalties looks better than chance."""
    plain, ours, alphas = [], [], np.logspace(-4, 3, 15)
    for _ in range(60):
        X, y = rng.standard_normal((40, 60)), rng.permutation(np.arange(40) % 2)
        folds = content_folds(content_keys(X, np.ones(60, dtype=bool)), y)
        targets, basis = 2.0 * y - 1.0, ridge_basis(X)
        hits = [
            np.mean((held_out(basis, targets, alphas[[k]], folds).scores > 0) == y)
            for k in range(15)
        ]
        plain.append(max(hits))
        ours.append(np.mean((held_out(basis, targets, alphas, folds).scores > 0) == y))
    assert np.mean(ours) <= 0.5 + 4.0 * np.std(ours, ddof=1) / np.sqrt(60)
    assert np.mean(plain) > np.mean(ours)


@pytest.mark.parametrize("kind", ["order", "twice", "zeros", "sparse", "single", "weights"])
def test_what_rows_hold_decides_the_folds(rng, kind):
    X, _, y = problem(rng, 120, 8)
    model = NoiseAwareLinearClassifier().fit(X, y)
    rows, options = np.arange(120), {}
    if kind == "order":
        rows = rng.permutation(120)
    elif kind == "twice":
        rows = np.repeat(rows, 2)
    data = X[rows]
    if kind == "zeros":
        data = np.column_stack([np.full((120, 3), 7.0), X, np.zeros((120, 50))])
    elif kind == "sparse":
        data = sparse.csr_matrix(X)
    elif kind == "single":
        options = {"groups": np.arange(120)}
    elif kind == "weights":
        options = {"sample_weight": np.full(120, 0.3)}
    other = NoiseAwareLinearClassifier().fit(data, y[rows], **options)
    for name in ("theoretical_accuracy_", "observed_accuracy_", "model_accuracy_", "alpha_"):
        assert getattr(other, name) == pytest.approx(getattr(model, name), rel=1e-8), name
    np.testing.assert_allclose(
        other.held_out_scores_, model.held_out_scores_[rows], rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("n_classes", [2, 3])
def test_groups_of_near_copies_claim_what_new_groups_show(n_classes):
    """Labels of 30 groups say nothing: rows left out alone would be right by their copies."""
    claims, group = [], np.repeat(np.arange(30), 6)
    labels = (np.arange(30) % n_classes)[group]
    for k in range(12):
        rng = np.random.default_rng(k)
        X = rng.standard_normal((30, 40))[group] + 0.05 * rng.standard_normal((180, 40))
        model = NoiseAwareLinearClassifier(noise_rates=None).fit(X, labels, groups=group)
        assert model.n_effective_samples_ == pytest.approx(30.0)
        low, high = model.observed_accuracy_interval_
        claims.append([model.observed_accuracy_, low <= 1.0 / n_classes <= high])
    alone = NoiseAwareLinearClassifier(noise_rates=None).fit(X, labels)
    claims = np.array(claims)
    error = claims[:, 0].std(ddof=1) / np.sqrt(12)
    assert alone.observed_accuracy_ > 0.95
    assert abs(claims[:, 0].mean() - 1.0 / n_classes) <= 0.02 + 4.0 * error
    assert error <= 0.04 and claims[:, 1].mean() >= 0.7


def test_wrong_groups_are_refused(rng):
    X, _, y = problem(rng)
    with pytest.raises(ValueError, match="groups"):
        NoiseAwareLinearClassifier().fit(X, y, groups=np.arange(59))
    with pytest.raises(ValueError, match="one group only"):
        NoiseAwareLinearClassifier().fit(X, y, groups=np.zeros(60))


def test_rows_far_out_count_less_and_others_in_full(rng):
    X, kept = rng.standard_normal((200, 10)), np.full(200, True)
    labels = read_labels(np.arange(200) % 2, np.ones(200), 2, "estimate", None, None, None)
    assert (read_rows(X, kept, labels).weights == 1.0).all()
    X[3] *= 100.0
    weights = read_rows(X, kept, labels).weights
    assert (np.delete(weights, 3) == 1.0).all() and weights[3] < 0.01


@pytest.mark.parametrize("rates", ["estimate", (0.1, 0.3)])
def test_scores_of_the_classifier_claim_what_it_claims(rng, rates, monkeypatch):
    """Where no kernel adds evidence, and all rows count in full."""
    monkeypatch.setattr(_classifier, "kernel_evidence", lambda fit, *_: fit.scores)
    y = np.arange(200) % 2
    X = rng.standard_normal((200, 6)) + 0.8 * y[:, None]
    y = np.where(rng.random(200) < np.where(y == 1, 0.3, 0.1), 1 - y, y)
    model = NoiseAwareLinearClassifier(noise_rates=rates).fit(X, y)
    found = clean_accuracy(model.held_out_scores_, y, noise_rates=rates)
    for ours, theirs in [
        (found.accuracy, model.theoretical_accuracy_),
        (found.accuracy_interval, model.theoretical_accuracy_interval_),
        (found.observed_accuracy, model.observed_accuracy_),
        (found.accuracy_if_noisy, model.accuracy_if_noisy_),
        (found.noise_probability, model.noise_probability_),
        (found.noise_rates, model.noise_rates_),
        (found.label_quality, model.label_quality_),
    ]:
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
