"""Weights, copies and tables of few distinct rows: on how many observations a claim rests."""

import numpy as np
import pytest

from skrmt.exceptions import TheoryWarning
from skrmt.linear_model import NoiseAwareLinearClassifier

PER_ROW = ("held_out_scores_", "label_posterior_", "label_quality_")


def assert_same_fit(one, other, rtol, rows=slice(None)):
    """Compare all fitted attributes; those per row of `one` at `rows` with all of `other`."""
    for name in (name for name in vars(other) if name.endswith("_")):
        a, b = getattr(one, name), getattr(other, name)
        a = a[rows] if name in PER_ROW else a
        if np.asarray(a).dtype.kind in "USOb":
            assert np.array_equal(a, b), name
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)


@pytest.fixture(scope="module")
def people():
    """1000 people of three jobs in one-hot columns: X, y, accuracy of the best classifier."""
    rng = np.random.default_rng(0)
    job, chance = rng.integers(0, 3, 1000), np.array([0.1, 0.3, 0.85])
    y = (rng.random(1000) < chance[job]).astype(int)
    return np.eye(3)[job], y, np.mean(np.maximum(chance, 1 - chance)[job])


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_people_of_a_one_hot_table_are_observations(people):
    X, y, best = people
    model = NoiseAwareLinearClassifier(noise_rates=None).fit(X, y)
    assert model.n_effective_samples_ == 1000.0
    assert len(np.unique(model.held_out_scores_)) == 6
    hits = model.predict(X) == y
    assert model.observed_accuracy_ == pytest.approx(hits.mean(), abs=1e-12)
    error = np.sqrt(best * (1 - best) / 1000)
    for name in ("observed_accuracy_", "theoretical_accuracy_"):
        assert abs(getattr(model, name) - best) < 4 * error, name
        low, high = getattr(model, f"{name[:-1]}_interval_")
        assert low < best < high and high - low < 0.15, name


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("parameters", [{}, {"noise_rates": 0.1}, {"method": "lpc"}], ids=str)
def test_counts_of_a_one_hot_table_are_its_people(people, parameters):
    X, y, _ = people
    table, first, counts = np.unique(
        np.column_stack([X, y]), axis=0, return_index=True, return_counts=True
    )
    every = NoiseAwareLinearClassifier(**parameters).fit(X, y)
    counted = NoiseAwareLinearClassifier(**parameters)
    counted.fit(table[:, :3], table[:, 3].astype(int), counts.astype(float))
    assert_same_fit(every, counted, 1e-7, first)


def test_copies_are_one_observation(binary):
    """Rows that are each given twenty times."""
    X, y, _ = binary
    X, y = X[:60], y[:60]
    X, y = X + 2.0 * y[:, None], y  # apart, so that no other warning comes first
    once = NoiseAwareLinearClassifier(noise_rates=0.1).fit(X, y)
    with pytest.warns(TheoryWarning, match="Rows of X repeat") as record:
        copied = NoiseAwareLinearClassifier(noise_rates=0.1)
        copied.fit(np.tile(X, (20, 1)), np.tile(y, 20))
    assert len(record) == 1
    assert copied.n_effective_samples_ == 60.0
    assert_same_fit(copied, once, 1e-9, slice(60))


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("data", ["binary", "three"])
@pytest.mark.parametrize("factor", [1e-3, 3.0, 3.7])
def test_unit_of_the_weights_does_not_matter(data, factor, request, rng):
    X, y, _ = request.getfixturevalue(data)
    weights = rng.uniform(0.5, 3.0, len(y))
    one = NoiseAwareLinearClassifier().fit(X, y, weights)
    other = NoiseAwareLinearClassifier().fit(X, y, factor * weights)
    assert_same_fit(one, other, 1e-6)


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
def test_balanced_weights_give_no_label_away():
    """Pure noise, a rare class of equal total weight: held-out scores find it by chance only."""
    recall, claimed = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((60, 100)), (np.arange(60) < 12).astype(int)
        weights = np.where(y == 1, 60 / 24, 60 / 96)
        model = NoiseAwareLinearClassifier().fit(X, y, weights)
        recall.append(np.mean(model.held_out_scores_[y == 1] > 0))
        claimed.append(model.observed_accuracy_)
    error = np.std(claimed, ddof=1) / np.sqrt(20)
    assert np.mean(recall) < 0.5
    assert np.mean(claimed) < 0.5 + 4 * error


@pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
@pytest.mark.parametrize("data", ["binary", "three"])
@pytest.mark.parametrize("form", ["sample_noise", "sample_noise per class", "label_distribution"])
def test_rows_of_weight_zero_keep_their_own_noise(data, form, request, rng):
    X, y, _ = request.getfixturevalue(data)
    n, k = len(y), y.max() + 1
    shares = 0.4 * rng.dirichlet(np.ones(k), n) + 0.6 * np.eye(k)[y]
    rates = rng.uniform(0.0, 0.4, (n, k))
    right = rng.random(n) < 0.1
    shares[right], rates[right] = np.eye(k)[y[right]], 0.0
    name = form.split()[0]
    values = shares if name == "label_distribution" else rates if " " in form else rates[:, 0]
    weights = 1.0 - (np.arange(n) % 5 == 0)
    model = NoiseAwareLinearClassifier().fit(X, y, sample_weight=weights, **{name: values})
    everything = NoiseAwareLinearClassifier().fit(X, y, **{name: values})
    np.testing.assert_allclose(model.label_posterior_.sum(1), 1.0)
    np.testing.assert_allclose(model.label_quality_[right], 1.0)
    # The same rows with weight 1 are in the fit, and differ from it no more than that.
    unseen = weights == 0
    gap = model.label_posterior_[unseen] - everything.label_posterior_[unseen]
    assert np.abs(gap).mean() < 0.05
