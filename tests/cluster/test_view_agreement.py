"""Agreement of fits, the choice of a solution, copies of views, clusters of unequal size."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

from skrmt.cluster import NestedTensorClustering
from skrmt.cluster._agreement import (
    agreement,
    agreement_of_halves,
    bivariate_cdf,
    from_disagreement,
    mixture_agreement,
    model_agreement,
)
from skrmt.cluster._choice import best_partition, chances_of_others, separation_gains
from skrmt.cluster._copies import copied_views, dropped_originals
from skrmt.cluster._rank_one_start import fit_rank_one
from skrmt.cluster._rivals import leading_directions, predictable_shares, standardised
from skrmt.cluster._views_input import view_stack
from skrmt.datasets import make_nested_views, make_noisy_copies
from skrmt.exceptions import TheoryWarning


def right(labels, y):
    """Return the share of right labels of two clusters."""
    share = np.mean(labels == y)
    return max(share, 1 - share)


def test_bivariate_normal_probabilities():
    for a, b, r in ((0.3, -1.2, 0.7), (0.0, 0.5, -0.4), (-2.0, -1.0, 0.0), (1.0, 1.0, 0.999)):
        law = multivariate_normal([0, 0], [[1, r], [r, 1]])
        assert bivariate_cdf(a, b, r) == pytest.approx(law.cdf([a, b]), abs=1e-5)
    assert bivariate_cdf(0.4, 0.4, 1.0) == pytest.approx(0.6554217, abs=1e-5)


@pytest.mark.parametrize("prior", [0.5, 0.2])
def test_agreement_of_the_model_against_draws(rng, prior):
    distance, cosine, n = 1.3, 0.8, 400_000
    y = np.where(rng.random(n) < prior, 1.0, -1.0)
    best = distance * y + rng.standard_normal(n)
    fitted = cosine * best + np.sqrt(1 - cosine**2) * rng.standard_normal(n)
    odds = np.log(prior / (1 - prior))
    same = np.mean((best > -odds / (2 * distance)) == (fitted > -odds / (2 * cosine * distance)))
    claimed = model_agreement(cosine * distance, distance, prior)
    assert claimed == pytest.approx(same, abs=5 * np.sqrt(same * (1 - same) / n))
    if prior == 0.5:
        means = cosine * distance * np.array([[1.0], [-1.0]])
        counted = mixture_agreement(means, np.array([0.5, 0.5]), np.array([cosine]), 0)
        assert counted == pytest.approx(claimed, abs=5 * np.sqrt(0.25 / 20_000))


def test_agreement_has_no_names():
    one = np.array([0, 0, 1, 1, 2, 2])
    assert agreement(one, np.array([2, 2, 0, 0, 1, 1]), 3) == 1
    assert agreement(one, np.array([2, 2, 0, 0, 1, 0]), 3) == pytest.approx(5 / 6)


def test_agreement_follows_from_that_of_halves():
    found = from_disagreement(np.full(8, 0.06), 200)
    assert found.value == pytest.approx(0.97)
    np.testing.assert_allclose(found.interval, [1 - 0.06 - 1 / 200, 1 - (0.006 - 1 / 200)])
    assert np.isnan(from_disagreement(np.full(8, 0.2), 200).value)
    assert np.isnan(from_disagreement(np.array([0.0] * 7 + [0.5]), 200).value)
    keys = np.random.default_rng(0).standard_normal(100)
    order = np.random.default_rng(1).permutation(100)

    def above(keys):
        def fit(*halves):
            rows = np.concatenate(halves)
            return tuple((keys[rows] > np.median(keys[half])).astype(int) for half in halves)

        return fit

    one = agreement_of_halves(keys, above(keys), 2, 0)
    other = agreement_of_halves(keys[order], above(keys[order]), 2, 0)
    assert one.value == other.value
    assert np.isnan(agreement_of_halves(np.ones(100), above(keys), 2, 0).value)


def test_the_partition_that_separates_is_kept(rng):
    points = rng.standard_normal((300, 3))
    y = (rng.random(300) < 0.5).astype(int)
    points[:, 1] += 5 * y
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    other = (points[:, 0] > 0).astype(int)
    gains = [separation_gains(points, labels, 2, 0) for labels in (y, other, 1 - y)]
    assert gains[0].mean() > gains[1].mean() + 0.2
    assert best_partition(np.stack([gains[1], gains[0]]), 2) == 1
    assert best_partition(np.stack([gains[0], gains[2]]), 2) == 0


@pytest.mark.parametrize("k", [2, 3])
def test_chances_that_more_rows_favour_another_partition(rng, k):
    """The gains of n rows and those of 3n others are drawn, given what they are in the mean."""
    n, draws = 200, 20_000
    gains = rng.standard_normal((3, n)) * 0.4 + np.array([[0.0], [0.06], [-0.02]])
    kept = best_partition(gains, k)
    found = chances_of_others(gains, kept, k)
    assert found[kept] == 0
    for other in [index for index in range(3) if index != kept]:
        difference = gains[other] - gains[kept]
        error = difference.std() / np.sqrt(n)
        sizes = np.array([1, 1 / 3])
        means = difference.mean() + error * (rng.standard_normal((draws, 2)) @ np.sqrt(sizes))
        least = max(0.05, 2 * error / np.sqrt(3)) if k == 2 else 0.0
        limit = least if kept == 0 else (-least if other == 0 else 0.0)
        share = np.mean(means > limit)
        assert found[other] == pytest.approx(share, abs=5 * np.sqrt(0.25 / draws))
    sure = np.stack([np.zeros(n), np.full(n, 1.0)])
    assert chances_of_others(sure, 1, k).tolist() == [0, 0]
    assert chances_of_others(sure, 0, k).tolist() == [0, 1]


def test_claims_reach_to_solutions_that_more_rows_may_favour():
    claim = from_disagreement(np.full(8, 0.02), 100)
    np.testing.assert_allclose(claim.in_doubt(0.0, 100).interval, claim.interval)
    np.testing.assert_allclose(claim.in_doubt(0.01, 100).interval, claim.interval)
    wider = claim.in_doubt(0.1, 100)
    assert wider.value == claim.value
    np.testing.assert_allclose(wider.interval, [1 - 0.1 - 1 / 100, claim.interval[1]])
    assert np.isnan(claim.in_doubt(0.3, 100).value)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_nothing_is_claimed_where_more_samples_change_the_method():
    """A stable split in the middle, and a rare group that is found with more samples."""
    rng, n = np.random.default_rng(0), 520
    middle, rare = rng.random(n) < 0.5, rng.random(n) < 0.15
    X = rng.standard_normal((n, 12))
    X[:, 0] += 1.8 * np.where(middle, 1, -1)
    X[:, 1] += 4 * rare
    X[:, 2:5] *= 1 + rare[:, None]
    views = make_noisy_copies(X, [0.3, 0.5, 0.7, 1], random_state=0).X
    few = NestedTensorClustering(random_state=0).fit(views[:120])
    many = NestedTensorClustering(random_state=0).fit(views[120:])
    assert (few.method_, many.method_) == ("nested_ml", "gaussian_mixture")
    assert agreement(few.predict(views[120:]), many.labels_, 2) < 0.6
    assert few.regime_ == "ambiguous"
    assert np.isnan(few.theoretical_accuracy_)
    assert np.isnan(few.theoretical_accuracy_interval_).all()


def test_predictable_views(rng):
    shared = rng.standard_normal((300, 6))
    views = [shared + s * rng.standard_normal((300, 6)) for s in (0.3, 0.3, 1.0)]
    shares = predictable_shares(standardised([*views, rng.standard_normal((300, 6))]), 0)
    assert shares[0] > shares[2] > shares[3] == 0.01
    vectors, singular = leading_directions(shared, 3)
    expected = np.linalg.svd(shared, compute_uv=False)[:3]
    np.testing.assert_allclose(singular, expected)
    np.testing.assert_allclose(np.linalg.norm(shared @ vectors, axis=0), expected)
    wide = leading_directions(shared.T, 3)
    np.testing.assert_allclose(wide[1], expected)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_rivals_are_kept_where_they_separate_and_predict():
    """Two clusters in one of four unlike views, which a common direction does not show."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    core = rng.standard_normal((400, 8)) * np.array([3.0, 3.0, 1.5, 1, 1, 1, 1, 1])
    X = core[:, :, None] + 0.3 * rng.standard_normal((400, 8, 4))
    X += 2 * y[:, None, None] * rng.standard_normal((8, 4))
    fit = NestedTensorClustering(random_state=0).fit(X)
    alone = NestedTensorClustering(compare=False, random_state=0).fit(X)
    table = StandardScaler().fit_transform(X.reshape(400, -1))
    plain = right(KMeans(2, n_init=10, random_state=0).fit_predict(table), y)
    assert fit.method_ in ("components", "kmeans", "gaussian_mixture")
    assert alone.method_ == "nested_ml"
    assert right(fit.labels_, y) >= max(right(alone.labels_, y), plain) - 0.01
    assert (fit.predict(X) == fit.labels_).all()
    np.testing.assert_allclose(fit.transform(X), fit.embedding_, atol=1e-8)
    assert (fit.decision_function(X) > 0).astype(int).tolist() == fit.labels_.tolist()
    assert fit.regime_ in ("misfit", "ambiguous") and not fit.model_fit_
    order = rng.permutation(400)
    mixed = NestedTensorClustering(random_state=0).fit(X[order])
    assert mixed.theoretical_accuracy_ == pytest.approx(fit.theoretical_accuracy_, nan_ok=True)
    assert agreement(mixed.labels_, fit.labels_[order], 2) == 1


@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_any_solution_assigns_new_samples(k):
    rng = np.random.default_rng(1)
    y = rng.integers(0, k, 240)
    widths = (5, 9, 4)
    views = [
        rng.standard_normal((240, p)) @ rng.standard_normal((p, p))
        + 4 * rng.standard_normal((k, p))[y]
        for p in widths
    ]
    fit = NestedTensorClustering(k, random_state=0).fit(views)
    assert (fit.predict(views) == fit.labels_).all()
    np.testing.assert_allclose(fit.predict_proba(views).sum(axis=1), 1)
    assert fit.transform(views).shape == fit.embedding_.shape
    assert fit.view_weights_.shape == (3,) and np.abs(fit.view_weights_).sum() == pytest.approx(1)
    assert fit.score(views, y) > 0.6


def unequal(seed, within=0.0):
    """Return six views of 150 samples, a tenth of them in the second cluster."""
    h = np.random.default_rng(seed).uniform(0.5, 1.5, 6)
    return make_nested_views(
        150,
        100,
        noise_stds=np.ones(6),
        strengths=h,
        separation=np.sqrt(1.5),
        within_std=within,
        prior=[0.9, 0.1],
        random_state=seed,
    )


def test_unequal_clusters_are_found():
    found = [unequal(seed) for seed in range(12)]
    accuracies = [
        right(NestedTensorClustering(random_state=0).fit(data.X).labels_, data.y) for data in found
    ]
    assert min(accuracies) > 0.95 and np.mean(accuracies) > 0.985


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_weights_are_no_worse_than_those_of_total_variances():
    """Squared correlations of scores with the classes, whatever the noise within clusters."""
    for within in (0.0, 0.4):
        gaps = []
        for seed in range(10):
            data = unequal(seed, within)
            fit = NestedTensorClustering(random_state=0).fit(data.X)
            centred = data.X - data.X.mean(axis=0)
            scaled = centred / np.sqrt((centred**2).mean(axis=(0, 1)))
            plain = np.linalg.svd(scaled.sum(axis=2), full_matrices=False)[0][:, 0]
            ours = np.corrcoef(fit.embedding_[:, 0], data.y)[0, 1] ** 2
            gaps.append(ours - np.corrcoef(plain, data.y)[0, 1] ** 2)
        assert np.mean(gaps) > -0.01


def test_rank_one_is_the_maximum_of_the_likelihood():
    data = unequal(0)
    views = np.ascontiguousarray((data.X - data.X.mean(axis=0)).transpose(0, 2, 1))
    fit = fit_rank_one(views)
    np.testing.assert_allclose(fit.noise, 1, atol=0.1)
    b = fit.strengths * np.sqrt(149 * 100)
    weights = b / fit.noise
    combined = np.einsum("nmp,m->np", views, weights)
    u, _, v = np.linalg.svd(combined, full_matrices=False)
    assert abs(u[:, 0] @ fit.sample) == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(
        np.abs(np.einsum("nmp,n,p->m", views, u[:, 0], v[0])), np.abs(b), rtol=1e-2
    )


@pytest.mark.parametrize("form", ["stack", "list", "mask"])
def test_copies_of_views_count_once(form):
    data = make_nested_views(300, 60, noise_stds=[1, 2, 3, 3], separation=2.0, random_state=0)
    X = np.concatenate([data.X, 1 - 2 * data.X[:, :, 3:]], axis=2)
    views, plain, given, fewer = X, data.X, {}, {}
    if form == "list":
        views = [X[:, : 60 - (k == 0), k] for k in range(5)]
        plain = views[:4]
    if form == "mask":
        mask = np.random.default_rng(0).random((300, 5)) > 0.2
        mask[:, 0] = True
        given, fewer = {"mask": mask}, {"mask": mask[:, :4]}
    with pytest.warns(TheoryWarning, match="view 4 is a copy of view 3"):
        fit = NestedTensorClustering(random_state=0).fit(views, **given)
    other = NestedTensorClustering(random_state=0).fit(plain, **fewer)
    assert fit.view_copies_.tolist() == [0, 1, 2, 3, 3]
    assert (fit.labels_ == other.labels_).all()
    assert (fit.predict(views) == other.predict(plain)).all()
    assert fit.theoretical_accuracy_ == other.theoretical_accuracy_
    assert fit.view_weights_[4] == 0 and np.isnan(fit.noise_variance_[4])
    np.testing.assert_allclose(fit.view_weights_[:4], other.view_weights_)
    assert fit.forecast(drop_view=3).score == other.forecast().score
    assert fit.forecast(drop_view=[3, 4]).score == other.forecast(drop_view=3).score


def test_views_of_little_noise_are_no_copies(rng):
    core = rng.standard_normal((100, 20, 1))
    views = view_stack(core + 0.3 * rng.standard_normal((100, 20, 3)), None)
    assert copied_views(views).tolist() == [0, 1, 2]
    assert dropped_originals(np.array([1]), np.array([0, 1, 1])) == []
    assert dropped_originals(np.array([-1, 1]), np.array([0, 1, 1])) == [1]


def test_reordered_columns_and_views_are_refused():
    data = make_nested_views(60, 5, noise_stds=[1, 1, 1], separation=3.0, random_state=0)
    names = [[f"{v}{j}" for j in range(5)] for v in "abc"]
    frames = [pd.DataFrame(data.X[:, :, k], columns=names[k]) for k in range(3)]
    fit = NestedTensorClustering(random_state=0).fit(frames)
    fit.predict(frames)
    for bad in (frames[::-1], [frames[0][names[0][::-1]], *frames[1:]]):
        with pytest.raises(ValueError, match="feature names"):
            fit.predict(bad)


def with_noisy_copy(seed, separation):
    """Return four views and one that is the last of them with noise, and the classes."""
    data = make_nested_views(
        300,
        100,
        noise_stds=[1, 1.5, 2, 3],
        separation=separation,
        within_std=0.5,
        random_state=seed,
    )
    last = data.X[:, :, 3]
    noise = np.random.default_rng(seed).standard_normal(last.shape) * last.std()
    return np.concatenate([data.X, (last + noise)[:, :, None]], axis=2), data.y


def test_noisy_copies_of_a_view_do_no_harm():
    for seed in range(3):
        X, y = with_noisy_copy(seed, 1.8)
        fit = NestedTensorClustering(random_state=0).fit(X)
        alone = NestedTensorClustering(random_state=0).fit(X[:, :, :4])
        assert (fit.noise_structure_, alone.noise_structure_) == ("full", "diagonal")
        assert right(fit.labels_, y) >= right(alone.labels_, y) - 0.01
        assert fit.model_accuracy_ == pytest.approx(
            right(fit.labels_, y), abs=5 * np.sqrt(0.03 / 300)
        )


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_correlated_noise_is_no_cluster():
    """The best of all weights finds more in noise than fixed ones: 1 fit in 50 at most."""
    found = []
    for seed in range(12):
        X, _ = with_noisy_copy(100 + seed, 1e-3)
        fit = NestedTensorClustering(noise_structure="full", compare=False, random_state=0).fit(X)
        found.append(fit.n_spikes_ > 0)
    # Four of twelve have a probability below 1e-4 at that rate.
    assert np.sum(found) < 4
