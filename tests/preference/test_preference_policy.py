"""PreferencePolicy: its optimum, its leave-one-out, its claims, its errors."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import expit, ndtr
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.svm import LinearSVC

from skrmt.exceptions import TheoryWarning
from skrmt.preference import PreferencePolicy, preference_loss

CONVEX = ["dpo", "cdpo", "robust", "ipo", "sigmoid_norm", "simpo"]
NON_CONVEX = ["exo", "discopop"]
NORMALISED = ["nca", "bco", "sppo", "apo_zero", "apo_down", "kto", "sft", "cpo", "orpo"]


def differences(n=300, F=12, signal=1.5, noise=0.0, seed=0, scale=None):
    """Return chosen minus rejected features, the mean, and outcomes of a random presentation."""
    rng = np.random.default_rng(seed)
    mu = rng.standard_normal(F)
    mu *= np.sqrt(signal) / np.linalg.norm(mu)
    D = mu + rng.standard_normal((n, F))
    if scale is not None:
        D, mu = D * scale, mu * scale
    D[rng.random(n) < noise] *= -1
    order = np.where(rng.random(n) < 0.5, 1, -1)
    return D, mu, order


def candidate_sets(n=80, K=4, F=3, seed=0):
    """Return features, log-reference and choices drawn from a log-linear policy."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, K, F))
    reward = X @ np.array([1.0, -0.5, 0.3])[:F]
    y = np.empty((n, 2), int)
    for i in range(n):
        a, b = rng.choice(K, 2, replace=False)
        first = rng.random() < 1 / (1 + np.exp(reward[i, b] - reward[i, a]))
        y[i] = (a, b) if first else (b, a)
    return X, rng.standard_normal((n, K)), y


def quiet(policy, *data, **arguments):
    """Fit without the warning of losses that are not convex."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TheoryWarning)
        return policy.fit(*data, **arguments)


@pytest.mark.parametrize("beta", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("alpha", [1e-3, 0.1])
def test_dpo_is_logistic_regression(beta, alpha):
    D, _, order = differences()
    policy = PreferencePolicy("dpo", beta=beta, alpha=alpha).fit(D * order[:, None], order)
    rival = LogisticRegression(
        fit_intercept=False, C=beta**2 / (4 * len(D) * alpha), tol=1e-12, max_iter=10_000
    ).fit(np.r_[D, -D], np.repeat([1, 0], len(D)))
    assert_allclose(policy.coef_, rival.coef_[0] / beta, atol=1e-6)


def test_dpo_on_many_rows_is_logistic_regression():
    """The path that starts from a part of the rows."""
    D, _, order = differences(n=24_000, F=5)
    policy = PreferencePolicy("dpo", alpha=1e-3).fit(D * order[:, None], order)
    rival = LogisticRegression(
        fit_intercept=False, C=1 / (2 * len(D) * 1e-3), solver="newton-cholesky", tol=1e-12
    ).fit(D * order[:, None], order)
    assert_allclose(policy.coef_, rival.coef_[0], atol=1e-6)


def test_ipo_is_ridge_regression():
    D, _, order = differences(F=30)
    policy = PreferencePolicy("ipo", beta=0.4, alpha=0.2).fit(D * order[:, None], order)
    rival = Ridge(alpha=0.2 * len(D), fit_intercept=False, tol=1e-12)
    rival.fit(D, np.full(len(D), 1 / (2 * 0.4)))
    assert_allclose(policy.coef_, rival.coef_, rtol=1e-9)


def test_hinge_is_a_support_vector_machine():
    D, _, order = differences(n=200, F=5)
    beta, alpha = 0.7, 0.05
    policy = PreferencePolicy("hinge", beta=beta, alpha=alpha).fit(D * order[:, None], order)
    rival = LinearSVC(
        loss="hinge",
        fit_intercept=False,
        C=beta**2 / (2 * alpha * len(D)),
        tol=1e-10,
        max_iter=10**6,
        random_state=0,
    ).fit(D * order[:, None], order)
    assert_allclose(policy.coef_, rival.coef_[0] / beta, atol=1e-4)


@pytest.mark.parametrize("name", [*CONVEX, *NON_CONVEX])
def test_the_gradient_of_the_objective_vanishes(name):
    """Against central differences of the public loss."""
    D, _, order = differences(n=60, F=3)
    beta, alpha, noise = 0.8, 0.05, 0.1
    policy = quiet(
        PreferencePolicy(name, beta=beta, alpha=alpha, noise_rate=noise), D * order[:, None], order
    )
    lengths = {"chosen_lengths": 1, "rejected_lengths": 1}
    extra = lengths if name in ("sigmoid_norm", "simpo") else {}
    if name in ("cdpo", "robust", "exo"):
        extra = {"label_smoothing": noise}

    def objective(u):
        zeros = np.zeros(len(D))
        loss = preference_loss(name, D @ u, zeros, zeros, zeros, beta=beta, **extra)
        return loss.mean() + alpha * u @ u

    steps = 1e-5 * np.eye(3)
    slope = [objective(policy.coef_ + s) - objective(policy.coef_ - s) for s in steps]
    assert_allclose(np.array(slope) / 2e-5, 0, atol=1e-7)


@pytest.mark.parametrize("name", NORMALISED)
def test_losses_of_candidate_sets_reach_a_stationary_point(name):
    X, base, y = candidate_sets()
    beta, alpha = 0.9, 0.05
    policy = quiet(PreferencePolicy(name, beta=beta, alpha=alpha), X, y, log_reference=base)
    rows = np.arange(len(X))
    extra = {"chosen_lengths": 1, "rejected_lengths": 1} if name == "orpo" else {}

    def logs(u):
        logits = base + X @ u
        return logits - np.logaddexp.reduce(logits, axis=1)[:, None]

    reference = logs(np.zeros(3))

    def objective(u):
        arrays = [table[rows, y[:, side]] for table in (logs(u), reference) for side in (0, 1)]
        return preference_loss(name, *arrays, beta=beta, **extra).mean() + alpha * u @ u

    steps = 1e-5 * np.eye(3)
    slope = [objective(policy.coef_ + s) - objective(policy.coef_ - s) for s in steps]
    assert_allclose(np.array(slope) / 2e-5, 0, atol=1e-6)


def test_slic_reaches_its_minimum_on_corners():
    X, base, y = candidate_sets()
    policy = quiet(PreferencePolicy("slic", alpha=0.05), X, y, log_reference=base)
    rows, rng = np.arange(len(X)), np.random.default_rng(0)

    def objective(u):
        logits = base + X @ u
        logs = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        chosen, rejected = logs[rows, y[:, 0]], logs[rows, y[:, 1]]
        return (np.maximum(0, 1 - chosen + rejected) - chosen).mean() + 0.05 * u @ u

    least = objective(policy.coef_)
    for size in (1e-1, 1e-2, 1e-3):
        around = policy.coef_ + size * rng.standard_normal((200, 3))
        assert min(objective(u) for u in around) > least - 1e-6
    assert np.isnan(policy.theoretical_accuracy_)


def leave_out(policy, X, y, i, n, **arguments):
    """Refit without a row, the penalty per weight of all rows kept."""
    kept = np.arange(n) != i
    refit = type(policy)(**policy.get_params())
    refit.set_params(alpha=policy.alpha_ * n / (n - 1))
    arguments = {name: value[kept] for name, value in arguments.items()}
    return quiet(refit, X[kept], y[kept], **arguments)


def test_leave_one_out_of_ipo_is_exact():
    D, _, order = differences(n=60, F=20)
    X = D * order[:, None]
    policy = PreferencePolicy("ipo", alpha=0.1).fit(X, order)
    refits = [leave_out(policy, X, order, i, 60).coef_ @ D[i] for i in range(60)]
    assert_allclose(policy.held_out_scores_, refits, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", [*CONVEX, "hinge"])
def test_leave_one_out_of_convex_losses_is_one_newton_step(name):
    """The step leaves an error of second order in the change of the margin."""
    D, _, order = differences(n=100, F=8)
    X = D * order[:, None]
    policy = PreferencePolicy(name, alpha=0.05, noise_rate=0.05).fit(X, order)
    some = np.arange(0, 100, 2)
    refits = np.array([leave_out(policy, X, order, i, 100).coef_ @ D[i] for i in some])
    change = np.abs(refits - D[some] @ policy.coef_)
    left_out = policy.held_out_scores_[some]
    error = np.abs(left_out - refits)
    # Rows that enter or leave the corner of the hinge are beyond one step.
    limit = 0.7 if name == "hinge" else 0.12
    assert error.mean() < limit * change.mean()
    assert abs(np.mean(left_out > 0) - np.mean(refits > 0)) <= 0.02
    if name != "hinge":
        assert np.all(error < 0.5 * change + 1e-6)


@pytest.mark.parametrize("gap", [1.0, 1e-4])
def test_leverages_of_many_pairs_are_right_where_columns_nearly_agree(rng, gap):
    """The Hessian is from where the gradient is 1e-4 of that at 0; single precision misses more."""
    n = 6000
    base = rng.standard_normal((n, 1))
    X = np.hstack([base, base + gap * rng.standard_normal((n, 1)), rng.standard_normal((n, 3))])
    y = np.where(rng.random(n) < expit(X[:, 0] + X[:, 2]), 1, -1)
    policy = PreferencePolicy(alpha=1e-14).fit(X, y)
    D = X * y[:, None]
    margins = D @ policy.coef_
    against = expit(-margins)
    bend = against * (1 - against) / n
    whitened = np.linalg.solve(np.linalg.cholesky((D * bend[:, None]).T @ D), D.T)
    lever = (whitened**2).sum(axis=0)
    change = -against / n * lever / (1 - bend * lever)
    error = np.abs(policy.held_out_scores_ - margins - change)
    assert error.max() < 1e-4 * np.abs(change).max()


@pytest.mark.parametrize("name", ["sft", "cpo"])
def test_leave_one_out_of_convex_losses_of_candidate_sets(name):
    X, base, y = candidate_sets(n=60)
    policy = PreferencePolicy(name, alpha=0.02).fit(X, y, log_reference=base)
    rows = np.arange(60)
    D = X[rows, y[:, 0]] - X[rows, y[:, 1]]
    refits = [leave_out(policy, X, y, i, 60, log_reference=base).coef_ @ D[i] for i in range(60)]
    change = np.abs(np.array(refits) - D @ policy.coef_)
    assert np.abs(policy.held_out_scores_ - refits).mean() < 0.12 * change.mean()


@pytest.mark.parametrize(("name", "noise"), [("ipo", 0.0), ("ipo", 0.2), ("dpo", 0.1)])
def test_the_accuracy_is_predicted_on_data_of_the_model(name, noise):
    """Mean error of 20 draws below 0.01; 16 of 20 intervals right (19 expected, P(< 16) < .003)."""
    errors, inside = [], 0
    for seed in range(20):
        D, mu, order = differences(n=1500, F=40, signal=2.0, noise=noise, seed=seed)
        policy = PreferencePolicy(name, noise_rate=noise).fit(D * order[:, None], order)
        real = ndtr(policy.coef_ @ mu / np.linalg.norm(policy.coef_))
        errors.append(policy.theoretical_accuracy_ - real)
        low, high = policy.theoretical_accuracy_interval_
        inside += low < real < high
    assert np.mean(np.abs(errors)) < 0.01
    assert inside >= 16


def test_the_accuracy_is_predicted_under_correlated_noise():
    """Leave-one-out, as the model of white noise is rejected; a finite penalty is chosen."""
    scale = np.logspace(0, -1.5, 60)
    errors = []
    for seed in range(10):
        D, mu, order = differences(n=1500, F=60, signal=4.0, seed=seed, scale=scale)
        policy = PreferencePolicy("ipo").fit(D * order[:, None], order)
        real = ndtr(policy.coef_ @ mu / np.linalg.norm(policy.coef_ * scale))
        errors.append(policy.theoretical_accuracy_ - real)
        assert not policy.model_fit_
        assert policy.alpha_ < policy.alphas_[-1]
    # Binomial standard error of one fit: sqrt(.95 * .05 / 1500) = .0056.
    assert np.mean(np.abs(errors)) < 0.008


def test_auto_is_no_worse_than_the_penalties_beside_it():
    scale = np.logspace(0, -1.5, 60)
    D, mu, order = differences(n=400, F=60, signal=4.0, scale=scale)
    X = D * order[:, None]

    def real(policy):
        return ndtr(policy.coef_ @ mu / np.linalg.norm(policy.coef_ * scale))

    for name in ("ipo", "dpo", "hinge"):
        policy = PreferencePolicy(name).fit(X, order)
        others = [PreferencePolicy(name, alpha=float(a)).fit(X, order) for a in policy.alphas_]
        assert real(policy) > max(map(real, others)) - 0.01


def test_a_contradicted_pair_is_left_out_whole():
    D, _, order = differences(n=80, F=6)
    X = np.r_[D, D[:20]] * np.r_[order, -order[:20]][:, None]
    y = np.r_[order, -order[:20]]
    flipped = np.r_[y[:80], -y[80:]]
    policy = PreferencePolicy("ipo", alpha=0.1).fit(X, flipped)
    kept = np.r_[1:80, 81:100]
    refit = PreferencePolicy("ipo", alpha=0.1 * 100 / 98).fit(X[kept], flipped[kept])
    assert_allclose(policy.held_out_scores_[0], refit.coef_ @ D[0], rtol=1e-8)
    assert_allclose(policy.held_out_scores_[80], -refit.coef_ @ D[0], rtol=1e-8)


@pytest.mark.parametrize("name", ["dpo", "ipo", "hinge"])
def test_weights_are_repeats(name):
    D, _, order = differences(n=60, F=6)
    X = D * order[:, None]
    count = np.random.default_rng(1).integers(0, 3, 60)
    weighted = PreferencePolicy(name).fit(X, order, sample_weight=count)
    with pytest.warns(TheoryWarning, match="Rows of X repeat"):
        repeated = PreferencePolicy(name).fit(np.repeat(X, count, axis=0), np.repeat(order, count))
    for attribute in (
        "coef_",
        "alpha_",
        "theoretical_accuracy_",
        "theoretical_accuracy_interval_",
        "model_accuracy_",
        "noise_rate_",
        "margin_",
        "n_effective_samples_",
        "observed_accuracy_interval_",
    ):
        assert_allclose(
            getattr(weighted, attribute), getattr(repeated, attribute), rtol=1e-7, err_msg=attribute
        )


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_nothing_is_inferred_by_default(name):
    """Persons who contradict each other, in pairs and in cycles, make no error."""
    rng = np.random.default_rng(0)
    D = np.repeat(0.8 + rng.standard_normal((200, 4)), 2, axis=0)
    y = (D.sum(axis=1) > 0) ^ (rng.random(400) < 0.3)
    policy = PreferencePolicy(name).fit(D, y)
    assert policy.noise_rate_ == policy.noise_probability_ == 0
    assert policy.theoretical_accuracy_ == policy.observed_accuracy_
    assert_allclose(policy.theoretical_accuracy_interval_, policy.observed_accuracy_interval_)
    assert_allclose(policy.observed_accuracy_, np.mean(policy.held_out_scores_ > 0))
    assert np.isnan(policy.accuracy_if_noisy_)


@pytest.mark.parametrize("noise", [0.1, 0.2])
def test_an_estimated_noise_gives_both_numbers(noise):
    """The observed number is that of fresh comparisons, the other that of right ones."""
    rates, inside = [], 0
    for seed in range(6):
        D, mu, order = differences(n=1500, F=20, signal=4.0, noise=noise, seed=seed)
        policy = PreferencePolicy("ipo", noise_rate="estimate").fit(D * order[:, None], order)
        clean = ndtr(policy.coef_ @ mu / np.linalg.norm(policy.coef_))
        low, high = policy.theoretical_accuracy_interval_
        inside += low <= clean <= high
        low, high = policy.observed_accuracy_interval_
        assert low < (1 - 2 * noise) * clean + noise < high
        rates.append(policy.noise_rate_)
    # Standard error of a share of 1500 comparisons if all margins were sure.
    assert abs(np.mean(rates) - noise) < 4 * np.sqrt(noise * (1 - noise) / 1500)
    assert inside >= 5


def test_an_estimate_that_may_be_nothing_is_ambiguous():
    """Choices by a logistic law: no comparison is wrong, and none is sure."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((300, 4))
    y = rng.random(300) < 1 / (1 + np.exp(-0.7 * X.sum(axis=1)))
    with pytest.warns(TheoryWarning, match="contains both"):
        policy = PreferencePolicy("dpo", noise_rate="estimate").fit(X, y)
    assert policy.regime_ == "ambiguous"
    low, high = policy.theoretical_accuracy_interval_
    assert low < policy.observed_accuracy_ < policy.accuracy_if_noisy_ <= high


def test_a_response_compared_with_all_others_costs_no_memory():
    rng = np.random.default_rng(0)
    chosen = 0.3 + rng.standard_normal((20_000, 2))
    policy = PreferencePolicy("ipo", alpha=0.1).fit_pairs(chosen, np.zeros_like(chosen))
    assert policy.noise_rate_ == 0


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_one_comparison_at_a_time_is_left_out_of_a_table(name):
    """Features of few values: pairs repeat because there are no others, as one-hot columns do.

    Their weighted sums agree for distinct pairs, too.
    """
    rng = np.random.default_rng(0)
    D = rng.integers(-1, 2, (400, 3)).astype(float)
    D = D[D.any(axis=1)]
    n, y = len(D), rng.random(len(D)) < 0.5
    policy = PreferencePolicy(name, alpha=0.1).fit(D, y)
    assert policy.n_effective_samples_ == n
    for i in range(5):
        refit = leave_out(policy, D, y, i, n)
        margin = (1 if y[i] else -1) * (refit.coef_ @ D[i])
        assert_allclose(policy.held_out_scores_[i], margin, rtol=1e-8 if name == "ipo" else 1e-3)
    table, counts = np.unique(np.c_[D, y], axis=0, return_counts=True)
    weighted = PreferencePolicy(name, alpha=0.1).fit(table[:, :3], table[:, 3], counts)
    assert_allclose(weighted.observed_accuracy_, policy.observed_accuracy_)
    assert_allclose(weighted.coef_, policy.coef_, rtol=1e-6)


def test_copies_count_once_and_say_so():
    D, _, order = differences(n=60, F=6)
    X = D * order[:, None]
    once = PreferencePolicy("ipo", alpha=0.1).fit(X, order)
    with pytest.warns(TheoryWarning, match="n_effective_samples_") as caught:
        twice = PreferencePolicy("ipo", alpha=0.1).fit(np.r_[X, -X], np.r_[order, -order])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert twice.n_effective_samples_ == once.n_effective_samples_ == 60
    assert_allclose(twice.held_out_scores_, np.tile(once.held_out_scores_, 2))
    assert_allclose(twice.observed_accuracy_interval_, once.observed_accuracy_interval_)
    assert_allclose(twice.theoretical_accuracy_, once.theoretical_accuracy_)


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_a_handful_of_pairs_predicts_nothing(name):
    rng = np.random.default_rng(0)
    for n in (2, 9):
        X, y = rng.standard_normal((n, 3)), np.arange(n) % 2
        with pytest.warns(TheoryWarning, match="Too few comparisons") as caught:
            policy = PreferencePolicy(name).fit(X, y)
        assert len(caught) == 1
        assert policy.regime_ == "too_few_rows"
        assert np.isnan(policy.theoretical_accuracy_interval_).all()
        assert np.isnan(policy.observed_accuracy_)
        assert np.isnan(policy.model_accuracy_)
        assert np.isfinite(policy.coef_).all()
    assert np.isfinite(PreferencePolicy(name).fit(*pairs_of_noise(10)).theoretical_accuracy_)


def pairs_of_noise(n):
    """Return pairs without any signal."""
    return np.random.default_rng(1).standard_normal((n, 3)), np.arange(n) % 2


def test_regimes():
    D, _, order = differences(n=600, F=10, signal=2.0)
    X = D * order[:, None]
    assert PreferencePolicy("ipo").fit(X, order).regime_ == "detected"
    assert PreferencePolicy("ipo").fit(X * np.logspace(0, -2, 10), order).regime_ == "misfit"
    assert PreferencePolicy("ipo").fit(*pairs_of_noise(300)).regime_ == "undetected"
    assert quiet(PreferencePolicy("discopop"), X, order).regime_ == "detected"
    assert quiet(PreferencePolicy("discopop"), *pairs_of_noise(300)).regime_ == "undetected"


def test_the_observed_accuracy_counts_held_out_pairs():
    D, _, order = differences(n=400, F=5, noise=0.2)
    policy = PreferencePolicy("dpo", noise_rate=0.2).fit(D * order[:, None], order)
    share = np.mean(policy.held_out_scores_ > 0)
    assert policy.observed_accuracy_ == pytest.approx(share)
    low, high = policy.observed_accuracy_interval_
    assert low < share < high
    assert policy.theoretical_accuracy_ > high
    assert policy.scores_kind_ == "newton"


def test_feature_names_are_checked_in_pairs_too():
    pandas = pytest.importorskip("pandas")
    D, _, _ = differences(n=30, F=3)
    chosen, rejected = pandas.DataFrame(D, columns=list("abc")), pandas.DataFrame(-D)
    rejected.columns = list("abc")
    policy = PreferencePolicy("ipo").fit_pairs(chosen, rejected)
    assert list(policy.feature_names_in_) == list("abc")
    with pytest.raises(ValueError, match="feature names"):
        policy.fit_pairs(chosen, rejected[list("cba")])
    with pytest.raises(ValueError, match="feature names"):
        policy.predict(chosen[list("cba")])


@pytest.mark.parametrize("name", ["ipo", "dpo", "hinge"])
def test_columns_without_differences_change_no_number(name):
    D, _, order = differences(n=120, F=5)
    X = D * order[:, None]
    policy = PreferencePolicy(name).fit(X, order)
    wide = PreferencePolicy(name).fit(np.c_[X[:, :2], np.zeros((120, 200)), X[:, 2:]], order)
    assert_allclose(np.delete(wide.coef_, np.s_[2:202]), policy.coef_, rtol=1e-8)
    assert not wide.coef_[2:202].any()
    for attribute in (
        "alpha_",
        "model_accuracy_",
        "observed_accuracy_",
        "theoretical_accuracy_interval_",
        "noise_pvalue_",
        "signal_",
        "held_out_scores_",
    ):
        assert_allclose(
            getattr(wide, attribute), getattr(policy, attribute), rtol=1e-8, err_msg=attribute
        )


@pytest.mark.parametrize("name", ["sft", "dpo"])
def test_features_that_candidates_share_change_no_number(name):
    X, base, y = candidate_sets(n=60)
    wide = np.concatenate([X, np.repeat(X[:, :1], 4, axis=1)], axis=2)
    expected = PreferencePolicy(name).fit(X, y, log_reference=base)
    policy = PreferencePolicy(name).fit(wide, y, log_reference=base)
    assert_allclose(policy.coef_, np.r_[expected.coef_, np.zeros(3)], atol=1e-8)
    for attribute in ("observed_accuracy_", "kl_to_reference_", "alpha_", "noise_pvalue_"):
        assert_allclose(getattr(policy, attribute), getattr(expected, attribute), rtol=1e-6)


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_a_constant_row_is_no_better_than_a_coin(name):
    """Without its comparison each outcome is the rarer one, and would be ranked wrongly."""
    policy = PreferencePolicy(name).fit(np.ones((100, 3)), np.arange(100) % 2)
    assert policy.observed_accuracy_ == 0.5
    low, high = policy.observed_accuracy_interval_
    assert low < 0.5 < high
    assert policy.regime_ == "undetected"


@pytest.mark.parametrize(("n", "F"), [(10, 3), (30, 5), (100, 10)])
def test_noise_is_called_noise(n, F):
    """19 of 20 intervals contain 1/2, and p-values are uniform."""
    inside, pvalues = [], []
    for seed in range(200):
        X = np.random.default_rng(seed).standard_normal((n, F))
        policy = PreferencePolicy("ipo").fit(X, np.arange(n) % 2)
        low, high = policy.observed_accuracy_interval_
        inside.append(low <= 0.5 <= high)
        pvalues.append(policy.noise_pvalue_)
    assert np.mean(inside) >= 0.93 - 4 * np.sqrt(0.93 * 0.07 / 200)
    for level in (0.05, 0.2, 0.5):
        error = np.sqrt(level * (1 - level) / 200)
        assert abs(np.mean(np.array(pvalues) < level) - level) < 4 * error


def test_a_weak_taste_is_told_from_noise():
    """1000 pairs, 20 features, the best accuracy .58: the power at 1 % is .95 (chi-squared)."""
    found = []
    for seed in range(60):
        D, _, order = differences(n=1000, F=20, signal=0.2019**2, seed=seed)
        found.append(
            PreferencePolicy("ipo", alpha=1.0).fit(D * order[:, None], order).noise_pvalue_
        )
    assert np.mean(np.array(found) < 0.01) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / 60)


@pytest.mark.parametrize("name", ["ipo", "dpo"])
def test_more_pairs_rank_as_forecast(name):
    """The mean gain to four times as many, over draws of the model."""
    gains, real = [], []
    for seed in range(12):
        D, mu, order = differences(n=800, F=30, signal=0.5, seed=seed)
        X = D * order[:, None]

        def accuracy(policy, mu=mu):
            return ndtr(policy.coef_ @ mu / np.linalg.norm(policy.coef_))

        policy = PreferencePolicy(name).fit(X[:200], order[:200])
        more = PreferencePolicy(name).fit(X, order)
        forecast = policy.forecast(n_samples=[200, 800])
        assert forecast.score[0] == policy.theoretical_accuracy_
        assert (forecast.lower < forecast.score).all() and (forecast.score < forecast.upper).all()
        gains.append(forecast.score[1] - forecast.score[0])
        real.append(accuracy(more) - accuracy(policy))
        target = policy.theoretical_accuracy_ + gains[-1] / 2
        n = policy.required(target)
        assert 200 < n < 800
        assert_allclose(policy.forecast(n_samples=n).score, target, rtol=1e-8)
    gap = np.array(gains) - real
    assert abs(gap.mean()) < 0.01 + 4 * gap.std() / np.sqrt(len(gap))


def test_what_noise_requires_is_not_known():
    policy = PreferencePolicy("ipo").fit(*pairs_of_noise(300))
    with pytest.warns(TheoryWarning, match="no better than a coin"):
        assert np.isnan(policy.required(0.9))
    with pytest.warns(TheoryWarning):
        assert policy.forecast(n_samples=1000).score == policy.observed_accuracy_
    with pytest.raises(ValueError, match="between 0 and 1"):
        policy.required(2)
    with pytest.raises(ValueError, match="n_samples"):
        policy.required(0.8, of="n_features")
    with pytest.raises(ValueError, match="positive"):
        policy.forecast(n_samples=0)


def test_too_large_a_noise_is_questioned():
    D, _, order = differences(n=300, F=5, signal=4.0)
    with pytest.warns(TheoryWarning, match="must be smaller"):
        PreferencePolicy("ipo", noise_rate=0.4).fit(D * order[:, None], order)


def test_noise_of_the_loss_can_be_estimated():
    rng = np.random.default_rng(0)
    D = np.repeat(0.8 + rng.standard_normal((300, 4)), 2, axis=0)
    y = (D.sum(axis=1) > 0) ^ (rng.random(600) < 0.2)
    policy = PreferencePolicy("robust", noise_rate="estimate", alpha=0.1).fit(D, y)
    known = PreferencePolicy("robust", noise_rate=policy.noise_rate_, alpha=0.1).fit(D, y)
    assert_allclose(policy.coef_, known.coef_)
    assert_allclose(policy.predict_proba(D), known.predict_proba(D))


def test_pairs_and_differences_agree():
    rng = np.random.default_rng(0)
    chosen, rejected = rng.standard_normal((2, 100, 5))
    chosen += 0.3
    order = np.where(rng.random(100) < 0.5, 1, -1)
    pairs = PreferencePolicy().fit_pairs(chosen, rejected)
    single = PreferencePolicy().fit((chosen - rejected) * order[:, None], order)
    assert_allclose(pairs.coef_, single.coef_, rtol=1e-10)
    assert pairs.classes_.tolist() == [0, 1]
    assert np.isnan(pairs.chosen_logratio_)


def test_candidate_sets_and_pairs_agree_for_losses_of_the_margin():
    X, base, y = candidate_sets()
    rows = np.arange(len(X))
    chosen, rejected = X[rows, y[:, 0]], X[rows, y[:, 1]]
    sets = PreferencePolicy("dpo").fit(X, y, log_reference=base)
    pairs = PreferencePolicy("dpo").fit_pairs(chosen, rejected)
    assert_allclose(sets.coef_, pairs.coef_, rtol=1e-10)
    assert sets.kl_to_reference_ > 0
    assert_allclose(sets.margin_, sets.chosen_logratio_ - sets.rejected_logratio_, rtol=1e-9)
    assert_allclose(sets.score(X, y), pairs.score(chosen - rejected, np.ones(len(X))))


def test_divergence_and_log_ratios_of_candidate_sets():
    X, base, y = candidate_sets()
    theta = np.array([0.2, 0.1, -0.3])
    policy = PreferencePolicy("sft", alpha=0.1, reference=theta).fit(X, y, log_reference=base)
    now = policy.predict_proba(X, log_reference=base)
    before = np.exp(base + X @ theta)
    before /= before.sum(axis=1, keepdims=True)
    rows = np.arange(len(X))
    ratio = np.log(now / before)
    assert_allclose(now.sum(axis=1), 1)
    assert_allclose(policy.kl_to_reference_, (now * ratio).sum(axis=1).mean())
    assert_allclose(policy.chosen_logratio_, ratio[rows, y[:, 0]].mean())
    assert_allclose(policy.rejected_logratio_, ratio[rows, y[:, 1]].mean())


def test_masked_candidates_do_not_count():
    X, _, y = candidate_sets()
    more = np.concatenate([X, np.full((len(X), 1, 3), np.nan)], axis=1)
    mask = np.ones(more.shape[:2], bool)
    mask[:, -1] = False
    expected = PreferencePolicy("sft", alpha=0.1).fit(X, y)
    policy = PreferencePolicy("sft", alpha=0.1).fit(more, y, mask=mask)
    assert_allclose(policy.coef_, expected.coef_, rtol=1e-8)
    proba = policy.predict_proba(more, mask=mask)
    assert_allclose(proba[:, :-1], expected.predict_proba(X), rtol=1e-7)
    assert not proba[:, -1].any()


def test_methods_for_candidates():
    X, _, y = candidate_sets()
    policy = PreferencePolicy(beta=0.5).fit(X, y)
    reward = 0.5 * X @ policy.coef_
    assert_allclose(policy.decision_function(X), reward)
    assert (policy.predict(X) == reward.argmax(axis=1)).all()
    assert (policy.rank(X) == np.argsort(-reward, axis=1)).all()
    assert (policy.rank(X[0]) == np.argsort(-reward[0])).all()


def test_probabilities_are_those_of_the_loss():
    D, _, order = differences()
    X = D * order[:, None]
    policy = PreferencePolicy(beta=0.5).fit(X, order)
    expected = 1 / (1 + np.exp(-0.5 * X @ policy.coef_))
    assert_allclose(policy.predict_proba(X)[:, 1], expected)
    ipo = PreferencePolicy("ipo", beta=0.5).fit(X, order)
    assert_allclose(ipo.predict_proba(X)[:, 1], np.clip(0.5 + 0.5 * X @ ipo.coef_, 0, 1))


@pytest.mark.parametrize("unit", [1e-150, 1e150])
@pytest.mark.parametrize("name", ["dpo", "ipo", "hinge"])
def test_the_scale_of_the_features_does_not_matter(unit, name):
    D, _, order = differences(n=80, F=6)
    X = D * order[:, None]
    plain = PreferencePolicy(name).fit(X, order)
    scaled = PreferencePolicy(name).fit(X * unit, order)
    assert_allclose(scaled.coef_ * unit, plain.coef_, rtol=1e-6)
    assert_allclose(scaled.theoretical_accuracy_, plain.theoretical_accuracy_, rtol=1e-6)


def test_more_features_than_pairs():
    D, _, order = differences(n=40, F=200)
    X = D * order[:, None]
    policy = PreferencePolicy("dpo", alpha=0.05).fit(X, order)

    def objective(u):
        s = D @ u
        slope = -D.T @ (1 / (1 + np.exp(s))) / 40 + 0.1 * u
        return np.logaddexp(0, -s).mean() + 0.05 * u @ u, slope

    best = minimize(objective, np.zeros(200), jac=True, options={"gtol": 1e-10})
    assert_allclose(policy.coef_, best.x, atol=1e-6)
    assert 0 <= policy.theoretical_accuracy_ <= 1


@pytest.mark.parametrize("name", NON_CONVEX)
def test_losses_that_are_not_convex_say_so_once(name):
    D, _, order = differences()
    with pytest.warns(TheoryWarning, match="not convex") as caught:
        policy = PreferencePolicy(name, noise_rate=0.1).fit(D * order[:, None], order)
    assert len(caught) == 1
    assert np.isnan(policy.theoretical_accuracy_)
    assert np.mean(D @ policy.coef_ > 0) > 0.8


def test_identical_pairs_warn_once():
    D, _, order = differences(n=50, F=3)
    D[:4] = 0
    with pytest.warns(TheoryWarning, match="identical features") as caught:
        PreferencePolicy("ipo").fit(D * order[:, None], order)
    assert len(caught) == 1
    with pytest.warns(TheoryWarning, match="Too few comparisons"):
        policy = PreferencePolicy("dpo").fit(np.zeros((50, 3)), order)
    assert not policy.coef_.any()
    assert np.isnan(policy.theoretical_accuracy_)


@pytest.mark.parametrize("name", ["dpo", "robust"])
@pytest.mark.parametrize("F", [3, 60])
def test_separable_pairs_without_penalty(name, F):
    D, _, order = differences(n=40, F=F)
    D[:, 0] = np.abs(D[:, 0])
    with pytest.raises(ValueError, match="infinite"):
        PreferencePolicy(name, alpha=0.0, noise_rate=0.1).fit(D * order[:, None], order)
    for finite in ("ipo", "cdpo"):
        policy = PreferencePolicy(finite, alpha=0.0, noise_rate=0.1).fit(D * order[:, None], order)
        assert np.isfinite(policy.coef_).all()


def test_nearly_separable_pairs_without_penalty():
    """A direction that ranks one pair rightly and is indifferent to all others."""
    D, _, order = differences(n=40, F=3)
    D = np.c_[D, np.zeros(40)]
    D[0, 3] = 1.0
    with pytest.raises(ValueError, match="infinite"):
        PreferencePolicy(alpha=0.0).fit(D * order[:, None], order)


def test_no_penalty_where_the_optimum_is_finite():
    D, _, order = differences(n=300, F=4)
    policy = PreferencePolicy(alpha=0.0).fit(D * order[:, None], order)
    rival = LogisticRegression(fit_intercept=False, C=np.inf, tol=1e-12, max_iter=1000)
    rival.fit(np.r_[D, -D], np.repeat([1, 0], 300))
    assert_allclose(policy.coef_, rival.coef_[0], atol=1e-6)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"beta": 0.0}, "beta"),
        ({"beta": -1.0}, "beta"),
        ({"noise_rate": 0.5}, "noise_rate"),
        ({"noise_rate": -0.1}, "noise_rate"),
        ({"noise_rate": "guess"}, "noise_rate"),
        ({"alpha": -1e-3}, "alpha"),
        ({"alpha": "best"}, "alpha"),
        ({"loss": "wrong"}, "wrong"),
        ({"loss": "nca"}, "candidate sets"),
        ({"loss": "exo"}, "noise_rate"),
        ({"loss": "hinge", "alpha": 0.0}, "hinge"),
        ({"reference": [1.0]}, "reference"),
        ({"max_iter": 0}, "max_iter"),
    ],
)
def test_parameters_are_checked(parameters, match):
    D, _, order = differences(n=30, F=3)
    with pytest.raises(ValueError, match=match):
        PreferencePolicy(**parameters).fit(D * order[:, None], order)


def test_unknown_options_are_refused():
    D, _, order = differences(n=30, F=3)
    with pytest.raises(TypeError, match="gamma"):
        PreferencePolicy(loss_options={"gamma": 1.0}).fit(D * order[:, None], order)


def test_data_are_checked():
    D, _, order = differences(n=30, F=3)
    X, base, y = candidate_sets(n=10)
    with pytest.raises(ValueError, match="one class"):
        PreferencePolicy().fit(D, np.ones(30))
    with pytest.raises(ValueError, match="binary"):
        PreferencePolicy().fit(D, np.arange(30) % 3)
    with pytest.raises(ValueError, match="X_rejected"):
        PreferencePolicy().fit_pairs(D, D[:-1])
    with pytest.raises(ValueError, match="NaN"):
        PreferencePolicy().fit_pairs(D, D * np.nan)
    with pytest.raises(ValueError, match="log_reference"):
        PreferencePolicy().fit(D, order, log_reference=base)
    with pytest.raises(ValueError, match="two or more"):
        PreferencePolicy().fit(X[:, :1], y)
    with pytest.raises(ValueError, match="chosen and of the rejected"):
        PreferencePolicy().fit(X, y[:, 0])
    with pytest.raises(ValueError, match="same candidate"):
        PreferencePolicy().fit(X, np.zeros((10, 2), int))
    with pytest.raises(ValueError, match="indices"):
        PreferencePolicy().fit(X, y + 9)
    with pytest.raises(ValueError, match="mask"):
        PreferencePolicy().fit(X, y, mask=np.ones((10, 3), bool))
    policy = PreferencePolicy().fit(X, y)
    with pytest.raises(ValueError, match="features"):
        policy.decision_function(X[..., :2])


def test_a_fit_that_does_not_settle_says_so():
    D, _, order = differences(n=60, F=3)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        PreferencePolicy(alpha=1e-4, max_iter=1).fit(D * order[:, None], order)


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    D, _, order = differences(n=60, F=3)
    X = D * order[:, None]
    expected = PreferencePolicy().fit(X, order)
    policy = PreferencePolicy().fit(torch.as_tensor(X), torch.as_tensor(order))
    assert_allclose(policy.coef_, expected.coef_)
    scores = policy.decision_function(torch.as_tensor(X))
    assert torch.is_tensor(scores)
    assert_allclose(scores.numpy(), expected.decision_function(X))


@pytest.mark.parametrize("name", ["dpo", "ipo"])
def test_sparse_differences_are_those_they_stand_for(name):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6)) * (rng.random((200, 6)) < 0.4)
    X[:, 0] = rng.standard_normal(200)
    X = sparse.csr_array(X)
    y = (X @ np.arange(6.0) + rng.logistic(size=200) > 1.5).astype(int)
    for form in (X, X.tocoo(), X.astype(np.float32)):
        dense = form.toarray()
        policy, expected = PreferencePolicy(name).fit(form, y), PreferencePolicy(name).fit(dense, y)
        assert_allclose(policy.coef_, expected.coef_, rtol=1e-12)
        # Twelve roundings of scores up to about ten, and a sigmoid of slope 1/4 at most.
        atol = 30 * np.finfo(form.dtype).eps
        found = policy.predict_proba(form)
        assert_allclose(found, expected.predict_proba(dense), rtol=0, atol=atol)
        assert policy.theoretical_accuracy_ == expected.theoretical_accuracy_
    pairs = PreferencePolicy(name).fit_pairs(X[:100], X[100:])
    expected = PreferencePolicy(name).fit_pairs(X[:100].toarray(), X[100:].toarray())
    assert_allclose(pairs.coef_, expected.coef_, rtol=1e-12)


def test_losses_of_batches_are_refused():
    D, _, order = differences(n=60, F=3)
    with pytest.raises(ValueError, match="compares ranks within a batch"):
        PreferencePolicy("aot").fit(D * order[:, None], order)


def test_the_p_value_of_noise_is_the_same_by_products_and_by_axes():
    rng = np.random.default_rng(3)
    X = rng.standard_normal((300, 8))
    y = rng.random(300) < 1.0 / (1.0 + np.exp(-X.sum(axis=1)))
    plain = PreferencePolicy(alpha=0.1).fit(X, y).noise_pvalue_
    # Weights other than 1 take the axes of the Gram matrix.
    weighted = PreferencePolicy(alpha=0.1).fit(X, y, np.full(300, 1.0 + 1e-12)).noise_pvalue_
    assert 0 < plain < 1e-6
    assert np.log(plain) == pytest.approx(np.log(weighted), rel=1e-8)


@pytest.mark.parametrize("name", ["dpo", "ipo"])
@pytest.mark.parametrize("unit", [1e-160, 1e-300, 1e300])
def test_features_whose_squares_are_no_numbers_are_refused(name, unit):
    D, _, order = differences(n=40, F=3)
    X = D * order[:, None] * unit
    for alpha in ("auto", 1.0):
        with pytest.raises(ValueError, match="Divide X by"):
            PreferencePolicy(name, alpha=alpha).fit(X, order)
    with pytest.raises(ValueError, match="Divide X by"):
        PreferencePolicy("ipo", alpha=1.0).partial_fit(X, order)


def test_a_penalty_that_overflows_in_units_of_the_features_is_refused():
    D, _, order = differences(n=40, F=3)
    X = D * order[:, None] * 1e-150
    for fit in (PreferencePolicy("dpo", alpha=1e10).fit, PreferencePolicy(
        "ipo", alpha=1e10).partial_fit):  # fmt: skip
        with pytest.raises(ValueError, match=r"alpha=1e\+10 .* smaller alpha"):
            fit(X, order)
