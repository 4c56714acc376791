from types import SimpleNamespace

import numpy as np
import pytest

matplotlib = pytest.importorskip("matplotlib")


@pytest.fixture(autouse=True)
def agg():
    """Draw without a screen and without the figures of examples, and see that nothing changes."""
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    pyplot.close("all")
    before = dict(matplotlib.rcParams)
    yield
    after = dict(matplotlib.rcParams)
    pyplot.close("all")
    assert after == before


def gaussian_scores(means, variances, prior, n, rng):
    y = rng.choice(len(prior), size=n, p=prior)
    noise = rng.standard_normal((n, *np.shape(means)[1:]))
    scores = np.asarray(means)[y] + np.sqrt(np.asarray(variances)[y]) * noise
    density = np.exp(-((scores[:, None] - means) ** 2) / (2 * variances)) / np.sqrt(variances)
    density = density.reshape(n, len(prior), -1).prod(axis=2) * prior
    return scores, y, density / density.sum(axis=1, keepdims=True)


@pytest.fixture
def binary():
    """What a fitted classifier of two classes holds; the true classes are in `y_true`."""
    means, variances, prior = np.array([-1.0, 1.2]), np.array([0.4, 0.5]), np.array([0.4, 0.6])
    scores, y, posterior = gaussian_scores(means, variances, prior, 500, np.random.default_rng(0))
    classes = np.array(["no", "yes"])
    return SimpleNamespace(
        classes_=classes,
        alpha_=1.0,
        alphas_=np.array([0.01, 0.1, 1.0, 10.0, np.inf]),
        theoretical_accuracy_path_=np.array([0.80, 0.85, 0.91, 0.92, 0.90]),
        theoretical_accuracy_=0.93,
        theoretical_accuracy_interval_=np.array([0.90, 0.95]),
        noise_rates_=np.array([0.3, 0.2]),
        class_prior_=prior,
        held_out_scores_=scores,
        score_means_=means,
        score_variances_=variances,
        label_posterior_=posterior,
        coef_=np.full((1, 4), 0.5),
        snr_=1.5,
        n_features_in_=100,
        n_effective_samples_=500.0,
        y_true=classes[y],
    )


@pytest.fixture
def multiclass():
    """What a fitted classifier of three classes holds; the true classes are in `y_true`."""
    means = np.array([[1.0, 0.0, -0.2], [0.1, 1.1, 0.0], [0.0, -0.1, 0.9]])
    variances = np.array([[0.1, 0.2, 0.1], [0.2, 0.1, 0.1], [0.1, 0.1, 0.3]])
    prior = np.array([0.2, 0.3, 0.5])
    scores, y, posterior = gaussian_scores(means, variances, prior, 900, np.random.default_rng(0))
    return SimpleNamespace(
        classes_=np.arange(3),
        noise_rates_=np.full(3, 0.2),
        class_prior_=prior,
        held_out_scores_=scores,
        score_means_=means,
        score_variances_=variances,
        label_posterior_=posterior,
        snr_=2.0,
        n_features_in_=100,
        n_effective_samples_=900.0,
        theoretical_accuracy_=0.9,
        y_true=y,
    )
