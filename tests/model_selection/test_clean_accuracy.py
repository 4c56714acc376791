"""`clean_accuracy`: invariances, refusals, and the posterior against brute-force integration."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from skrmt.exceptions import TheoryWarning
from skrmt.model_selection import clean_accuracy
from skrmt.model_selection._clean_labels import _class_stories, read_labels
from skrmt.model_selection._clean_labels._label_links import (
    label_cells,
    link_derivatives,
    link_objective,
    score_axis,
)
from skrmt.model_selection._clean_labels._score_shape import shape_evidence
from skrmt.model_selection._clean_labels._two_classes import two_class_stories

quiet = pytest.mark.filterwarnings("ignore::skrmt.exceptions.TheoryWarning")


def equal(one, other, rtol=1e-9):
    """Compare all numbers of two results."""
    for name in one._fields:
        a, b = getattr(one, name), getattr(other, name)
        if isinstance(a, str):
            assert a == b, name
        else:
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-10, err_msg=name)


@quiet
@pytest.mark.parametrize("rates", ["estimate", None, 0.2, [0.1, 0.3]])
def test_increasing_affine_maps_and_order_change_nothing(draw, rng, rates):
    scores, observed, _ = draw(rng, 300)
    y = observed.astype(int)
    one = clean_accuracy(scores, y, noise_rates=rates)
    equal(one, clean_accuracy(3.0 * scores - 7.0, y, noise_rates=rates), 1e-6)
    columns = np.column_stack([-scores, scores])
    equal(one, clean_accuracy(columns, y, noise_rates=rates), 1e-6)
    order = rng.permutation(300)
    moved = clean_accuracy(scores[order], y[order], noise_rates=rates)
    assert moved.accuracy == pytest.approx(one.accuracy, rel=1e-9)
    np.testing.assert_allclose(moved.label_quality, one.label_quality[order], rtol=1e-9)


@quiet
def test_names_of_the_classes_change_nothing(draw, rng):
    scores, observed, _ = draw(rng, 300, rates=(0.1, 0.3))
    one = clean_accuracy(scores, observed.astype(int))
    other = clean_accuracy(-scores, np.where(observed, "a", "z"))
    assert other.accuracy == pytest.approx(one.accuracy, rel=1e-9)
    np.testing.assert_allclose(other.noise_rates, one.noise_rates[::-1], rtol=1e-8)


@quiet
@pytest.mark.parametrize("rates", ["estimate", None, 0.2])
def test_names_of_three_classes_change_nothing(rng, rates):
    y = rng.integers(0, 3, 200)
    scores = 2.0 * np.eye(3)[y] + rng.standard_normal((200, 3))
    one = clean_accuracy(scores, y, noise_rates=rates)
    names, order = np.array(["c", "a", "b"]), np.array([1, 2, 0])
    other = clean_accuracy(scores[:, order], names[y], noise_rates=rates)
    assert other.accuracy == pytest.approx(one.accuracy, rel=1e-8)
    np.testing.assert_allclose(other.noise_rates, one.noise_rates[order], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(other.label_quality, one.label_quality, rtol=1e-7, atol=1e-9)
    by_name = clean_accuracy(scores, names[y], noise_rates=rates, classes=names)
    assert by_name.accuracy == pytest.approx(one.accuracy, rel=1e-8)


@quiet
def test_claims_cover_and_known_rates_are_right(draw):
    covered, known = [], []
    for k in range(30):
        rng = np.random.default_rng(k)
        scores, observed, _ = draw(rng, 300, rates=(0.1, 0.4))
        found = clean_accuracy(scores, observed.astype(int))
        truth = 0.9332  # of the best threshold, scores N(+-1.5, 1)
        low, high = found.accuracy_interval
        covered.append(low <= truth <= high)
        assert found.noise_probability >= 0.95 or low <= found.accuracy_if_clean <= high
        assert found.noise_probability <= 0.05 or low <= found.accuracy_if_noisy <= high
        known.append(
            clean_accuracy(scores, observed.astype(int), noise_rates=(0.1, 0.4)).accuracy - truth
        )
    assert np.mean(covered) >= 0.93 - 2 * np.sqrt(0.93 * 0.07 / 30)
    assert abs(np.mean(known)) <= 0.015 + 4.0 * np.std(known, ddof=1) / np.sqrt(30)


def test_noise_posterior_is_that_of_integration(draw, rng):
    """Mean rates of 60 rows by brute force over rates, cuts and slopes."""
    scores, observed, _ = draw(rng, 60, rates=(0.1, 0.3))
    y = observed.astype(int)
    labels = read_labels(y, np.ones(60), 2, "estimate", None, None, None)
    found = two_class_stories(scores, labels)
    axis = score_axis(scores, np.ones(60))
    grid = np.arange(0.0, 0.46, 0.05)
    rates = np.stack([g.ravel() for g in np.meshgrid(grid, grid, indexing="ij")])
    rates = rates[:, rates.sum(0) <= 0.75]
    slopes, cuts = np.linspace(-3.5, 5.5, 91), np.linspace(-5, 5, 101)
    link = expit(np.exp(slopes)[:, None, None] * (axis.points - cuts[:, None]))
    prior = np.exp(-0.5 * (slopes - np.log(2.5)) ** 2 - 0.5 * cuts[:, None] ** 2).T / (2 * np.pi)
    negative, positive = masses = np.stack([axis.mass(1.0 - y), axis.mass(y * 1.0)])
    evidence = []
    for low, high in rates.T:
        seen = np.clip(low + (1 - low - high) * link, 1e-9, 1 - 1e-9)
        logs = 0.7 * (np.log(seen) @ positive + np.log1p(-seen) @ negative)
        evidence.append((prior * np.exp(logs)).sum() * 0.1 * 0.1)
    density = np.exp(-rates.sum(0) / 0.5)
    equal_rates = np.exp(-0.5 * ((rates[0] - rates[1]) / 0.05) ** 2)
    mass = 0.5 * 0.05**2 * density * (0.6 / 0.094 + 0.4 * equal_rates / 0.022)
    shape = shape_evidence(axis.points, masses, rates)[1:]
    fits = np.exp(np.maximum(shape - shape.max(), -4.0))
    mass[1:] = 0.5 * mass[1:] + 0.5 * mass[1:] * fits * mass[1:].sum() / (mass[1:] @ fits)
    mass[0] = 0.5
    mass *= evidence
    mass /= mass.sum()
    assert found.noise_probability == pytest.approx(1 - mass[0], abs=0.01)
    mean = 1.0 - np.diag(found.noise_matrix)
    np.testing.assert_allclose(mean, rates @ mass, atol=0.01)


@pytest.mark.parametrize("by_row", [False, True])
def test_derivatives_of_the_link(draw, rng, by_row):
    """Gradient by central differences; the information is that of Fisher in the mean."""
    scores, observed, _ = draw(rng, 80)
    rates = np.linspace(0.05, 0.4, 80) if by_row else None
    labels = read_labels(observed.astype(int), np.ones(80), 2, "estimate", None, rates, None)
    pairs = np.zeros((2, 1)) if by_row else np.array([[0.1, 0.2], [0.0, 0.3]])
    cells = label_cells(score_axis(scores, np.ones(80)), labels, pairs)
    theta = np.tile(np.array([[0.8], [0.2]]), pairs.shape[1])
    centre, precision = np.zeros_like(theta), np.array([1.2, 1.0])
    gradient, _ = link_derivatives(cells, theta, centre, precision)
    for axis in (0, 1):
        move = np.zeros_like(theta)
        move[axis] = 1e-5
        ends = [
            link_objective(cells, (theta + s * move)[:, :, None], centre, precision)[:, 0]
            for s in (1, -1)
        ]
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, gradient[axis], rtol=1e-6)


@quiet
@pytest.mark.parametrize("n_classes", [3, 10])
def test_more_classes(n_classes):
    gaps, covered, rates = [], [], []
    for k in range(12):
        rng = np.random.default_rng(k)
        y = rng.integers(0, n_classes, 400)
        scores = 2.2 * np.eye(n_classes)[y] + rng.standard_normal((400, n_classes))
        fresh = rng.integers(0, n_classes, 20_000)
        drawn = 2.2 * np.eye(n_classes)[fresh] + rng.standard_normal((20_000, n_classes))
        truth = np.mean(drawn.argmax(1) == fresh)
        found = clean_accuracy(scores, y)
        gaps.append(found.accuracy - truth)
        covered.append(found.accuracy_interval[0] <= truth <= found.accuracy_interval[1])
        rates.append(found.noise_rates.mean())
    assert abs(np.mean(gaps)) <= 0.03 + 4.0 * np.std(gaps, ddof=1) / np.sqrt(12)
    assert np.mean(covered) >= 0.75 and np.mean(rates) <= 0.06


def softmax_problem(n, noise):
    """Return rows of three classes, a story of their noise, discriminants and likelihoods."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, n)
    scores = 0.6 * np.eye(3)[y] + 0.3 * rng.standard_normal((n, 3))
    y = np.where(rng.random(n) < noise, (y + rng.integers(1, 3, n)) % 3, y)
    weights, part = rng.uniform(0.5, 1.5, n), np.ones(n)
    rows = _class_stories._Rows(scores, y, np.eye(3)[y], weights, part, None)
    matrix = (1 - noise) * np.eye(3) + noise / 2 * (1 - np.eye(3))
    story = _class_stories._known_story(rows, matrix, None, None)
    directions, offsets = _class_stories._discriminants(rows, story)
    return rows, story, scores @ directions.T + offsets, matrix.T[y]


def maximum(rows, story, values, likelihood, n_rounds=5):
    """Return log-slope and offsets at the maximum, gradients of rows, and the information."""
    for _ in range(n_rounds):
        x, gradients, information = _class_stories._maximise(
            rows, story, values, np.log(story.prior), likelihood
        )
        story = story._replace(parameters=x)
    return x, gradients, information


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_derivatives_of_the_links_of_classes(noise):
    """Of the penalised log-likelihood written out here, by central differences."""
    rows, story, values, likelihood = softmax_problem(60, noise)
    x, gradients, information = maximum(rows, story, values, likelihood)
    precision = np.r_[0.5, np.full(3, 0.5)] ** -2.0

    def value(x):
        clean = softmax(np.log(story.prior) + x[1:] + np.exp(x[0]) * values, axis=1)
        return rows.weights @ np.log((clean * likelihood).sum(1)) - 0.5 * precision @ x**2

    np.testing.assert_allclose(gradients.sum(0), precision * x, atol=1e-3)
    step = 1e-4 * np.eye(4)
    second = [
        [value(x + a + b) - value(x + a - b) - value(x - a + b) + value(x - a - b) for b in step]
        for a in step
    ]
    np.testing.assert_allclose(-np.array(second) / 4e-8, information, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_links_of_classes_leave_each_row_out(noise):
    """What a step of first order misses of refits, relative to it, falls as the size rises."""
    missed = []
    for n in (400, 1600):
        rows, story, values, likelihood = softmax_problem(n, noise)
        x, gradients, information = maximum(rows, story, values, likelihood)
        steps = -np.linalg.solve(information, gradients[:40].T).T
        refits = [
            maximum(
                rows._replace(weights=np.where(np.arange(n) == i, 0.0, rows.weights)),
                story._replace(parameters=x),
                values,
                likelihood,
            )[0]
            for i in range(40)
        ]
        missed.append(np.abs(x + steps - refits).max() / np.abs(steps).max())
    assert missed[1] <= missed[0] / 2.0


@quiet
def test_noise_of_every_form(draw, rng):
    scores, observed, _ = draw(rng, 200, rates=(0.2, 0.2))
    y = observed.astype(int)
    one = clean_accuracy(scores, y, noise_rates=0.2)
    matrix = np.array([[0.8, 0.2], [0.2, 0.8]])
    for form in ([0.2, 0.2], matrix, np.full(200, 0.2), np.full((200, 2), 0.2)):
        equal(one, clean_accuracy(scores, y, noise_rates=form), 1e-8)
    three = rng.integers(0, 3, 120)
    scores_of_three = 2.0 * np.eye(3)[three] + rng.standard_normal((120, 3))
    matrix = 0.7 * np.eye(3) + 0.1
    one_of_three = clean_accuracy(scores_of_three, three, noise_rates=0.2)
    equal(one_of_three, clean_accuracy(scores_of_three, three, noise_rates=matrix), 1e-8)
    shares = np.column_stack([1.0 - y, y]) * 0.6 + 0.2
    soft = clean_accuracy(scores, shares)
    assert 0.5 < soft.accuracy <= 1.0 and soft.noise_probability > 0.999


@quiet
def test_weights_and_groups(draw, rng):
    scores, observed, _ = draw(rng, 200)
    y = observed.astype(int)
    one = clean_accuracy(scores, y)
    equal(one, clean_accuracy(scores, y, sample_weight=np.full(200, 3.0)), 1e-8)
    equal(one, clean_accuracy(scores, y, groups=np.arange(200)), 1e-8)
    wider = clean_accuracy(scores, y, groups=np.arange(200) // 4).accuracy_interval
    assert np.ptp(wider) > np.ptp(one.accuracy_interval)
    weights = np.r_[np.zeros(5), np.ones(195)]
    some = clean_accuracy(scores, y, sample_weight=weights)
    rest = clean_accuracy(scores[5:], y[5:])
    assert some.accuracy == pytest.approx(rest.accuracy, rel=1e-9)
    assert np.isnan(some.label_quality[:5]).all()


@pytest.mark.parametrize(
    ("scores", "y", "options", "message"),
    [
        (np.full(20, 1.0), np.arange(20) % 2, {}, "constant"),
        (np.r_[np.nan, np.ones(19)], np.arange(20) % 2, {}, "NaN"),
        (np.ones((20, 3)), np.arange(20) % 2, {}, "shape"),
        (np.arange(20.0), np.zeros(20), {}, "classes"),
        (np.arange(20.0), np.arange(20) % 2, {"noise_rates": "guess"}, "noise_rates"),
        (np.arange(20.0), np.arange(20) % 2, {"groups": [1, 2]}, "groups"),
        (np.arange(20.0), np.arange(20) % 2, {"classes": [1, 2]}, "classes"),
    ],
)
def test_refusals(scores, y, options, message):
    with pytest.raises(ValueError, match=message):
        clean_accuracy(scores, y, **options)


def test_scores_without_signal_are_undetected(rng):
    with pytest.warns(TheoryWarning, match="do not follow"):
        found = clean_accuracy(rng.standard_normal(200), np.arange(200) % 2)
    assert found.regime == "undetected"
    low, high = found.observed_accuracy_interval
    assert low <= 0.5 <= high


def test_few_rows_claim_nothing(rng):
    with pytest.warns(TheoryWarning, match="fewer than 10"):
        found = clean_accuracy(rng.standard_normal(8), np.arange(8) % 2)
    assert found.regime == "too_few_rows" and np.isnan(found.accuracy)


@quiet
@pytest.mark.parametrize("unit", [1e-300, 1e-150, 1e150, 1e300])
def test_the_unit_of_the_scores_changes_nothing(draw, rng, unit):
    scores, observed, _ = draw(rng, 200)
    columns = np.column_stack([-scores, scores, rng.standard_normal(200)])
    labels = np.where(np.arange(200) % 5 == 0, 2, observed.astype(int))
    for values, y in ((scores, observed.astype(int)), (columns[:, :2], observed.astype(int)),
                      (columns, labels)):  # fmt: skip
        equal(clean_accuracy(values * unit, y), clean_accuracy(values, y), 1e-6)


@quiet
def test_labels_that_are_missing_among_words_are_refused(draw, rng):
    scores, observed, _ = draw(rng, 30)
    names = np.array(["no", "yes"])[observed.astype(int)].tolist()
    for hole in (None, float("nan")):
        with pytest.raises(ValueError, match="missing label at row 3"):
            clean_accuracy(scores, [*names[:3], hole, *names[4:]])


@quiet
def test_torch_scores_and_labels_are_read(draw, rng):
    torch = pytest.importorskip("torch")
    scores, observed, _ = draw(rng, 200)
    scores = np.round(scores * 8) / 8
    expected = clean_accuracy(scores, observed.astype(int))
    for kind in (torch.float64, torch.float32, torch.float16):
        given = torch.as_tensor(scores).to(kind).requires_grad_()
        equal(clean_accuracy(given, torch.as_tensor(observed.astype(int))), expected)
