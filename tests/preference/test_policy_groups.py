"""PreferencePolicy on comparisons of groups, which are left out together."""

import warnings

import numpy as np
import pytest
from sklearn import config_context
from sklearn.model_selection import GridSearchCV, GroupKFold

from skrmt.exceptions import TheoryWarning
from skrmt.preference import PreferencePolicy


def annotators(rng, n_groups=60, n_rows=5, n_features=30, signal=0.12):
    """Differences of annotators who each compare near copies of one pair, and always one way."""
    centres = rng.standard_normal((n_groups, n_features)) + signal
    D = np.repeat(centres, n_rows, axis=0)
    D += 0.05 * rng.standard_normal(D.shape)
    order = np.where(rng.random(n_groups * n_rows) < 0.5, 1, -1)
    return D * order[:, None], order, np.repeat(np.arange(n_groups), n_rows)


def quiet(policy, *data, **arguments):
    """Fit without warnings of theory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return policy.fit(*data, **arguments)


def same(one, other, **tolerance):
    """Compare all fitted numbers."""
    for name, value in vars(one).items():
        if name.endswith("_") and not isinstance(value, str) and value is not None:
            np.testing.assert_allclose(vars(other)[name], value, err_msg=name, **tolerance)


@pytest.mark.parametrize(
    ("name", "kind", "n_draws"),
    [("ipo", "exact", 20), ("dpo", "newton", 20), ("hinge", "folds", 6)],
)
def test_the_accuracy_is_that_of_fresh_groups(name, kind, n_draws):
    gaps, alone = [], []
    for seed in range(n_draws):
        rng = np.random.default_rng(seed)
        X, y, groups = annotators(rng)
        policy = quiet(PreferencePolicy(name), X, y, groups=groups)
        truth = policy.score(*annotators(rng, n_groups=2000, n_rows=1)[:2])
        gaps.append(policy.theoretical_accuracy_ - truth)
        alone.append(quiet(PreferencePolicy(name), X, y).theoretical_accuracy_ - truth)
    assert np.mean(alone) > 0.1
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(n_draws)
    assert policy.scores_kind_ == kind
    assert policy.n_effective_samples_ == pytest.approx(60)
    assert np.isnan(policy.model_accuracy_) and policy.regime_ in ("detected", "undetected")
    low, high = policy.observed_accuracy_interval_
    assert high - low > 0.15


@pytest.mark.parametrize("shape", [{}, {"n_features": 200}])
def test_exact_margins_are_those_of_refits(rng, shape):
    X, y, groups = annotators(rng, n_rows=2, **shape)
    groups = groups % 17
    policy = quiet(PreferencePolicy("ipo", alpha=0.3), X, y, groups=groups)
    for group in range(3):
        out = groups == group
        refit = PreferencePolicy("ipo", alpha=0.3 * len(y) / (~out).sum()).fit(X[~out], y[~out])
        margins = X[out] @ refit.coef_ * y[out]
        np.testing.assert_allclose(policy.held_out_scores_[out], margins, rtol=1e-8)


@pytest.mark.parametrize("name", ["dpo", "cdpo", "hinge"])
def test_other_margins_are_near_those_of_refits(rng, name):
    X, y, groups = annotators(rng, n_groups=30, n_features=8)
    noise = 0.1 if name == "cdpo" else 0.0
    policy = PreferencePolicy(name, alpha=0.1, noise_rate=noise)
    policy = quiet(policy, X, y, groups=groups)
    found = policy.held_out_scores_
    change, error = [], []
    for group in range(0, 30, 3):
        out = groups == group
        refit = PreferencePolicy(name, alpha=0.1 * 30 / 29, noise_rate=noise)
        margins = X[out] @ quiet(refit, X[~out], y[~out]).coef_ * y[out]
        change.append(np.abs(X[out] @ policy.coef_ * y[out] - margins).mean())
        error.append(np.abs(found[out] - margins).mean())
    # One step, or a refit without three groups in place of one.
    assert np.mean(error) < (0.5 if name == "hinge" else 0.15) * np.mean(change)


def test_prompts_of_a_group_are_left_out_together(rng):
    X = rng.standard_normal((60, 4, 3))
    y = np.array([rng.choice(4, 2, replace=False) for _ in range(60)])
    groups = np.arange(60) % 20
    policy = quiet(PreferencePolicy("sft", alpha=0.1), X, y, groups=groups)
    assert policy.n_effective_samples_ == pytest.approx(20)
    out = groups == 4
    refit = quiet(PreferencePolicy("sft", alpha=0.1 * 60 / 57), X[~out], y[~out])
    rows = np.flatnonzero(out)
    D = X[rows, y[rows, 0]] - X[rows, y[rows, 1]]
    change = np.abs(D @ (policy.coef_ - refit.coef_))
    assert (np.abs(policy.held_out_scores_[out] - D @ refit.coef_) < 0.2 * change).all()
    weighted = quiet(PreferencePolicy("sft"), X, y, sample_weight=groups % 10, groups=groups)
    assert weighted.n_effective_samples_ == pytest.approx(90**2 / 570)
    alone = quiet(PreferencePolicy("sft"), X, y, groups=np.arange(60))
    same(alone, quiet(PreferencePolicy("sft"), X, y), rtol=1e-12)


@pytest.mark.parametrize("name", ["ipo", "dpo", "hinge", "exo"])
def test_groups_of_one_comparison_are_no_groups(rng, name):
    X, y, groups = annotators(rng, n_groups=80, n_rows=1, n_features=5)
    policy = PreferencePolicy(name, noise_rate=0.1)
    same(quiet(policy, X, y, groups=groups), quiet(PreferencePolicy(name, noise_rate=0.1), X, y))


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_the_order_of_rows_and_rows_of_no_weight_do_not_matter(rng, name):
    X, y, groups = annotators(rng, n_features=8)
    kept = groups != 7
    once = quiet(PreferencePolicy(name), X[kept], y[kept], groups=groups[kept])
    order = rng.permutation(len(y))
    weighted = quiet(
        PreferencePolicy(name), X[order], y[order], sample_weight=kept[order], groups=groups[order]
    )
    scores = np.full(len(y), np.nan)
    scores[kept] = once.held_out_scores_
    np.testing.assert_allclose(weighted.held_out_scores_, scores[order], rtol=1e-6)
    for model in (once, weighted):
        del model.held_out_scores_
    same(once, weighted, rtol=1e-6)


def test_pairs_and_differences_agree(rng):
    X, y, groups = annotators(rng, n_features=5)
    chosen = X * y[:, None]
    policy = PreferencePolicy("ipo").fit_pairs(chosen, np.zeros_like(chosen), groups=groups)
    assert policy.theoretical_accuracy_ == pytest.approx(
        quiet(PreferencePolicy("ipo"), X, y, groups=groups).theoretical_accuracy_
    )


def test_the_interval_follows_the_spread_between_persons(rng):
    """Persons of one taste are worth all their comparisons, near copies one a person."""
    X = rng.standard_normal((600, 4)) + 0.8
    order = np.where(rng.random(600) < 0.5, 1, -1)
    groups = np.repeat(np.arange(60), 10)
    alone = PreferencePolicy("ipo").fit(X * order[:, None], order)
    policy = PreferencePolicy("ipo").fit(X * order[:, None], order, groups=groups)
    assert policy.fresh_pairs_ == "new groups" and policy.n_effective_samples_ == 60
    width, single = (
        np.ptp(policy.observed_accuracy_interval_),
        np.ptp(alone.observed_accuracy_interval_),
    )
    assert 0.8 * single < width < 1.5 * single


def test_persons_are_coins_of_their_own(rng):
    """Persons with tastes, but none in common: turning single comparisons would find one."""
    whole, single, policy = [], [], PreferencePolicy("ipo", alpha=1.0)
    for _ in range(40):
        taste = rng.standard_normal((40, 5))
        groups = np.repeat(np.arange(40), 10)
        X = rng.standard_normal((400, 5))
        y = rng.random(400) < 1 / (1 + np.exp(-2 * (X * taste[groups]).sum(axis=1)))
        whole.append(quiet(policy, X, y, groups=groups).noise_pvalue_)
        single.append(quiet(policy, X, y).noise_pvalue_)
    assert np.mean(np.array(whole) < 0.05) < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 40)
    assert np.mean(np.array(single) < 0.05) > 0.2


def test_what_cannot_be_left_out_is_refused(rng):
    X, y, groups = annotators(rng, n_features=3)
    policy = quiet(PreferencePolicy("ipo"), X, y, groups=groups)
    before = policy.theoretical_accuracy_, policy.held_out_scores_.copy()
    for wrong, message in [
        (groups[:5], "give one group per row"),
        (np.zeros(len(y)), "one group only"),
        (np.where(groups == 1, np.nan, groups), "groups has a missing"),
    ]:
        with pytest.raises(ValueError, match=message):
            policy.fit(X[:, :2], y, groups=wrong)
    assert policy.n_features_in_ == 3 and policy.theoretical_accuracy_ == before[0]
    np.testing.assert_array_equal(policy.held_out_scores_, before[1])


def test_dask_arrays_are_refused(rng):
    array = pytest.importorskip("dask.array")
    X, y, groups = annotators(rng, n_features=3)
    with pytest.raises(ValueError, match="groups are left out with their rows in memory"):
        PreferencePolicy("ipo").fit(array.from_array(X, chunks=(50, 3)), y, groups=groups)


def test_groups_are_routed(rng):
    X, y, groups = annotators(rng, n_features=3)
    with config_context(enable_metadata_routing=True):
        policy = PreferencePolicy("ipo").set_fit_request(groups=True)
        search = GridSearchCV(policy, {"alpha": [0.1, 1.0]}, cv=GroupKFold(3))
        search.fit(X, y, groups=groups)
    assert search.best_estimator_.n_effective_samples_ == pytest.approx(60)
