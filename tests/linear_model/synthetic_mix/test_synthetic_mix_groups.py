"""SyntheticMixClassifier on rows of groups, real and synthetic, which are left out together."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, KFold, cross_validate

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import SyntheticMixClassifier
from skrmt.linear_model.synthetic_mix._basis import mix_basis
from skrmt.linear_model.synthetic_mix._path import mix_loo


def persons(rng, n_groups=40, n_rows=5, n_features=30, signal=0.0, spread=0.05):
    """Rows of persons, near copies of a centre that shows as much of the label as the signal."""
    labels = np.arange(n_groups) % 2
    centres = rng.standard_normal((n_groups, n_features)) + signal * (2 * labels[:, None] - 1)
    X = np.repeat(centres, n_rows, axis=0)
    X += spread * rng.standard_normal(X.shape)
    return X, np.repeat(labels, n_rows), np.repeat(np.arange(n_groups), n_rows)


def mixed(rng, n_groups=24, n_rows=3, n_features=6, shared=8, **options):
    """Real rows of persons stacked with noisy rows made of some of them, and of nobody."""
    X, y, groups = persons(rng, n_groups, n_rows, n_features, **options)
    made = np.concatenate([X[: shared * n_rows], rng.standard_normal((40, n_features))])
    made += 0.02 * rng.standard_normal(made.shape)
    owner = np.concatenate([groups[: shared * n_rows], 1000 + np.arange(40) % 10])
    labels = np.concatenate([y[: shared * n_rows], np.arange(40) % 2])
    source = np.repeat([0, 1, 2], [len(y), len(made) - 15, 15])
    return (
        np.concatenate([X, made]),
        np.concatenate([y, labels]),
        {"sample_source": source, "groups": np.concatenate([groups, owner])},
    )


def fitted(X, y, model=None, **arguments):
    """Fit without warnings of theory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return (model or SyntheticMixClassifier()).fit(X, y, **arguments)


def refitted(X, y, weights, groups, source, alpha, intercept=True):
    """Return the scores of real rows by one fit without each group, at the same total penalty."""
    signs, total = 2.0 * np.searchsorted(np.unique(y), y) - 1.0, alpha * len(y)
    scores = np.full(len(y), np.nan)
    for group in np.unique(groups[source == 0]):
        out = groups == group
        ridge = Ridge(alpha=total, fit_intercept=intercept, solver="cholesky", tol=1e-12)
        ridge.fit(X[~out], signs[~out], weights[~out])
        scores[out] = ridge.predict(X[out])
    return scores[source == 0]


@pytest.mark.parametrize("with_synthetic", [False, True])
def test_labels_that_say_nothing_are_found_out(with_synthetic):
    claims, naive, found = [], [], 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        if with_synthetic:
            X, y, arguments = mixed(rng, n_groups=40, n_features=30, shared=40)
        else:
            X, y, groups = persons(rng)
            arguments = {"groups": groups}
        model = fitted(X, y, **arguments)
        del arguments["groups"]
        claims.append(model.theoretical_accuracy_)
        naive.append(fitted(X, y, **arguments).theoretical_accuracy_)
        assert model.n_effective_samples_ == pytest.approx(40)
        found += model.theoretical_accuracy_interval_[0] > 0.5
        assert np.diff(model.theoretical_accuracy_interval_)[0] > 0.2
        assert model.scores_kind_ == "exact"
    assert np.mean(naive) > 0.85
    assert abs(np.mean(claims) - 0.5) < 4 * np.std(claims) / 8**0.5
    # One in forty of the intervals of 95 % is above chance: 4 standard errors.
    assert found <= 8 / 40 + 4.0 * np.sqrt(8 * 0.025 * 0.975)


def test_the_accuracy_is_that_of_fresh_groups():
    gaps, alone = [], []
    for seed in range(16):
        rng = np.random.default_rng(seed)
        X, y, groups = persons(rng, n_groups=60, signal=0.15)
        truth = persons(rng, 2000, 1, signal=0.15)[:2]
        model, without = fitted(X, y, groups=groups), fitted(X, y)
        gaps.append(model.theoretical_accuracy_ - model.score(*truth))
        alone.append(without.theoretical_accuracy_ - without.score(*truth))
    assert np.mean(alone) > 0.15
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / 4


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("n_features", [4, 30, 150])
@pytest.mark.parametrize("shared", [0, 8])
def test_scores_are_those_of_refits(rng, n_features, fit_intercept, shared):
    X, y, given = mixed(rng, n_features=n_features, shared=shared, spread=0.5)
    groups, source = given["groups"], given["sample_source"]
    alpha, omega = 0.03, np.array([0.4, 0.7])
    weights = np.array([1.0, *omega])[source]
    model = SyntheticMixClassifier(alpha, synthetic_weight=omega, fit_intercept=fit_intercept)
    model = fitted(X, y, model, **given)
    expected = refitted(X, y, weights, groups, source, alpha, fit_intercept)
    np.testing.assert_allclose(model.held_out_scores_, expected, rtol=1e-8, atol=1e-10)
    assert model.scores_kind_ == "exact"


@pytest.mark.parametrize("form", ["primal", "gram", "kernel", None])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_every_form_leaves_groups_out(rng, form, intercept, container):
    n, m, p = 9, 8, 40
    X, Z = rng.standard_normal((n, p)) + 0.3, rng.standard_normal((m, p)) - 0.2
    T, S = rng.standard_normal((n, 2)), rng.standard_normal((m, 2))
    u, v = rng.uniform(0.5, 2.0, n), rng.uniform(0.5, 2.0, m)
    group, made = np.array([0, 0, 0, 1, 2, 2, 3, 3, 4]), np.array([-1, 0, 0, 1, -1, 4, 4, 4])
    alphas, omegas = np.array([0.01, 0.3, 5.0]), [[0.0], [0.2], [1.0]]
    for joined in (None, made):
        basis = mix_basis(
            container(X),
            T,
            [(container(Z), S, v)],
            u,
            fit_intercept=intercept,
            form=form,
            groups=(group, [joined]),
        )
        for index, scores in mix_loo(basis, omegas, alphas):
            for place, g in enumerate(index):
                for k, alpha in enumerate(alphas):
                    expected = np.empty_like(T)
                    for one in range(5):
                        gone = np.zeros(m, bool) if joined is None else made == one
                        kept = np.concatenate([group != one, ~gone])
                        weights = np.concatenate([u, omegas[g][0] * v])[kept]
                        ridge = Ridge(alpha * (u.sum() + v.sum()), fit_intercept=intercept)
                        ridge.set_params(solver="cholesky")
                        rows = np.concatenate([X, Z])[kept], np.concatenate([T, S])[kept]
                        ridge.fit(*rows, weights)
                        expected[group == one] = ridge.predict(X[group == one])
                    np.testing.assert_allclose(
                        scores[:, :, place, k], expected, rtol=1e-8, atol=1e-10
                    )


@pytest.mark.torch
@pytest.mark.parametrize("joined", [None, np.array([-1, 0, 0, 1, -1, 4, 4, 4])])
@pytest.mark.parametrize("form", ["primal", "gram", "kernel"])
def test_torch_leaves_groups_out(rng, form, joined):
    torch = pytest.importorskip("torch")
    group = np.array([0, 0, 0, 1, 2, 2, 3, 3, 4])
    X, Z = rng.standard_normal((9, 20)), rng.standard_normal((8, 20))
    T, S = rng.standard_normal((9, 1)), rng.standard_normal((8, 1))
    alphas, omegas = np.array([0.01, 0.3]), [[0.0], [0.4]]
    bases = [
        mix_basis(kind(X), kind(T), [(kind(Z), kind(S))], form=form, groups=(group, [joined]))
        for kind in (np.asarray, torch.as_tensor)
    ]
    pairs = zip(*(mix_loo(basis, omegas, alphas) for basis in bases), strict=True)
    for (_, expected), (_, got) in pairs:
        np.testing.assert_allclose(got.numpy(), expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n_synthetic", [0, 60])
@pytest.mark.parametrize("n_features", [5, 60])
def test_groups_of_one_row_are_no_groups(rng, n_features, n_synthetic):
    X, y, _ = persons(rng, 50 + n_synthetic, 1, n_features, signal=0.4)
    source = np.repeat([0, 1], [50, n_synthetic])
    one = fitted(X, y, sample_source=source, groups=np.arange(len(y)))
    other = fitted(X, y, sample_source=source)
    for name, value in vars(other).items():
        if isinstance(value, float | np.ndarray) and name.endswith("_"):
            np.testing.assert_array_equal(getattr(one, name), value, err_msg=name)


def test_the_order_of_rows_and_rows_of_no_weight_do_not_matter(rng):
    X, y, given = mixed(rng, signal=0.4)
    kept = given["groups"] != 5
    once = fitted(X[kept], y[kept], **{name: value[kept] for name, value in given.items()})
    order = rng.permutation(len(y))
    names = np.array([f"person {code}" for code in given["groups"]])
    other = fitted(
        X[order],
        y[order],
        sample_weight=kept[order] * 2.0,
        sample_source=given["sample_source"][order],
        groups=names[order],
    )
    assert other.theoretical_accuracy_ == pytest.approx(once.theoretical_accuracy_, rel=1e-9)
    assert other.gain_std_ == pytest.approx(once.gain_std_, rel=1e-6, abs=1e-9)
    assert other.n_effective_samples_ == pytest.approx(23)
    np.testing.assert_allclose(other.coef_, once.coef_, rtol=1e-8)
    np.testing.assert_array_equal(other.accuracy_grid_.shape, once.accuracy_grid_.shape)
    real = given["sample_source"][order] == 0
    unseen = ~kept[order][real]
    assert np.isnan(other.held_out_scores_[unseen]).all()
    assert np.isfinite(other.held_out_scores_[~unseen]).all()


def test_weights_are_repeats(rng):
    X, y, given = mixed(rng, signal=0.4)
    counts = rng.integers(0, 3, len(y))
    one = fitted(X, y, sample_weight=counts, **given)
    repeated = {name: np.repeat(value, counts) for name, value in given.items()}
    other = fitted(np.repeat(X, counts, axis=0), np.repeat(y, counts), **repeated)
    assert other.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, rel=1e-9)
    assert other.n_effective_samples_ == pytest.approx(one.n_effective_samples_)


def test_synthetic_rows_given_apart_follow_the_real_ones(rng):
    X, y, given = mixed(rng, signal=0.4)
    source = np.minimum(given["sample_source"], 1)
    one = fitted(X, y, sample_source=source, groups=given["groups"])
    real = source == 0
    apart = {"X_synthetic": X[~real], "y_synthetic": y[~real]}
    other = fitted(X[real], y[real], groups=given["groups"], **apart)
    np.testing.assert_array_equal(other.held_out_scores_, one.held_out_scores_)
    with pytest.raises(ValueError, match="then one for each of the 64 rows of X_synthetic"):
        fitted(X[real], y[real], groups=given["groups"][real], **apart)


def test_pruned_rows_and_three_classes(rng):
    X, y, given = mixed(rng, n_groups=60, signal=0.5)
    y = y + (given["groups"] % 3 == 0)
    score = rng.uniform(size=len(y))
    model = fitted(X, y, SyntheticMixClassifier(pruning="score"), verifier_score=score, **given)
    assert model.held_out_scores_.shape == (180, 3)
    assert model.n_effective_samples_ == pytest.approx(60)
    alpha, kept = model.alpha_, (score >= model.prune_threshold_) | (given["sample_source"] == 0)
    weights = np.array([1.0, *model.synthetic_weight_])[given["sample_source"]] * kept
    signs, out = 2.0 * np.eye(3)[y] - 1.0, given["groups"] == 4
    ridge = Ridge(alpha * len(y), solver="cholesky").fit(X[~out], signs[~out], weights[~out])
    inside = out[given["sample_source"] == 0]
    expected = ridge.predict(X[out & (given["sample_source"] == 0)])
    np.testing.assert_allclose(model.held_out_scores_[inside], expected, rtol=1e-7, atol=1e-9)


def made_anew(X, y, n, random_state):
    """Return near copies of rows: a generator that knows them by heart."""
    rows = np.random.RandomState(random_state).randint(len(y), size=n)
    return X[rows] + 0.01, y[rows]


SAME = {"generator_source": "same", "generator": made_anew, "random_state": 0}


def test_a_generator_that_knows_groups_by_heart_is_found_out():
    claims, naive = [], []
    for seed in range(3):
        X, y, given = mixed(np.random.default_rng(seed), n_features=20, shared=24)
        claims.append(fitted(X, y, SyntheticMixClassifier(**SAME), **given).theoretical_accuracy_)
        del given["groups"]
        naive.append(fitted(X, y, SyntheticMixClassifier(**SAME), **given).theoretical_accuracy_)
    # The labels of 3 x 24 groups are coins: 4 standard errors.
    assert np.mean(claims) < 0.5 + 4.0 * np.sqrt(0.25 / 72) < np.mean(naive)


def test_folds_are_of_whole_groups_where_the_generator_is_refitted(rng):
    X, y, given = mixed(rng, n_features=20, shared=24)
    model = fitted(X, y, SyntheticMixClassifier(**SAME), **given)
    assert model.scores_kind_ == "folds"
    assert model.n_effective_samples_ == pytest.approx(24)
    fitted(X, y, SyntheticMixClassifier(**SAME, cv=GroupKFold(3)), **given)
    with pytest.raises(ValueError, match="splits rows of one group"):
        fitted(X, y, SyntheticMixClassifier(**SAME, cv=KFold(7)), **given)


def test_what_cannot_be_left_out_is_refused(rng):
    X, y, given = mixed(rng)
    model = fitted(X, y, **given)
    before, groups, source = dict(vars(model)), given["groups"], given["sample_source"]
    for wrong, message in [
        (groups[:5], "give one group per row"),
        (np.where(source == 0, 3, groups), "one group only"),
        (np.where(groups == 1, np.nan, groups), "groups has a missing"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.fit(X[:, :2], y, sample_source=source, groups=wrong)
    assert vars(model) == before


def test_few_groups_claim_nothing(rng):
    X, y, groups = persons(rng, n_groups=8)
    assert fitted(X, y, groups=groups).regime_ == "too_few_rows"


def test_blocks_are_as_arrays(rng):
    da = pytest.importorskip("dask.array")
    X, y, given = mixed(rng, signal=0.4)
    one = fitted(X, y, **given)
    other = fitted(da.from_array(X, chunks=(25, -1)), y, **given)
    np.testing.assert_allclose(other.held_out_scores_, one.held_out_scores_, rtol=1e-8, atol=1e-9)


def test_groups_are_routed(rng):
    X, y, groups = persons(rng, n_groups=60, n_features=3)
    with config_context(enable_metadata_routing=True):
        model = SyntheticMixClassifier().set_fit_request(groups=True)
        found = cross_validate(
            model, X, y, cv=GroupKFold(3), params={"groups": groups}, return_estimator=True
        )
    assert found["estimator"][0].n_effective_samples_ == pytest.approx(40)
