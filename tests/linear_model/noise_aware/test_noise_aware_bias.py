"""The claimed accuracies on data of their model are right to half a hundredth.

A claim follows the draw: it is high where the labels drawn happen to agree with the classes. The
share of rows whose label the best rule predicts has a known mean, and explains 24 parts in 25 of
the variance of the claim's error; a regression takes it out.
"""

import numpy as np
import pytest
from scipy.special import ndtr

from skrmt.datasets import make_noisy_mixture
from skrmt.linear_model import NoiseAwareLinearClassifier

pytestmark = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")
PRIOR, RATES = np.array([0.45, 0.55]), np.array([0.15, 0.3])
N_SAMPLES, N_DRAWS = 3000, 24


def draw(k):
    """Return data, and by how much the best rule agrees with the labels more than on average."""
    X, y, _, means = make_noisy_mixture(
        N_SAMPLES,
        4,
        mean_norm=1.7,
        class_prior=PRIOR,
        noise_rates=RATES,
        shift=1.0,
        random_state=k,
    )
    best = (X - means.mean(axis=0)) @ (means[1] - means[0]) > 0
    right = ndtr(1.7)
    expected = PRIOR @ (right * (1 - RATES) + (1 - right) * RATES)
    return X, y, means, np.mean(best == y) - expected


@pytest.fixture(scope="module")
def fits(exact_accuracy):
    """Gaps of the claims on right labels and on labels as given, and what luck explains."""
    gaps, luck = [], []
    for k in range(N_DRAWS):
        X, y, means, agreement = draw(k)
        model = NoiseAwareLinearClassifier(noise_rates=tuple(RATES)).fit(X, y)
        hits = [exact_accuracy(model, means, prior) for prior in np.eye(2)]
        observed = PRIOR @ (hits * (1 - RATES) + (1 - np.array(hits)) * RATES)
        clean = model.theoretical_accuracy_ - PRIOR @ hits
        gaps.append([clean, model.observed_accuracy_ - observed])
        luck.append(agreement)
    return np.array(gaps).T, np.array(luck)


def bias_and_error(gaps, luck):
    """Return the mean gap where luck is none, and its standard error."""
    design = np.stack([np.ones(len(luck)), luck], axis=1)
    (bias, _), (rest,), _, _ = np.linalg.lstsq(design, gaps, rcond=None)
    return bias, np.sqrt(rest / (len(luck) - 2) * np.linalg.inv(design.T @ design)[0, 0])


@pytest.mark.parametrize("claim", [0, 1], ids=["clean", "observed"])
@pytest.mark.parametrize("added", [0.0, 0.01, -0.01])
def test_the_claim_is_right_to_half_a_hundredth(fits, claim, added):
    """A claim that is .01 too high or too low fails: what is allowed is below .005.

    Allowed are 4 standard errors and 4/n, what the choice of a cut may add.
    """
    bias, error = bias_and_error(fits[0][claim] + added, fits[1])
    allowed = 4.0 * error + 4.0 / N_SAMPLES
    assert allowed < 0.005
    assert (abs(bias) <= allowed) == (added == 0.0), (bias, error)
