"""Which wrong labels the shape of scores suggests."""

import numpy as np
from scipy.stats import norm

from skrmt.model_selection._clean_labels._score_shape import shape_evidence


def clouds(rng, n, rates, gap=3.0, share=0.5):
    """Return scores of two Gaussian classes, as points and masses by observed label."""
    y = (rng.random(n) < share).astype(int)
    scores = gap * y + rng.standard_normal(n)
    observed = np.where(rng.random(n) < np.where(y == 1, rates[1], rates[0]), 1 - y, y)
    order = np.argsort(scores)
    points = scores[order]
    return points, np.stack([observed[order] == 0, observed[order] == 1]).astype(float)


def test_right_labels_are_the_classes(rng):
    points, mass = clouds(rng, 300, (0.0, 0.0), gap=1.0, share=0.3)
    groups, share = [points[mass[k] > 0] for k in (0, 1)], mass[1].mean()
    pooled = (1.0 - share) * groups[0].var() + share * groups[1].var()
    widths = [np.sqrt(0.5 * x.var() + 0.5 * pooled + 0.01) for x in groups]
    laws = [norm(x.mean(), width) for x, width in zip(groups, widths, strict=True)]
    seen = (1.0 - share) * laws[0].pdf(points) + share * laws[1].pdf(points)
    expected = np.log(seen).sum() + 0.5 * len(points) * np.log(2.0 * np.pi)
    found = shape_evidence(points, mass, np.zeros((2, 1)))
    np.testing.assert_allclose(found, [expected], rtol=1e-10)


def test_too_few_wrong_labels_fit_badly(rng):
    """The right rates fit nearly best; labels that are too good tie the classes to them."""
    axis = np.arange(0.0, 0.45, 0.1)
    rates = np.stack([x.ravel() for x in np.meshgrid(axis, axis, indexing="ij")])
    for truth in [(0.0, 0.0), (0.1, 0.4), (0.3, 0.3), (0.0, 0.2)]:
        evidence = shape_evidence(*clouds(rng, 2000, truth), rates).reshape(5, 5)
        low, high = (round(10 * rate) for rate in truth)
        assert evidence[low, high] > evidence.max() - 4.0
        assert (evidence[: max(low - 1, 0), : max(high - 1, 0)] < evidence.max() - 20.0).all()
        assert truth == (0.0, 0.0) or evidence[0, 0] < evidence.max() - 20.0


def test_masses_are_repeated_rows(rng):
    points, mass = clouds(rng, 60, (0.2, 0.1))
    counts, rates = rng.integers(0, 4, 60), np.array([[0.0, 0.2, 0.3], [0.1, 0.1, 0.3]])
    one = shape_evidence(points, mass * counts, rates)
    other = shape_evidence(np.repeat(points, counts), np.repeat(mass, counts, axis=1), rates)
    np.testing.assert_allclose(one, other, rtol=1e-12)
