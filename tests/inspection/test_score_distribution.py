import numpy as np
import pytest
from matplotlib import pyplot
from scipy.stats import norm

from skrmt.inspection import ScoreDistributionDisplay


def histogram(patch):
    values, edges, _ = patch.get_data()
    return values, edges


def test_histograms_are_weighted_by_the_posterior(binary):
    bins = np.linspace(-3, 4, 15)
    display = ScoreDistributionDisplay.from_estimator(binary, bins=bins)
    assert len(display.histograms_) == 2
    for k, patch in enumerate(display.histograms_):
        values, edges = histogram(patch)
        expected, _ = np.histogram(
            binary.held_out_scores_, bins, weights=binary.label_posterior_[:, k] / 500
        )
        np.testing.assert_array_equal(edges, bins)
        np.testing.assert_allclose(values * np.diff(bins), expected)


def test_histograms_of_known_classes(binary):
    display = ScoreDistributionDisplay.from_estimator(binary, y_clean=binary.y_true)
    for k, patch in enumerate(display.histograms_):
        values, edges = histogram(patch)
        share = (binary.y_true == binary.classes_[k]).mean()
        assert np.sum(values * np.diff(edges)) == pytest.approx(share)
        assert patch.get_label() == f"true class {binary.classes_[k]}"


def test_curves_are_the_theory(binary):
    display = ScoreDistributionDisplay.from_estimator(binary)
    for k, line in enumerate(display.lines_):
        x, y = line.get_data()
        law = norm(binary.score_means_[k], np.sqrt(binary.score_variances_[k]))
        np.testing.assert_allclose(y, binary.class_prior_[k] * law.pdf(x), rtol=1e-12)
    assert display.threshold_.get_xdata() == [0, 0]
    assert display.rest_ == []


def test_histograms_agree_with_curves(binary):
    bins = np.array([-4.0, -1.0, 0.0, 1.0, 5.0])
    display = ScoreDistributionDisplay.from_estimator(binary, y_clean=binary.y_true, bins=bins)
    for k, patch in enumerate(display.histograms_):
        mass = histogram(patch)[0] * np.diff(bins)
        law = norm(binary.score_means_[k], np.sqrt(binary.score_variances_[k]))
        expected = binary.class_prior_[k] * np.diff(law.cdf(bins))
        se = np.sqrt(expected * (1 - expected) / 500)
        assert np.all(np.abs(mass - expected) <= 4.5 * se + 1 / 500)


def test_sample_weight_counts_rows(binary):
    rng = np.random.default_rng(1)
    weight = rng.integers(0, 4, size=500)
    bins = np.linspace(-3, 4, 12)
    weighted = ScoreDistributionDisplay.from_estimator(binary, sample_weight=weight, bins=bins)
    binary.held_out_scores_ = np.repeat(binary.held_out_scores_, weight)
    binary.label_posterior_ = np.repeat(binary.label_posterior_, weight, axis=0)
    repeated = ScoreDistributionDisplay.from_estimator(binary, bins=bins)
    for one, other in zip(weighted.histograms_, repeated.histograms_, strict=True):
        np.testing.assert_allclose(histogram(one)[0], histogram(other)[0])


def test_column_of_scores(binary):
    binary.held_out_scores_ = binary.held_out_scores_[:, None]
    assert len(ScoreDistributionDisplay.from_estimator(binary).lines_) == 2


def test_panels_of_several_classes(multiclass):
    display = ScoreDistributionDisplay.from_estimator(multiclass)
    assert display.ax_.shape == (3,)
    assert len(display.histograms_) == len(display.lines_) == len(display.rest_) == 3
    assert display.threshold_ is None
    prior = multiclass.class_prior_
    spread = np.sqrt(multiclass.score_variances_)
    for k, (panel, line) in enumerate(zip(display.ax_, display.lines_, strict=True)):
        assert panel.get_title() == str(k)
        x, y = line.get_data()
        law = norm(multiclass.score_means_[:, k], spread[:, k])
        np.testing.assert_allclose(y, law.pdf(x[:, None])[:, k])
        x, y = display.rest_[k][1].get_data()
        others = np.where(np.arange(3) == k, 0, prior) / (1 - prior[k])
        np.testing.assert_allclose(y, law.pdf(x[:, None]) @ others)
        for patch in (display.histograms_[k], display.rest_[k][0]):
            values, edges = histogram(patch)
            assert np.sum(values * np.diff(edges)) == pytest.approx(1)
    display.figure_.canvas.draw()


def test_axes_for_each_class(multiclass):
    figure, axes = pyplot.subplots(1, 3)
    display = ScoreDistributionDisplay.from_estimator(multiclass, ax=axes)
    assert list(display.ax_) == list(axes)
    assert all(panel.get_xlabel() for panel in axes)
    with pytest.raises(ValueError, match="needs 3"):
        ScoreDistributionDisplay.from_estimator(multiclass, ax=axes[0])
    assert pyplot.get_fignums() == [figure.number]


def test_unknown_variance_draws_no_curve(binary):
    binary.score_variances_ = np.array([0.4, np.nan])
    display = ScoreDistributionDisplay.from_estimator(binary)
    assert np.isfinite(display.lines_[0].get_ydata()).all()
    assert np.isnan(display.lines_[1].get_ydata()).all()


def test_class_without_rows(multiclass):
    display = ScoreDistributionDisplay.from_estimator(multiclass, y_clean=np.ones(900, dtype=int))
    assert histogram(display.histograms_[0])[0].max() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_clean": ["maybe"] * 500}, r"does not know: \['maybe'\]"),
        ({"y_clean": ["no"] * 499}, "scores has shape"),
        ({"sample_weight": np.ones(3)}, "sample_weight has shape"),
    ],
)
def test_bad_input(binary, arguments, message):
    with pytest.raises(ValueError, match=message):
        ScoreDistributionDisplay.from_estimator(binary, **arguments)
    assert pyplot.get_fignums() == []
