"""Sparse data with no dense array of their size: the same claims, in little memory."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge

from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")

MOST = 5.0
"""Standard errors of a difference."""


def texts(n, p, n_classes=2, seed=0, rate=0.1, density=0.01):
    """Draw counts of words of unequal frequency, and labels of which some are wrong."""
    rng = np.random.default_rng(seed)
    length = int(density * p)
    words = np.minimum((p * rng.uniform(size=(n, length)) ** 3).astype(int), p - 1)
    rows = np.repeat(np.arange(n), length)
    X = sparse.csr_array((np.ones(rows.size), (rows, words.ravel())), (n, p))
    scores = X @ rng.standard_normal((p, n_classes))
    scores = (scores - scores.mean(0)) / scores.std(0)
    clean = scores.argmax(1) if n_classes > 2 else (scores[:, 0] > 0) * 1
    wrong = rng.uniform(size=n) < rate
    return X, np.where(wrong, (clean + rng.integers(1, n_classes, n)) % n_classes, clean), clean


@pytest.mark.parametrize("n_classes", [2, 3])
def test_claims_are_those_of_dense_data(n_classes):
    X, y, _ = texts(1600, 800, n_classes)
    wide = NoiseAwareLinearClassifier().fit(X, y)
    exact = NoiseAwareLinearClassifier().fit(X.toarray(), y)
    assert (wide.scores_kind_, exact.scores_kind_) == ("folds", "exact")
    seen = [model.held_out_scores_ for model in (wide, exact)]
    decided = [s > 0 if s.ndim == 1 else s.argmax(1) for s in seen]
    differ = (decided[0] != decided[1]).mean()
    # Rows decided differently are right by either fit with equal chance, but for what a tenth of
    # the rows adds: 1/10 of the share that differs is more than that.
    error = MOST * np.sqrt(differ / len(y)) + 0.1 * differ
    assert abs(wide.observed_accuracy_ - exact.observed_accuracy_) < error
    assert differ < 0.1
    np.testing.assert_allclose(
        wide.observed_accuracy_interval_.mean(), wide.observed_accuracy_, atol=0.01
    )


def test_claims_hold_on_fresh_rows():
    X, y, clean = texts(6000, 1000)
    train = slice(0, 2000)
    model = NoiseAwareLinearClassifier().fit(X[train], y[train])
    fresh = model.predict(X[2000:])
    seen, truth = (fresh == y[2000:]).mean(), (fresh == clean[2000:]).mean()
    error = MOST * np.sqrt(0.25 / 2000 + 0.25 / 4000)
    assert abs(model.observed_accuracy_ - seen) < error
    low, high = model.theoretical_accuracy_interval_
    assert low - 0.01 < truth < high + 0.01


def test_a_given_penalty_is_kept():
    X, y, _ = texts(700, 800)
    assert NoiseAwareLinearClassifier(alpha=1e-3).fit(X, y).alphas_.tolist() == [1e-3]


def test_order_of_rows_does_not_matter():
    X, y, _ = texts(1500, 800)
    order = np.random.default_rng(0).permutation(1500)
    one = NoiseAwareLinearClassifier().fit(X, y)
    other = NoiseAwareLinearClassifier().fit(X[order], y[order])
    np.testing.assert_allclose(one.observed_accuracy_, other.observed_accuracy_, atol=1e-6)
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-5 * abs(one.coef_).max())


def test_groups_are_left_out_whole():
    rng = np.random.default_rng(0)
    X, y, _ = texts(400, 900)
    # Five noisy copies of each row, labels with them: rows alone would know their own label.
    X = sparse.vstack([X] * 5, format="csr")
    X = sparse.csr_array(X + sparse.random_array(X.shape, density=1e-3, rng=rng))
    y, groups = np.tile(rng.permutation(y), 5), np.tile(np.arange(400), 5)
    model = NoiseAwareLinearClassifier().fit(X, y, groups=groups)
    assert abs(model.observed_accuracy_ - 0.5) < MOST * np.sqrt(0.25 / 400)


def test_weights_stand_for_rows():
    X, y, _ = texts(1300, 800)
    twice = np.where(np.arange(1300) < 300, 2.0, 1.0)
    one = NoiseAwareLinearClassifier(alpha=1e-2).fit(X, y, sample_weight=twice)
    rows = np.concatenate([np.arange(1300), np.arange(300)])
    other = NoiseAwareLinearClassifier(alpha=1e-2).fit(X[rows], y[rows])
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-5 * abs(one.coef_).max())
    np.testing.assert_allclose(one.observed_accuracy_, other.observed_accuracy_, atol=1e-6)


def test_no_dense_array_of_the_size_of_the_data():
    X, y, _ = texts(6000, 20_000, density=5e-4)
    tracemalloc.start()
    NoiseAwareLinearClassifier().fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A Gram matrix of the rows alone would take 288 MB.
    assert peak < 100e6


def test_tall_sparse_data_take_the_same_route():
    X, y, _ = texts(40_000, 450, density=0.02)
    model = NoiseAwareLinearClassifier().fit(X, y)
    assert model.scores_kind_ == "folds"
    ridge = Ridge(20_000 * model.alpha_, solver="cholesky")
    ridge.fit(X[:20_000].toarray(), 2.0 * y[:20_000] - 1.0)
    seen = ((ridge.predict(X[20_000:]) > 0) == y[20_000:]).mean()
    # Half of the rows give at most half of their number's effect on the accuracy away.
    assert -0.005 < model.observed_accuracy_ - seen < 0.02
