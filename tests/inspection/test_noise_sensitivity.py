import numpy as np
import pytest
from matplotlib import pyplot

from skrmt.inspection import NoiseSensitivityDisplay
from skrmt.theory.noisy_labels import bayes_accuracy, lpc, optimal_shift

# p/n, |mu|, and the rest of the first reference case of the theory.
RATIO, NORM = 0.2, 1.5
CASE = {"alpha": 1.0, "prior": 0.7, "noise_rates": (0.3, 0.4)}


def accuracy(shift, noise_rates=CASE["noise_rates"], alpha=CASE["alpha"]):
    return lpc(
        RATIO, alpha, NORM, prior=CASE["prior"], noise_rates=noise_rates, shift=shift
    ).accuracy


def test_against_rho_is_the_theory():
    display = NoiseSensitivityDisplay.from_theory(RATIO, NORM, **CASE, n_points=21)
    x, y = display.lines_["lpc"].get_data()
    assert len(x) == 21
    np.testing.assert_allclose(y, [accuracy(shift) for shift in x], rtol=1e-12)
    bayes = bayes_accuracy(RATIO, NORM, CASE["prior"], CASE["noise_rates"]).accuracy
    np.testing.assert_allclose(display.lines_["Bayes"].get_ydata(), bayes)
    np.testing.assert_allclose(display.lines_["oracle"].get_ydata(), accuracy(0.0, (0.0, 0.0)))
    assert display.current_ is None


def test_marks_of_the_reference_table():
    display = NoiseSensitivityDisplay.from_theory(RATIO, NORM, **CASE)
    (x, y), (d, best) = (display.marks_[k].get_xydata()[0] for k in ("unbiased", "optimal"))
    assert (x, y) == (pytest.approx(0.1), pytest.approx(0.744033, abs=1e-6))
    assert (d, best) == (pytest.approx(47 / 30), pytest.approx(0.827434, abs=1e-6))
    assert display.marks_["naive"].get_xdata() == [0.0]
    assert best >= display.lines_["lpc"].get_ydata().max() - 1e-12


def test_against_noise_is_the_theory():
    display = NoiseSensitivityDisplay.from_theory(RATIO, NORM, **CASE, against="noise", n_points=11)
    share = display.lines_["naive"].get_xdata()
    # The rates stay in the ratio 3 to 4; 30 % of them are of the negative class.
    scale = share / (0.3 * 0.3 + 0.7 * 0.4)
    for i, s in enumerate(scale):
        rates = (0.3 * s, 0.4 * s)
        expected = {
            "naive": accuracy(0.0, rates),
            "unbiased": accuracy(0.1 * s, rates),
            "optimal": accuracy(optimal_shift(0.7, rates), rates),
            "oracle": accuracy(0.0, (0.0, 0.0)),
            "Bayes": bayes_accuracy(RATIO, NORM, 0.7, rates).accuracy,
        }
        drawn = {name: line.get_ydata()[i] for name, line in display.lines_.items()}
        assert drawn == pytest.approx(expected, rel=1e-9)
    assert display.current_.get_xdata() == pytest.approx([0.37, 0.37])


def test_order_of_the_curves():
    display = NoiseSensitivityDisplay.from_theory(RATIO, NORM, **CASE, against="noise")
    curves = {name: line.get_ydata() for name, line in display.lines_.items()}
    for name in ("naive", "unbiased"):
        assert np.all(curves["optimal"] >= curves[name] - 1e-12)
    assert np.all(curves["Bayes"] >= curves["optimal"] - 1e-9)
    assert curves["naive"][0] == pytest.approx(curves["oracle"][0])


def test_no_noise_means_equal_rates():
    display = NoiseSensitivityDisplay.from_theory(
        RATIO, NORM, alpha=np.inf, noise_rates=(0.0, 0.0), against="noise"
    )
    np.testing.assert_allclose(
        display.lines_["naive"].get_ydata(), display.lines_["unbiased"].get_ydata()
    )
    assert display.current_ is None


def test_measured_points():
    repeats = np.array([[0.7, 0.72], [0.8, 0.84]])
    display = NoiseSensitivityDisplay.from_theory(
        RATIO, NORM, **CASE, empirical=([0.0, 1.0], repeats)
    )
    points = display.empirical_["measured"].lines[0]
    np.testing.assert_allclose(points.get_ydata(), repeats.mean(axis=1))
    display = NoiseSensitivityDisplay.from_theory(
        RATIO, NORM, **CASE, against="noise", empirical={"naive": ([0.2], [0.7])}
    )
    point = display.empirical_["naive"].lines[0]
    assert point.get_color() == display.lines_["naive"].get_color()


def test_from_estimator(binary):
    display = NoiseSensitivityDisplay.from_estimator(binary)
    # alpha_ |w|^2 over the pooled variance of the scores.
    alpha = 1.0 * 1.0 / (0.4 * 0.4 + 0.6 * 0.5)
    reference = NoiseSensitivityDisplay.from_theory(
        100 / 500, 1.5, alpha=alpha, prior=0.6, noise_rates=(0.3, 0.2), against="noise"
    )
    for name, line in display.lines_.items():
        np.testing.assert_allclose(line.get_xydata(), reference.lines_[name].get_xydata())
    share = 0.4 * 0.3 + 0.6 * 0.2
    assert display.estimate_.get_xydata().tolist() == [[pytest.approx(share), 0.93]]
    assert display.current_.get_xdata() == pytest.approx([share, share])
    display = NoiseSensitivityDisplay.from_estimator(binary, against="rho", alpha=2.0)
    assert display.estimate_ is None


def test_penalty_is_scale_free(binary):
    one = NoiseSensitivityDisplay.from_estimator(binary)
    # Features a thousand times as large: alpha grows by its square, w shrinks.
    binary.alpha_ *= 1e6
    binary.coef_ = binary.coef_ / 1e3
    other = NoiseSensitivityDisplay.from_estimator(binary)
    for name, line in one.lines_.items():
        np.testing.assert_allclose(line.get_ydata(), other.lines_[name].get_ydata())


def test_infinite_penalty_needs_no_variance(binary):
    binary.alpha_ = np.inf
    binary.score_variances_ = np.array([np.nan, np.nan])
    NoiseSensitivityDisplay.from_estimator(binary)
    binary.alpha_ = 1.0
    with pytest.raises(ValueError, match="give alpha"):
        NoiseSensitivityDisplay.from_estimator(binary)


def test_more_than_two_classes(multiclass):
    with pytest.raises(ValueError, match="has 3 classes"):
        NoiseSensitivityDisplay.from_estimator(multiclass)


@pytest.mark.parametrize("snr", [np.nan, 0.0])
def test_no_signal(binary, snr):
    binary.snr_ = snr
    with pytest.raises(ValueError, match="no signal"):
        NoiseSensitivityDisplay.from_estimator(binary)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"against": "sigma"}, "against='sigma'"),
        ({"noise_rates": 0.2}, "noise_rates has shape"),
        ({"noise_rates": (0.5, 0.6)}, "noise_rates"),
        ({"noise_rates": (-0.1, 0.2)}, "noise_rates"),
        ({"prior": 1.5}, "prior"),
        ({"empirical": ([0.1, 0.2], [0.5])}, "empirical"),
    ],
)
@pytest.mark.parametrize("against", ["rho", "noise"])
def test_bad_input(arguments, message, against):
    with pytest.raises(ValueError, match=message):
        NoiseSensitivityDisplay.from_theory(
            RATIO, NORM, **{**CASE, "against": against, **arguments}
        )
    assert pyplot.get_fignums() == []
