"""Reports on sparse data with no dense array of their size."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifier

from skrmt.model_selection import GeneralizationReport

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def counts(n, p, per_row, seed=0):
    """Draw sparse counts, with scores that depend on them."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, p, n * per_row)
    X = sparse.csr_array(
        (np.ones(n * per_row), (np.repeat(np.arange(n), per_row), columns)), (n, p)
    )
    scores = X @ rng.standard_normal(p) / np.sqrt(per_row)
    return X, scores + 0.5 * rng.standard_normal(n)


@pytest.mark.parametrize("estimator", [RidgeClassifier(), LogisticRegression()])
def test_accuracy_is_that_of_dense_data(estimator):
    X, scores = counts(1500, 700, 20)
    wide = GeneralizationReport(estimator).fit(X, scores > 0)
    exact = GeneralizationReport(estimator).fit(X.toarray(), scores > 0)
    # Both estimate one number, from the same rows: four standard errors of one of them.
    assert abs(wide.observed_score_ - exact.observed_score_) < 4 * np.sqrt(0.25 / 1500)


@pytest.mark.parametrize("estimator", [RidgeClassifier(), Ridge()])
def test_report_makes_no_dense_array_of_the_size_of_the_data(estimator):
    X, scores = counts(5000, 20_000, 10)
    y = scores > 0 if isinstance(estimator, RidgeClassifier) else scores
    tracemalloc.start()
    report = GeneralizationReport(estimator).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(report.observed_score_)
    # The rows alone would take 800 MB, their Gram matrix 200 MB.
    assert peak < 80e6
