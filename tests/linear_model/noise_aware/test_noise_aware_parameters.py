"""Parameters and fitted attributes of NoiseAwareLinearClassifier, against direct formulas."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier
from skrmt.model_selection._clean_labels import label_likelihood, symmetric_noise
from skrmt.theory.noisy_labels import optimal_perturbation

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
RATES = (0.15, 0.3)


def unit(x):
    """Return an array of norm 1."""
    return x / np.linalg.norm(x)


def assert_same_model(one, other, rtol=1e-9):
    """Compare every fitted number of two models."""
    names = {name for name in vars(one) if name.endswith("_") and not name.startswith("_")}
    assert names == {n for n in vars(other) if n.endswith("_") and not n.startswith("_")}
    for name in names:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, (str, bool)) or np.asarray(a).dtype.kind in "USO":
            assert np.array_equal(a, b), name
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("method", ["threshold", "lpc"])
def test_attributes_of_two_classes(binary, method):
    X, y, _ = binary
    model = NoiseAwareLinearClassifier(method=method).fit(X, y)
    shapes = {
        "classes_": (2,),
        "coef_": (1, 40),
        "intercept_": (1,),
        "alphas_": (29,),
        "noise_matrix_": (2, 2),
        "noise_rates_": (2,),
        "noise_rates_std_": (2,),
        "class_prior_": (2,),
        "perturbation_": (2,),
        "theoretical_accuracy_interval_": (2,),
        "theoretical_accuracy_path_": (29,),
        "observed_accuracy_interval_": (2,),
        "score_means_": (2,),
        "score_variances_": (2,),
        "held_out_scores_": (300,),
        "label_posterior_": (300, 2),
        "label_quality_": (300,),
    }
    for name, shape in shapes.items():
        assert getattr(model, name).shape == shape, name
    scalars = ("theoretical_accuracy_", "observed_accuracy_", "model_accuracy_", "bayes_accuracy_")
    for name in (*scalars, "alpha_", "threshold_", "snr_", "model_fit_pvalue_"):
        assert type(getattr(model, name)) is float, name
    assert all(0.5 < getattr(model, name) <= 1.0 for name in scalars)
    assert type(model.model_fit_) is bool and 0.0 <= model.noise_probability_ <= 1.0
    assert model.regime_ in {"detected", "ambiguous", "misfit"}
    low, high = model.theoretical_accuracy_interval_
    assert 0.0 <= low < model.theoretical_accuracy_ < high <= 1.0
    low, high = model.observed_accuracy_interval_
    assert 0.0 <= low < model.observed_accuracy_ < high <= 1.0
    assert model.scores_kind_ == "exact"
    assert model.score_means_[0] < 0 < model.score_means_[1]
    assert np.isnan(model.perturbation_).all() == (method != "lpc")
    assert model.n_effective_samples_ == 300.0


@pytest.mark.parametrize("method", ["threshold", "lpc"])
def test_attributes_of_three_classes(three, method):
    X, y, _ = three
    model = NoiseAwareLinearClassifier(method=method).fit(X, y)
    shapes = {
        "coef_": (3, 20),
        "intercept_": (3,),
        "noise_matrix_": (3, 3),
        "class_prior_": (3,),
        "score_means_": (3, 3),
        "score_variances_": (3, 3),
        "held_out_scores_": (360, 3),
        "label_posterior_": (360, 3),
    }
    for name, shape in shapes.items():
        assert getattr(model, name).shape == shape, name
    assert np.isnan(model.threshold_) and np.isnan(model.bayes_accuracy_)
    assert (model.noise_rates_std_ >= 0).all() and np.isnan(model.perturbation_).all()
    assert (np.argmax(model.score_means_, axis=1) == np.arange(3)).all()
    assert 0.5 < model.model_accuracy_ <= 1.0
    assert model.decision_function(X).shape == (360, 3)


@pytest.mark.parametrize("data", ["binary", "three"])
def test_consistency_of_attributes(data, request):
    X, y, clean = request.getfixturevalue(data)
    model = NoiseAwareLinearClassifier().fit(X, y)
    np.testing.assert_allclose(model.noise_matrix_.sum(1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.noise_rates_, 1.0 - np.diag(model.noise_matrix_), rtol=1e-12)
    assert model.class_prior_.sum() == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(model.label_posterior_.sum(1), 1.0, rtol=1e-12)
    rows = np.arange(len(y))
    np.testing.assert_array_equal(model.label_quality_, model.label_posterior_[rows, y])
    chosen = np.flatnonzero(model.alphas_ == model.alpha_)
    assert model.theoretical_accuracy_path_[chosen[0]] == pytest.approx(
        model.theoretical_accuracy_, abs=1e-12
    )
    assert (np.diff(model.alphas_) > 0).all()
    assert (model.label_posterior_.argmax(1) == clean).mean() > (y == clean).mean()


@pytest.mark.parametrize("data", ["binary", "three"])
def test_posterior_follows_the_score_and_the_label(data, request):
    """A label raises the probability of its own class, and so does the class's score."""
    X, y, _ = request.getfixturevalue(data)
    model = NoiseAwareLinearClassifier(noise_rates=0.2).fit(X, y)
    scores, posterior = model.held_out_scores_, model.label_posterior_
    if data == "binary":
        odds = np.log(0.8 / 0.2)
        share = 1.0 / (1.0 + np.exp(-scores - np.where(y == 1, odds, -odds)))
        # The mean over links, of better scores, is no exact logistic function of the score.
        assert np.abs(posterior[:, 1] - share).mean() < 0.05
    else:
        logits = scores + np.log(label_likelihood(y, model.noise_matrix_))
        assert (posterior.argmax(1) == logits.argmax(1)).mean() > 0.97


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_clean_labels_give_the_ridge(binary, alpha, fit_intercept):
    X, _, clean = binary
    model = NoiseAwareLinearClassifier(
        alpha, noise_rates=None, method="threshold", fit_intercept=fit_intercept
    ).fit(X, clean)
    ridge = Ridge(alpha=300 * alpha, fit_intercept=fit_intercept).fit(X, 2.0 * clean - 1.0)
    np.testing.assert_allclose(unit(model.coef_[0]), unit(ridge.coef_), rtol=1e-8, atol=1e-10)
    ratio = np.linalg.norm(model.coef_) / np.linalg.norm(ridge.coef_)
    cut = ratio * (ridge.intercept_ - model.threshold_)
    assert model.intercept_[0] == pytest.approx(cut, rel=1e-7, abs=1e-8)


def test_clean_labels_have_no_noise(binary):
    X, _, clean = binary
    model = NoiseAwareLinearClassifier(noise_rates=None).fit(X, clean)
    np.testing.assert_array_equal(model.noise_matrix_, np.eye(2))
    assert model.noise_probability_ == 0.0 and np.isnan(model.accuracy_if_noisy_)
    assert model.accuracy_if_clean_ == model.theoretical_accuracy_


def test_clean_labels_of_three_classes_give_the_ridge(three):
    """The scores are an affine map of those of the one-hot ridge: the same span of coefficients."""
    X, _, clean = three
    model = NoiseAwareLinearClassifier(0.5, noise_rates=None).fit(X, clean)
    ridge = Ridge(alpha=180.0).fit(X, np.eye(3)[clean])
    residual = np.linalg.lstsq(ridge.coef_.T, model.coef_.T, rcond=None)[1]
    assert residual.size == 0 or (residual <= 1e-16 * np.sum(model.coef_**2)).all()
    basis = np.linalg.svd(ridge.coef_, full_matrices=False)[2][:2]
    outside = model.coef_ - model.coef_ @ basis.T @ basis
    assert np.abs(outside).max() <= 1e-8 * np.abs(model.coef_).max()


@pytest.mark.parametrize("method", ["threshold", "lpc"])
def test_forms_of_the_noise_rates_are_one(binary, method):
    X, y, _ = binary
    forms = [0.2, [0.2, 0.2], np.array([[0.8, 0.2], [0.2, 0.8]])]
    models = [NoiseAwareLinearClassifier(noise_rates=f, method=method).fit(X, y) for f in forms]
    for other in models[1:]:
        assert_same_model(models[0], other)
    np.testing.assert_allclose(models[0].noise_matrix_, symmetric_noise(2, 0.2), rtol=1e-14)
    np.testing.assert_allclose(models[0].noise_rates_std_, 0.0, atol=1e-15)


def test_forms_of_the_noise_rates_are_one_for_three_classes(three):
    X, y, _ = three
    forms = [0.25, [0.25] * 3, symmetric_noise(3, 0.25)]
    models = [NoiseAwareLinearClassifier(noise_rates=f).fit(X, y) for f in forms]
    for other in models[1:]:
        assert_same_model(models[0], other)


@pytest.mark.parametrize("alpha", [0.1, 10.0, np.inf])
@pytest.mark.parametrize("perturbation", ["optimal", "unbiased", "naive", (-0.5, 0.2)])
def test_perturbed_classifier_of_two_classes(binary, alpha, perturbation):
    """Q X^T t / n with the lambdas of section 2."""
    X, y, _ = binary
    X = X - 0.3
    model = NoiseAwareLinearClassifier(
        alpha, noise_rates=RATES, method="lpc", perturbation=perturbation
    ).fit(X, y)
    prior = (np.mean(y) - RATES[0]) / (1.0 - sum(RATES))
    named = {
        "optimal": optimal_perturbation(prior, RATES, rho_negative=None),
        "unbiased": RATES,
        "naive": (0.0, 0.0),
    }
    minus, plus = named.get(perturbation, perturbation)
    np.testing.assert_allclose(model.perturbation_, (minus, plus), rtol=1e-6, atol=1e-9)
    up = (1 - minus + plus) / (1 - minus - plus)
    down = (1 - plus + minus) / (1 - minus - plus)
    w = X.T @ np.where(y == 1, up, -down) / 300
    if np.isfinite(alpha):
        w = np.linalg.solve(X.T @ X / 300 + alpha * np.eye(40), w)
    np.testing.assert_allclose(unit(model.coef_[0]), unit(w), rtol=1e-5, atol=1e-6)
    assert model.intercept_[0] == 0.0 and model.threshold_ == 0.0


@pytest.mark.parametrize("alpha", [0.1, np.inf])
@pytest.mark.parametrize("perturbation", ["optimal", "unbiased", "naive"])
def test_perturbed_classifier_of_three_classes(three, alpha, perturbation):
    X, y, _ = three
    noise = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]])
    prior = np.array([0.4, 0.3, 0.3])
    model = NoiseAwareLinearClassifier(
        alpha, noise_rates=noise, method="lpc", perturbation=perturbation, class_prior=prior
    ).fit(X, y)
    joint = prior[:, None] * noise
    rows = {
        "optimal": (joint / joint.sum(0)).T,
        "unbiased": np.linalg.inv(noise),
        "naive": np.eye(3),
    }[perturbation]
    w = X.T @ rows[y] / 360
    if np.isfinite(alpha):
        w = np.linalg.solve(X.T @ X / 360 + alpha * np.eye(20), w)
    np.testing.assert_allclose(unit(model.coef_), unit(w.T), rtol=1e-7, atol=1e-9)
    np.testing.assert_array_equal(model.intercept_, 0.0)
    assert np.isnan(model.perturbation_).all()


def test_perturbation_moves_only_the_intercept_where_there_is_one(binary):
    X, y, _ = binary
    pairs = [(0.0, 0.0), (-0.3, 0.2)]
    models = [
        NoiseAwareLinearClassifier(
            1.0, noise_rates=RATES, method="lpc", perturbation=pair, fit_intercept=True
        ).fit(X, y)
        for pair in pairs
    ]
    directions = [unit(model.coef_[0]) for model in models]
    np.testing.assert_allclose(*directions, rtol=1e-8, atol=1e-10)
    cuts = [m.intercept_[0] / np.linalg.norm(m.coef_) for m in models]
    naive = Ridge(alpha=300.0).fit(X, 2.0 * y - 1.0)
    size = np.linalg.norm(naive.coef_)
    assert cuts[0] == pytest.approx(naive.intercept_ / size, rel=1e-7)
    assert cuts[1] == pytest.approx((naive.intercept_ + 0.5) / size, rel=1e-7)


def test_penalties_of_every_form(binary):
    X, y, _ = binary
    one = NoiseAwareLinearClassifier(2.0).fit(X, y)
    assert one.alpha_ == 2.0
    np.testing.assert_array_equal(one.alphas_, [2.0])
    np.testing.assert_array_equal(one.theoretical_accuracy_path_, [one.theoretical_accuracy_])
    path = NoiseAwareLinearClassifier([5.0, 0.1, np.inf, 0.1]).fit(X, y)
    np.testing.assert_array_equal(path.alphas_, [0.1, 5.0, np.inf])
    assert path.alpha_ in path.alphas_
    auto = NoiseAwareLinearClassifier().fit(X, y)
    level = np.mean(X.var(axis=0))
    np.testing.assert_allclose(auto.alphas_, np.logspace(-4, 3, 29) * level, rtol=1e-9)
    again = NoiseAwareLinearClassifier(auto.alphas_).fit(X, y)
    assert_same_model(auto, again, rtol=1e-7)


def test_infinite_penalty_is_the_difference_of_class_means(binary):
    """A large penalty shrinks no direction by more than top eigenvalue / alpha from the limit."""
    X, y, _ = binary
    model = NoiseAwareLinearClassifier(np.inf, method="threshold").fit(X, y)
    difference = X[y == 1].mean(0) - X[y == 0].mean(0)
    np.testing.assert_allclose(unit(model.coef_[0]), unit(difference), rtol=1e-8, atol=1e-10)
    top = np.linalg.eigvalsh(np.cov(X.T))[-1]
    for alpha in (1e3, 1e5):
        large = NoiseAwareLinearClassifier(alpha, method="threshold").fit(X, y)
        change = np.linalg.norm(unit(large.coef_[0]) - unit(model.coef_[0]))
        assert change <= top / alpha


def test_known_prior_is_kept(binary, three):
    for (X, y, _), prior in ((binary, [0.4, 0.6]), (three, [0.3, 0.3, 0.4])):
        model = NoiseAwareLinearClassifier(noise_rates=0.2, class_prior=prior).fit(X, y)
        np.testing.assert_allclose(model.class_prior_, prior, rtol=1e-9)
    learned = NoiseAwareLinearClassifier(class_prior=[0.45, 0.55]).fit(*binary[:2])
    np.testing.assert_allclose(learned.class_prior_, [0.45, 0.55], rtol=1e-6)


def test_order_of_the_classes_is_sorted(binary):
    """Names that reverse the order swap rates, prior and sign."""
    X, y, _ = binary
    one = NoiseAwareLinearClassifier(noise_rates=RATES).fit(X, y)
    names = np.array(["z", "a"])
    other = NoiseAwareLinearClassifier(noise_rates=RATES[::-1]).fit(X, names[y])
    assert other.classes_.tolist() == ["a", "z"]
    np.testing.assert_allclose(other.coef_, -one.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(other.class_prior_, one.class_prior_[::-1], rtol=1e-9)
    np.testing.assert_allclose(other.score_means_, -one.score_means_[::-1], rtol=1e-8)
    np.testing.assert_array_equal(other.predict(X), names[one.predict(X)])
    assert other.theoretical_accuracy_ == pytest.approx(one.theoretical_accuracy_, rel=1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_constant_sample_noise_is_class_noise(binary, three, n_classes):
    """Targets are then an affine function of one-hot codes; for K > 2, where covariances are
    shrunk, of equal slopes if noise and prior are symmetric."""
    X, y, _ = binary if n_classes == 2 else three
    rates = np.array([0.15, 0.3]) if n_classes == 2 else np.full(3, 0.25)
    parameters = {"alpha": 1.0, "method": "threshold"}
    if n_classes == 3:
        parameters["class_prior"] = np.full(3, 1 / 3)
    known = NoiseAwareLinearClassifier(noise_rates=rates, **parameters).fit(X, y)
    rows = NoiseAwareLinearClassifier(**parameters)
    rows.fit(X, y, sample_noise=np.tile(rates, (len(y), 1)))
    for name in ("class_prior_", "coef_", "intercept_", "held_out_scores_", "label_posterior_"):
        np.testing.assert_allclose(
            getattr(rows, name), getattr(known, name), rtol=1e-6, atol=1e-7, err_msg=name
        )
    for name in ("theoretical_accuracy_", "observed_accuracy_", "model_fit_pvalue_"):
        assert getattr(rows, name) == pytest.approx(getattr(known, name), rel=1e-6), name
    np.testing.assert_allclose(rows.noise_rates_, rates, atol=4 * np.sqrt(0.25 / 60))


def test_constant_symmetric_sample_noise_of_one_column(binary):
    X, y, _ = binary
    one = NoiseAwareLinearClassifier().fit(X, y, sample_noise=np.full(300, 0.2))
    two = NoiseAwareLinearClassifier().fit(X, y, sample_noise=np.full((300, 2), 0.2))
    assert_same_model(one, two)
    np.testing.assert_allclose(one.noise_rates_std_, 0.0, atol=1e-15)


def test_label_distribution_that_is_one_hot_is_clean_labels(binary):
    X, _, clean = binary
    sure = NoiseAwareLinearClassifier(1.0).fit(X, clean, label_distribution=np.eye(2)[clean])
    known = NoiseAwareLinearClassifier(
        1.0, noise_rates=None, class_prior=[np.mean(clean == 0), np.mean(clean)]
    ).fit(X, clean)
    np.testing.assert_allclose(sure.decision_function(X), known.decision_function(X), rtol=1e-6)


def test_label_distribution_replaces_the_labels(binary):
    X, y, clean = binary
    rng = np.random.default_rng(3)
    share = np.clip(np.where(clean, 0.8, 0.2) + 0.15 * rng.standard_normal(300), 0.01, 0.99)
    soft = np.stack([1.0 - share, share], axis=1)
    model = NoiseAwareLinearClassifier().fit(X, y, label_distribution=soft)
    assert model.score(X, clean) > 0.9
    other = NoiseAwareLinearClassifier().fit(X, 1 - y, label_distribution=soft)
    assert_same_model(other, model)
    rows = np.arange(300)
    np.testing.assert_array_equal(
        model.label_quality_, model.label_posterior_[rows, soft.argmax(1)]
    )
    low, high = model.forecast(n_samples=[100, 1000]).score
    assert low < high


@pytest.mark.parametrize("rate", [0.0, 0.5, 0.9, 1.0])
def test_sample_noise_of_any_size(binary, rate):
    """Labels that are wrong in 90 % of the rows say as much as those wrong in 10 %."""
    X, y, _ = binary
    rates = np.clip(rate + np.linspace(-0.02, 0.02, 300), 0.0, 1.0)
    model = NoiseAwareLinearClassifier(1.0).fit(X, y, sample_noise=rates)
    assert np.isfinite(model.coef_).all()
    assert 0.0 <= model.forecast(n_samples=1000).score <= 1.0
    if rate > 0.5:
        other = NoiseAwareLinearClassifier(1.0).fit(X, 1 - y, sample_noise=1 - rates)
        for name in ("coef_", "theoretical_accuracy_", "model_accuracy_", "label_posterior_"):
            np.testing.assert_allclose(
                getattr(model, name), getattr(other, name), rtol=1e-9, atol=1e-9, err_msg=name
            )


def test_ten_classes():
    X, y, clean, _ = make_noisy_mixture(
        800, 40, n_classes=10, mean_norm=4.0, noise_rates=0.3, random_state=0
    )
    model = NoiseAwareLinearClassifier().fit(X, y)
    assert model.coef_.shape == (10, 40)
    assert model.score(X, clean) > 0.93
    low, high = model.theoretical_accuracy_interval_
    assert low <= model.score(X, clean) <= high
    np.testing.assert_allclose(model.noise_rates_.mean(), 0.3, atol=4 * np.sqrt(0.21 / 800) + 0.02)


@pytest.mark.parametrize("method", ["threshold", "lpc"])
def test_more_features_than_rows(method, exact_accuracy):
    X, y, _, means = make_noisy_mixture(150, 900, mean_norm=3.5, random_state=0)
    model = NoiseAwareLinearClassifier(method=method).fit(X, y)
    assert model.coef_.shape == (1, 900)
    low, high = model.theoretical_accuracy_interval_
    assert low <= exact_accuracy(model, means, (0.5, 0.5)) <= high


@pytest.mark.parametrize("data", ["binary", "three"])
def test_fitted_attributes_share_no_memory_with_arguments(data, request):
    X, y, _ = request.getfixturevalue(data)
    k = y.max() + 1
    arrays = {
        "alpha": np.array([0.1, 1.0]),
        "noise_rates": symmetric_noise(k, 0.2),
        "class_prior": np.full(k, 1.0 / k),
    }
    if k == 2:
        arrays["perturbation"] = np.array([0.1, 0.2])
    weights = np.ones(len(y))
    model = NoiseAwareLinearClassifier(method="lpc", **arrays).fit(X, y, weights)
    for name, value in vars(model).items():
        if name.endswith("_") and isinstance(value, np.ndarray):
            for given in (X, y, weights, *arrays.values()):
                assert not np.shares_memory(value, given), name


@pytest.mark.parametrize("data", ["binary", "three"])
@pytest.mark.parametrize("form", ["rate", "rows", "rows and classes", "distribution"])
def test_known_rates_have_no_standard_deviation(data, form, request, rng):
    X, y, _ = request.getfixturevalue(data)
    k = y.max() + 1
    shares = rng.uniform(0.0, 0.5, (len(y), k)) + np.eye(k)[y]
    options = {
        "rate": {},
        "rows": {"sample_noise": rng.uniform(0.0, 0.4, len(y))},
        "rows and classes": {"sample_noise": rng.uniform(0.0, 0.4, (len(y), k))},
        "distribution": {"label_distribution": shares / shares.sum(1, keepdims=True)},
    }[form]
    model = NoiseAwareLinearClassifier(noise_rates=0.2).fit(X, y, **options)
    np.testing.assert_allclose(model.noise_rates_std_, np.zeros(k), atol=1e-15)
