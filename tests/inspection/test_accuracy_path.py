import numpy as np
import pytest
from matplotlib import pyplot

from skrmt.inspection import AccuracyPathDisplay


def test_values_are_the_attributes(binary):
    display = AccuracyPathDisplay.from_estimator(binary)
    x, y = display.line_.get_data()
    np.testing.assert_array_equal(x, binary.alphas_[:-1])
    np.testing.assert_array_equal(y, binary.theoretical_accuracy_path_[:-1])
    assert display.chosen_.get_xydata().tolist() == [[binary.alpha_, binary.theoretical_accuracy_]]
    band = display.interval_.get_paths()[0].vertices
    assert band[:, 1].min() == binary.theoretical_accuracy_interval_[0]
    assert band[:, 1].max() == binary.theoretical_accuracy_interval_[1]
    assert band[:, 0].min() < binary.alpha_ < band[:, 0].max()
    assert "93.0%" in display.chosen_.get_label()
    assert "90.0% to 95.0%" in display.chosen_.get_label()
    assert display.test_points_ is None


def tick_labels(ax):
    ax.figure.canvas.draw()
    return [label.get_text() for label in ax.get_xticklabels()]


def test_infinity_stands_at_the_right_end(binary):
    ax = AccuracyPathDisplay.from_estimator(binary).ax_
    assert tick_labels(ax)[-1] == r"$\infty$"
    position = ax.get_xticks()[-1]
    assert 10 < position < ax.get_xlim()[1]
    drawn = np.vstack([line.get_xydata() for line in ax.get_lines()])
    assert [position, binary.theoretical_accuracy_path_[-1]] in drawn.tolist()
    assert np.isfinite(drawn).all()


def test_zero_stands_at_the_left_end(binary):
    binary.alphas_ = np.array([0.0, 0.1, 1.0, 10.0, 100.0])
    ax = AccuracyPathDisplay.from_estimator(binary).ax_
    labels = tick_labels(ax)
    assert "0" in labels
    position = ax.get_xticks()[labels.index("0")]
    assert ax.get_xlim()[0] < position < 0.1


def test_chosen_infinity(binary):
    binary.alpha_ = np.inf
    display = AccuracyPathDisplay.from_estimator(binary)
    assert display.chosen_.get_xdata()[0] == display.ax_.get_xticks()[-1]


@pytest.mark.parametrize("alphas", [[1.0], [np.inf], [0.0, np.inf], [0.0, 2.0]])
def test_short_paths(alphas):
    accuracies = np.full(len(alphas), 0.9)
    display = AccuracyPathDisplay(alphas, accuracies, alpha=alphas[0], accuracy=0.9).plot()
    display.figure_.canvas.draw()
    assert display.chosen_ is not None
    assert display.interval_ is None


def test_unsorted_path_is_sorted(binary):
    order = [3, 0, 4, 2, 1]
    binary.alphas_ = binary.alphas_[order]
    binary.theoretical_accuracy_path_ = binary.theoretical_accuracy_path_[order]
    x, y = AccuracyPathDisplay.from_estimator(binary).line_.get_data()
    assert x.tolist() == [0.01, 0.1, 1.0, 10.0]
    assert y.tolist() == [0.80, 0.85, 0.91, 0.92]


def test_points_of_a_validation_curve(binary):
    alphas = np.array([0.1, 1.0, np.inf])
    scores = np.array([[0.8, 0.82], [0.9, 0.94], [0.88, 0.9]])
    display = AccuracyPathDisplay.from_estimator(binary, test_points=(alphas, scores))
    points, _, bars = display.test_points_.lines
    np.testing.assert_array_equal(points.get_xdata()[:2], alphas[:2])
    np.testing.assert_allclose(points.get_ydata(), scores.mean(axis=1))
    spread = scores.std(axis=1, ddof=1)
    heights = [np.ptp(segment[:, 1]) for segment in bars[0].get_segments()]
    np.testing.assert_allclose(heights, 2 * spread)


def test_points_without_repeats(binary):
    display = AccuracyPathDisplay.from_estimator(binary, test_points=([0.5], [0.9]))
    points, caps, bars = display.test_points_.lines
    assert points.get_xydata().tolist() == [[0.5, 0.9]]
    assert len(caps) == len(bars) == 0


def test_unknown_accuracy_is_not_drawn(binary):
    binary.theoretical_accuracy_ = np.nan
    binary.theoretical_accuracy_interval_ = np.array([np.nan, np.nan])
    binary.theoretical_accuracy_path_[2] = np.nan
    display = AccuracyPathDisplay.from_estimator(binary)
    assert display.chosen_ is None
    assert display.interval_ is None


def test_line_style(binary):
    display = AccuracyPathDisplay.from_estimator(binary, line_kw={"color": "red", "label": "mine"})
    assert display.line_.get_color() == "red"
    assert display.line_.get_label() == "mine"


def test_accuracies_are_percentages(binary):
    display = AccuracyPathDisplay.from_estimator(binary)
    display.figure_.canvas.draw()
    assert all(text.get_text().endswith("%") for text in display.ax_.get_yticklabels())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"accuracies": [0.5]}, "one row of accuracies for each"),
        ({"accuracies": [[0.5, 0.6]] * 2}, "one prediction for each penalty"),
        ({"alphas": [-1.0, 1.0]}, "negative or missing"),
        ({"test_points": ([1.0], [0.5, 0.6])}, "test_points has positions"),
        ({"test_points": 3}, "test_points must be a pair"),
    ],
)
def test_bad_input(arguments, message):
    arguments = {"alphas": [0.1, 1.0], "accuracies": [0.8, 0.9], **arguments}
    with pytest.raises(ValueError, match=message):
        AccuracyPathDisplay(**arguments).plot()
    assert pyplot.get_fignums() == []
