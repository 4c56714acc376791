"""Scores of rows left out in closed form equal those of fits without each row."""

import tracemalloc

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge, RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import GeneralizationReport
from skrmt.model_selection._whole_folds import has_closed_form, is_linear
from tests.model_selection.brute_force import centred, neg_log_loss, refits, right

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def assert_exact(model, X, y, weights=None):
    """Check that scores of every third row are those of refits, to 1e-8 of the largest."""
    report = GeneralizationReport(model).fit(X, y, sample_weight=weights)
    assert report.scores_kind_ == "exact"
    rows = np.arange(1, len(y), 3)
    expected = centred(refits(model, X, y, rows, weights))
    gap = np.abs(centred(report.held_out_scores_[rows]) - expected).max()
    assert gap < 1e-8 * np.abs(expected).max()


def clouds(n, p, n_classes=2, seed=0, heavy=False):
    """Return classes of unequal sizes whose features are correlated and of unequal scales."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.permutation(n) % (n_classes + 1) % n_classes)
    X = rng.standard_t(3, (n, p)) if heavy else rng.standard_normal((n, p))
    X = X @ (np.eye(p) + 0.3 * rng.standard_normal((p, p)) / np.sqrt(p)) * rng.uniform(0.3, 3, p)
    X[:, 0] += 2.0 * y
    return X, y


def line(n=50, p=6, seed=0):
    """Return a noisy linear target, and weights whose mean is 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p)) @ (np.eye(p) + 0.5 * rng.standard_normal((p, p))) + 3.0
    weights = rng.uniform(0.5, 2.0, n)
    return X, X[:, 0] + rng.standard_normal(n), weights / weights.mean()


PRIORS = {2: [0.3, 0.7], 3: [0.2, 0.3, 0.5]}


@pytest.mark.parametrize(("n", "p"), [(36, 4), (30, 60)])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("prior", [False, True], ids=["shares", "priors"])
@pytest.mark.parametrize("shrinkage", [0.01, 0.9, 1.0, "auto"])
def test_shrunk_discriminants(shrinkage, prior, n_classes, n, p):
    X, y = clouds(n, p, n_classes, heavy=shrinkage == "auto")
    priors = PRIORS[n_classes] if prior else None
    assert_exact(LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage, priors=priors), X, y)


@pytest.mark.parametrize("solver", ["svd", "lsqr", "eigen"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_discriminants_with_priors(solver, n_classes):
    X, y = clouds(40, 5, n_classes)
    assert_exact(LinearDiscriminantAnalysis(solver, priors=PRIORS[n_classes]), X, y)


@pytest.mark.parametrize("prior", [False, True], ids=["shares", "priors"])
@pytest.mark.parametrize("heavy", [False, True], ids=["normal", "heavy"])
def test_intensities_of_shrinkage_move_to_first_order(heavy, prior):
    """Off by O(1/n^2): measured .03 of what leaving out moves at most; far rows are exact."""
    X, y = clouds(130, 12, 2, heavy=heavy)
    model = LinearDiscriminantAnalysis(
        "lsqr", shrinkage="auto", priors=[0.4, 0.6] if prior else None
    )
    report = GeneralizationReport(model).fit(X, y)
    assert report.scores_kind_ == "newton"
    # Those that first order reaches worst among them: the farthest out.
    plain = report.decision_function(X)
    rows = np.argsort(-np.abs(report.held_out_scores_ - plain))[:40]
    expected = refits(model, X, y, rows)
    gap = np.abs(report.held_out_scores_[rows] - expected).max()
    assert gap < 0.06 * np.abs(expected - plain[rows]).max()


@pytest.mark.parametrize("solver", ["svd", "lsqr"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("prior", [False, True], ids=["shares", "priors"])
def test_discriminants_of_features_that_follow_from_others(prior, n_classes, solver):
    X, y = clouds(40, 6, n_classes)
    X = np.c_[X, X[:, :2] @ [[1.0, 2.0], [3.0, -1.0]], np.ones(40)]
    assert_exact(
        LinearDiscriminantAnalysis(solver, priors=PRIORS[n_classes] if prior else None), X, y
    )


def test_directions_that_discriminants_drop_are_folded():
    """Of scatter below the tolerance of the solver, or none but between classes."""
    X, y = clouds(40, 6)
    nearly = np.c_[X, X[:, 1] + 1e-6 * np.random.default_rng(0).standard_normal(40)]
    for features in (nearly, np.c_[X, y]):
        report = GeneralizationReport(LinearDiscriminantAnalysis()).fit(features, y)
        assert report.scores_kind_ == "folds"


FREQUENT = [
    RidgeClassifier(3.0),
    RidgeClassifier(100.0, fit_intercept=False),
    RidgeClassifier(100.0),
]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", FREQUENT, ids=str)
def test_labels_stay_as_frequent_without_a_row(model, n_classes):
    """Counted are fits in which rows of its label make up for a row: off by O(1/n^2), one row."""
    X, y = clouds(61, 4, n_classes)
    found = GeneralizationReport(model).fit(X, y).observed_accuracy_
    assert found == pytest.approx(right(refits(model, X, y, keep_labels=True), y), abs=1.5 / 61)
    grouped = GeneralizationReport(model).fit(X, y, groups=np.arange(61))
    if grouped.scores_kind_ == "exact":
        assert grouped.observed_accuracy_ == pytest.approx(found, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_labels_stay_as_frequent_after_one_newton_step(n_classes):
    """One step leaves a quarter, at most, of the difference that rarer labels make."""
    X, y = clouds(61, 4, n_classes)
    model = LogisticRegression(C=0.1, tol=1e-8)
    found = GeneralizationReport(model).fit(X, y).theoretical_scores_["neg_log_loss"][0]
    kept, rarer = (neg_log_loss(refits(model, X, y, keep_labels=keep), y) for keep in (True, False))
    assert abs(found - kept) < 0.25 * abs(kept - rarer)


PAIRS = [
    RidgeClassifier(2.0),
    RidgeClassifier(5.0, fit_intercept=False),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(priors=[0.8, 0.2]),
    LogisticRegression(C=0.05, tol=1e-8),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("model", PAIRS, ids=str)
def test_areas_are_of_fits_without_both_rows(model, weighted):
    """Of 210 pairs; one step of Newton's method may leave two in nearly equal places."""
    X, y = clouds(31, 4)
    weights = np.random.default_rng(1).uniform(0.2, 1.8, 31) if weighted else np.ones(31)
    weights /= weights.mean()
    if weighted and isinstance(model, LinearDiscriminantAnalysis):
        pytest.skip("takes no weights")
    given = weights if weighted else None
    found = GeneralizationReport(model).fit(X, y, sample_weight=given).theoretical_scores_
    right_pairs, pairs = 0.0, 0.0
    for i in np.flatnonzero(y == 1):
        for j in np.flatnonzero(y == 0):
            keep = ~np.isin(np.arange(31), [i, j])
            options = {"sample_weight": weights[keep]} if weighted else {}
            up, down = clone(model).fit(X[keep], y[keep], **options).decision_function(X[[i, j]])
            right_pairs += weights[i] * weights[j] * (up > down)
            pairs += weights[i] * weights[j]
    error = 2.5 / pairs if isinstance(model, LogisticRegression) else 1e-12
    assert found["roc_auc"][0] == pytest.approx(right_pairs / pairs, abs=error)


SHRUNK = [
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3),
    LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2, priors=[0.7, 0.3]),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
]


@pytest.mark.parametrize("model", SHRUNK, ids=str)
def test_shrunk_discriminants_rank_from_a_middle_that_stays(model):
    """Along the coefficients of each fit without a row; not from the middle of its means."""
    X, y = clouds(41, 4)
    found = GeneralizationReport(model).fit(X, y).theoretical_scores_["roc_auc"][0]
    middle = (X[y == 0].mean(axis=0) + X[y == 1].mean(axis=0)) / 2.0
    others = [np.arange(41) != i for i in range(41)]
    fits = [clone(model).fit(X[keep], y[keep]) for keep in others]
    ranks = [fit.coef_[0] @ (row - middle) for fit, row in zip(fits, X, strict=True)]
    scores = [fit.decision_function(row[None])[0] for fit, row in zip(fits, X, strict=True)]
    error = 2.5 / 400 if model.shrinkage == "auto" else 1e-12
    assert found == pytest.approx(roc_auc_score(y, ranks), abs=error)
    assert found >= roc_auc_score(y, scores)


@pytest.mark.parametrize("seed", range(3))
def test_equal_rows_of_both_classes_are_even(seed):
    """They differ by rounding alone, by which .02 of all pairs were ranked before."""
    rng = np.random.default_rng(seed)
    X, y = rng.integers(-1, 2, (60, 2)).astype(float), rng.integers(0, 2, 60)
    found = GeneralizationReport(RidgeClassifier()).fit(X, y).theoretical_scores_["roc_auc"][0]
    right_pairs = []
    for i in np.flatnonzero(y == 1):
        for j in np.flatnonzero(y == 0):
            keep = ~np.isin(np.arange(60), [i, j])
            up, down = RidgeClassifier().fit(X[keep], y[keep]).decision_function(X[[i, j]])
            right_pairs.append(0.5 if abs(up - down) < 1e-10 else float(up > down))
    assert found == pytest.approx(np.mean(right_pairs), abs=1e-12)


def test_the_area_of_noise_is_one_half():
    """Scores of rows left out one by one rank noise wrongly: .45 of 24 rows of 5 columns."""
    areas = []
    for seed in range(400):
        X, y = np.random.default_rng(seed).standard_normal((24, 5)), np.arange(24) % 2
        report = GeneralizationReport(RidgeClassifier(1.0)).fit(X, y)
        areas.append(report.theoretical_scores_["roc_auc"][0] - 0.5)
    assert abs(np.mean(areas)) < 4.0 * np.std(areas, ddof=1) / 20.0


@pytest.mark.parametrize("n_classes", [2, 3])
def test_priors_stay_without_a_row(n_classes):
    X, y = clouds(61, 4, n_classes)
    shares = np.bincount(y) / 61
    for options in ({"solver": "svd"}, {"solver": "lsqr", "shrinkage": 0.3}):
        found = GeneralizationReport(LinearDiscriminantAnalysis(**options)).fit(X, y)
        fixed = LinearDiscriminantAnalysis(**options, priors=shares)
        if not found.estimator_.shrinkage:
            expected = neg_log_loss(refits(fixed, X, y), y)
            loss = found.theoretical_scores_["neg_log_loss"][0]
            assert loss == pytest.approx(expected, abs=1e-12)
        same = GeneralizationReport(fixed).fit(X, y).observed_accuracy_
        assert found.observed_accuracy_ == pytest.approx(same, abs=1.5 / 61)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "model",
    [
        RidgeClassifier(100.0),
        LinearDiscriminantAnalysis("lsqr", shrinkage="auto"),
        LogisticRegression(C=0.1),
    ],
    ids=str,
)
def test_chance_is_counted_of_noise_in_few_rows(model, n_classes):
    """A row whose label is rarer without it would be taken for another class: -.15 of ridge."""
    gaps = []
    for seed in range(40):
        X, y = np.random.default_rng(seed).standard_normal((24, 5)), np.arange(24) % n_classes
        gaps.append(GeneralizationReport(model).fit(X, y).observed_accuracy_ - 1.0 / n_classes)
    assert abs(np.mean(gaps)) < 4.0 * np.std(gaps, ddof=1) / np.sqrt(40)


@pytest.mark.filterwarnings("ignore:Only one sample")
def test_classes_of_few_rows_and_constant_features():
    X, y = clouds(34, 4, 2)
    y[:2], X[2:9, 3] = 2, 5.0
    for shrinkage in (0.3, "auto"):
        assert_exact(LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage), X, y)
    X, y = clouds(34, 4, 2)
    X[y == 0, 2], X[5, 3] = 1.0, 50.0
    assert_exact(LinearDiscriminantAnalysis("lsqr", shrinkage="auto"), X, y)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
@pytest.mark.parametrize(
    "model",
    [
        LinearDiscriminantAnalysis("lsqr", shrinkage=0.2),
        LinearDiscriminantAnalysis("lsqr", shrinkage="auto"),
        LinearRegression(),
        LinearRegression(fit_intercept=False),
    ],
    ids=str,
)
def test_the_unit_of_all_features_does_not_matter(model, unit):
    X, y = clouds(36, 4)
    target = y if hasattr(model, "priors") else X[:, 1] / unit + y
    assert_exact(model, X * unit, target)


SCALES = np.logspace(-8, 8, 6)


@pytest.mark.parametrize("shrinkage", [1e-3, 0.2])
def test_features_of_unequal_scales_under_one_target(shrinkage):
    """The target keeps the covariance regular: the refits of scikit-learn are sane."""
    X, y = clouds(36, 6)
    X = np.c_[X[:, 1:], X[:, 0]] * SCALES
    assert_exact(LinearDiscriminantAnalysis("lsqr", shrinkage=shrinkage), X, y)


def test_features_of_unequal_scales_under_a_kernel():
    X, y, weights = line()
    assert_exact(KernelRidge(kernel="rbf", gamma=1e-18), X * SCALES, y, weights)
    assert_exact(KernelRidge(alpha=1e14), X * SCALES, y, weights)


def test_directions_that_least_squares_drops_are_folded():
    X, y, _ = line()
    report = GeneralizationReport(LinearRegression()).fit(X * SCALES, y)
    assert report.estimator_.rank_ < 6
    assert report.scores_kind_ == "folds"
    assert_exact(LinearRegression(), X * np.logspace(-2, 2, 6), y)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
def test_linear_regression(weighted, intercept):
    X, y, weights = line()
    model, weights = LinearRegression(fit_intercept=intercept), weights if weighted else None
    assert_exact(model, X, y, weights)
    assert_exact(model, np.c_[X, X[:, :2]], y, weights)
    # A row that a feature is made for has leverage 1.
    assert_exact(model, np.c_[X, np.arange(len(y)) == 7], y, weights)


def test_linear_regression_without_groups_or_room():
    X, y, weights = line()
    groups = np.arange(50) % 10
    report = GeneralizationReport(LinearRegression()).fit(
        X, y, sample_weight=weights, groups=groups
    )
    assert report.scores_kind_ == "exact"
    for g in range(10):
        out = groups == g
        refit = LinearRegression().fit(X[~out], y[~out], weights[~out])
        np.testing.assert_allclose(report.held_out_scores_[out], refit.predict(X[out]), rtol=1e-8)
    X, y, _ = line(30, 40)
    report = GeneralizationReport(LinearRegression()).fit(X, y)
    assert report.scores_kind_ == "folds"
    with pytest.warns(TheoryWarning, match="all noise"):
        assert np.isnan(report.forecast(n_samples=300).score)


def test_linear_regression_of_copies_and_sparse_rows():
    X, y, _ = line()
    plain = GeneralizationReport(LinearRegression()).fit(X, y)
    twice = GeneralizationReport(LinearRegression()).fit(np.r_[X, X], np.r_[y, y])
    matrix = GeneralizationReport(LinearRegression(tol=1e-12)).fit(sparse.csr_array(X), y)
    for other in (twice, matrix):
        assert other.scores_kind_ == "exact"
        np.testing.assert_allclose(other.held_out_scores_[:50], plain.held_out_scores_, rtol=1e-7)


def test_forecasts_of_linear_regression():
    """Mean error over 24 draws, to 4 standard errors, from 150 rows for fewer and for more."""
    sizes, gaps = (80, 300, 2000), []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        X = rng.standard_normal((4000, 30)) * np.logspace(0, -1, 30)
        y = X @ rng.standard_normal(30) + 1.5 * rng.standard_normal(4000)
        report = GeneralizationReport(LinearRegression()).fit(X[:150], y[:150])
        real = [LinearRegression().fit(X[:n], y[:n]).score(X[2000:], y[2000:]) for n in sizes]
        gap = report.theoretical_r2_ - report.score(X[2000:], y[2000:])
        gaps.append([gap, *(report.forecast(n_samples=sizes).score - real)])
    assert (np.abs(np.mean(gaps, 0)) < 4 * np.std(gaps, axis=0, ddof=1) / np.sqrt(24)).all()


def cubic(a, b):
    """Return a kernel of two rows."""
    return (1.0 + a @ b / 10.0) ** 3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        KernelRidge(),
        KernelRidge(0.1, kernel="rbf", gamma=0.05),
        KernelRidge(2.0, kernel="poly", degree=2, coef0=2),
        KernelRidge(0.5, kernel="laplacian"),
        pytest.param(KernelRidge(0.5, kernel=cubic), id="cubic"),
    ],
    ids=lambda model: str(model.kernel),
)
def test_kernel_ridge(model, weighted):
    X, y, weights = line()
    assert_exact(model, X - 3.0, y, weights if weighted else None)
    assert not np.isfinite(GeneralizationReport(model).fit(X, y).model_score_)


@pytest.mark.parametrize(
    "model",
    [
        GaussianProcessRegressor(RBF(2.0) + WhiteKernel(0.3), optimizer=None),
        GaussianProcessRegressor(RBF(2.0, "fixed"), alpha=0.1),
        GaussianProcessRegressor(RBF(2.0, "fixed"), alpha=np.linspace(0.1, 1.0, 50)),
    ],
    ids=["noise", "fixed", "per_row"],
)
def test_gaussian_processes_with_a_fixed_kernel(model):
    X, y, _ = line()
    report = GeneralizationReport(model).fit(X, y)
    assert report.scores_kind_ == "exact"
    expected = []
    for i in range(50):
        keep = np.arange(50) != i
        alpha = model.alpha[keep] if np.ndim(model.alpha) else model.alpha
        fitted = clone(model).set_params(alpha=alpha).fit(X[keep], y[keep])
        expected.append(fitted.predict(X[[i]])[0])
    np.testing.assert_allclose(report.held_out_scores_, expected, rtol=1e-8, atol=1e-8)


def test_tables_of_counts_leave_one_person_out():
    """Weights that count people, in a table of few rows, are as many rows of one each."""
    rng = np.random.default_rng(0)
    table = np.repeat(np.eye(3), 2, axis=0)
    y, counts = np.tile([0.0, 1.0], 3), rng.integers(5, 20, 6).astype(float)
    for model in (KernelRidge(), LinearRegression()):
        report = GeneralizationReport(model).fit(table, y, sample_weight=counts)
        assert report.n_effective_samples_ == counts.sum()
        for i in range(6):
            left = counts - (np.arange(6) == i)
            expected = clone(model).fit(table, y, left).predict(table[[i]])[0]
            assert report.held_out_scores_[i] == pytest.approx(expected, rel=1e-8)


def test_which_estimators_have_a_closed_form():
    fixed = GaussianProcessRegressor(RBF(1.0, "fixed"))
    for model in (LinearRegression(), KernelRidge(), fixed):
        assert has_closed_form(make_pipeline(StandardScaler(), model))
        assert not has_closed_form(make_pipeline(PCA(), model))
    assert is_linear(LinearRegression())
    assert not is_linear(KernelRidge())
    for model in (
        LinearRegression(positive=True),
        KernelRidge(kernel="precomputed"),
        GaussianProcessRegressor(RBF(1.0)),
        GaussianProcessRegressor(RBF(1.0, "fixed"), normalize_y=True),
    ):
        assert not has_closed_form(model)


@pytest.mark.filterwarnings("ignore:Singular matrix")
def test_kernels_without_an_inverse_are_folded():
    X, y, _ = line()
    for model in (KernelRidge(1e-10), KernelRidge(0.1, kernel="sigmoid", coef0=-1.0)):
        assert GeneralizationReport(model).fit(X - 3.0, y).scores_kind_ == "folds"


def test_the_curve_of_a_kernel_is_measured():
    X, y, _ = line()
    report = GeneralizationReport(KernelRidge()).fit(X - 3.0, y)
    assert np.isfinite(report.forecast(n_samples=500).score)
    assert "in closed form, exactly" in report.summary()


@pytest.mark.parametrize(
    "model",
    [Ridge(), RidgeClassifier(), LinearDiscriminantAnalysis(), LogisticRegression(C=1e-5)],
    ids=str,
)
def test_wide_rows_take_no_square_of_the_features(model):
    X = np.random.default_rng(0).standard_normal((12, 20_000))
    y = np.arange(12) % 2
    tracemalloc.start()
    GeneralizationReport(model).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # A few dozen copies of X, 2 MB each; the square would be 3.2 GB.
    assert peak < 60e6


@pytest.mark.parametrize("intercept", [True, False])
def test_newton_steps_of_wide_rows(intercept):
    """As exact as those of narrow rows: a tenth of what leaving out moves at most."""
    X, y = clouds(40, 120)
    model = LogisticRegression(C=1e-3, fit_intercept=intercept, tol=1e-10, max_iter=10_000)
    report = GeneralizationReport(model).fit(X, y)
    assert report.scores_kind_ == "newton"
    plain, rows = report.decision_function(X), np.arange(0, 40, 3)
    expected = refits(model, X, y, rows)
    gap = np.abs(report.held_out_scores_[rows] - expected).max()
    assert gap < 0.1 * np.abs(expected - plain[rows]).max()
