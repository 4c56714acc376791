"""What is read off left-out scores and class moments of real and synthetic rows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from skrmt.linear_model.synthetic_mix._leak import source_evidence
from skrmt.linear_model.synthetic_mix._loo_accuracy import (
    accuracy_influence,
    criterion_of_sums,
    criterion_parts,
    loo_accuracy,
    score_margins,
    score_temperature,
)
from skrmt.linear_model.synthetic_mix._source_labels import (
    class_geometry,
    generator_shift,
    label_noise,
    separation_ratio,
)

SEEDS = pytest.mark.parametrize("seed", range(5))


def labelled_scores(seed, n=60, gap=1.5, rate=0.1):
    """Return scores around +-gap, their observed labels and weights."""
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 2 == 1
    scores = np.where(truth, gap, -gap) + rng.standard_normal(n)
    return scores, (truth ^ (rng.random(n) < rate)).astype(int), rng.uniform(0.5, 2.0, n)


def criterion_of(scores, observed, w, criterion):
    """Return what a choice between scores minimises, from sums over all rows."""
    parts = np.broadcast_arrays(*criterion_parts(scores, observed, w, criterion))
    return criterion_of_sums([np.tensordot(w, part, 1) for part in parts], criterion)


@SEEDS
def test_accuracy_of_margins_has_no_scale_unit_or_order(seed):
    scores, observed, w = labelled_scores(seed)
    margins = score_margins(scores[:, None], observed)
    found = loo_accuracy(margins, w)
    assert found.counted == pytest.approx(w @ (margins > 0) / w.sum())
    order = np.random.default_rng(seed).permutation(len(w))
    moved = loo_accuracy(7.0 * margins[order], 1e3 * w[order])
    np.testing.assert_allclose(moved, found, atol=1e-9)
    share = accuracy_influence(margins, w)
    assert w @ share / w.sum() == pytest.approx(found.accuracy)


def test_parts_of_rows_are_rows():
    scores, observed, _ = labelled_scores(0)
    times = np.random.default_rng(0).integers(1, 5, len(scores))
    margins = score_margins(scores[:, None], observed)
    merged = loo_accuracy(margins, 1.0 * times, 1.0 / times)
    expected = loo_accuracy(np.repeat(margins, times), np.ones(times.sum()))
    np.testing.assert_allclose(merged, expected)
    logits = 2.0 * scores
    merged = label_noise(logits, observed, 1.0 * times, 1.0 / times)
    expected = label_noise(*(np.repeat(a, times) for a in (logits, observed, np.ones(len(times)))))
    np.testing.assert_allclose(merged, expected)
    X = np.random.default_rng(1).standard_normal((len(scores), 3))
    merged = class_geometry(X, observed, 1.0 * times, 2, 1.0 / times)
    expected = class_geometry(
        np.repeat(X, times, axis=0), np.repeat(observed, times), np.ones(times.sum()), 2
    )
    for value, other in zip(merged, expected, strict=True):
        np.testing.assert_allclose(value, other)


@SEEDS
@pytest.mark.parametrize("criterion", ["scale_free", "nll", "smooth"])
def test_criteria_have_no_scale_and_the_temperature_has_it(criterion, seed):
    scores, observed, w = labelled_scores(seed)
    here, there = (criterion_of(s[:, None], observed, w, criterion) for s in (scores, 2 * scores))
    np.testing.assert_allclose(here, there, atol=1e-5)
    beta = [score_temperature(s[:, None], observed, w) for s in (scores, 2 * scores)]
    assert beta[0] == pytest.approx(2 * beta[1], rel=1e-3)


@pytest.mark.parametrize("n_classes", [3, 5])
def test_margins_are_positive_where_the_label_has_the_largest_score(n_classes):
    rng = np.random.default_rng(n_classes)
    scores, observed = rng.standard_normal((30, n_classes)), rng.integers(0, n_classes, 30)
    margins = score_margins(scores, observed)
    np.testing.assert_array_equal(margins > 0, scores.argmax(axis=1) == observed)
    order = rng.permutation(n_classes)
    renamed = score_margins(scores[:, order], np.argsort(order)[observed])
    np.testing.assert_allclose(renamed, margins)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.4])
def test_the_rate_of_wrong_labels_is_the_share_where_the_truth_is_plain(rate):
    truth = np.arange(200) % 2
    wrong = np.random.default_rng(0).random(200) < rate
    found = label_noise(np.where(truth, 20.0, -20.0), truth ^ wrong, np.ones(200))
    assert found.rate == pytest.approx(wrong.mean(), abs=0.01)
    if rate:
        assert found.std == pytest.approx(
            np.sqrt(wrong.mean() * (1 - wrong.mean()) / 200), abs=1e-4
        )


def test_class_geometry_ignores_the_origin_and_shows_a_larger_scale():
    rng = np.random.default_rng(0)
    y, one = np.arange(80) % 2, np.ones(80)
    X = rng.standard_normal((80, 5)) + 2.0 * y[:, None]
    real = class_geometry(X, y, one, 2)
    moved = class_geometry(X + 3.0, y, one, 2)
    np.testing.assert_allclose(moved.means, real.means, atol=1e-9)
    assert moved.trace == pytest.approx(real.trace)
    generated = class_geometry(1.7 * X, y, one, 2)
    assert generated.trace == pytest.approx(1.7**2 * real.trace)
    ratio = generator_shift(real, generated, 1.0)[0] / generator_shift(real, real, 1.0)[0]
    assert ratio == pytest.approx(1.7)


def evidence_of(rows, labels, made, made_labels):
    """Return the evidence of a leak of two classes, with an intercept."""
    weights, codes = np.bincount(made_labels, minlength=2).astype(float), made_labels
    centre = rows.mean(0)
    shifted = made - centre
    sums = np.eye(2)[codes].T @ shifted
    gram = shifted.T @ shifted
    source = SimpleNamespace(
        weights=weights, sums=sums, gram=gram, energy=np.trace(gram), size=float(len(codes))
    )
    ones = np.ones(len(rows))
    real = SimpleNamespace(X=rows, codes=labels, weights=ones, part=ones, size=float(len(rows)))
    return source_evidence(real, source, centre, 2)


def test_leaks_are_found_and_independent_rows_at_the_level_of_the_test():
    rng = np.random.default_rng(0)
    y, labels = np.arange(40) % 2, np.arange(200) % 2
    found, values = 0, []
    for _ in range(400):
        real, made = (rng.standard_normal((len(k), 30)) + 2.0 * k[:, None] for k in (y, labels))
        values.append(evidence_of(real, y, made, labels).pvalue)
        # Copies with noise, a third of the labels wrong.
        picked = rng.integers(40, size=200)
        copies = real[picked] + 0.3 * rng.standard_normal((200, 30))
        wrong = y[picked] ^ (rng.random(200) < 0.3)
        found += evidence_of(real, y, copies, wrong).found
    assert found > 380
    for level in (0.01, 0.05):
        share = np.mean(np.array(values) < level)
        assert share < level + 4.5 * np.sqrt(level / len(values))


def test_evidence_of_a_leak_has_no_unit_and_no_origin():
    rng = np.random.default_rng(1)
    y, labels = np.arange(40) % 2, np.arange(100) % 2
    real, made = (rng.standard_normal((len(k), 5)) + k[:, None] for k in (y, labels))
    plain = evidence_of(real, y, made, labels)
    moved = evidence_of(5.0 + 3.0 * real, y, 5.0 + 3.0 * made, labels)
    np.testing.assert_allclose(moved, plain, rtol=1e-8)


@SEEDS
def test_separation_is_bounded_and_has_no_unit(seed):
    scores, observed, w = labelled_scores(seed)
    values = [
        separation_ratio(f * scores[:, None], observed, w, f * 1.3 * scores[:, None], w, 1.5)
        for f in (1.0, 2.0)
    ]
    assert 0.2 <= values[0] <= 5
    assert values[0] == pytest.approx(values[1], rel=1e-9)


@SEEDS
@pytest.mark.parametrize("criterion", ["scale_free", "nll", "squared", "smooth"])
def test_the_size_of_an_outlier_does_not_matter(seed, criterion):
    scores, observed, w = labelled_scores(seed)
    scores = np.repeat(scores[:, None, None], 2, axis=2)
    scores[0, 0] *= [1e3, 1e6]
    values = criterion_of(scores, observed, w, criterion)
    assert values[0] == pytest.approx(values[1], rel=1e-9)
    smoothed = loo_accuracy(score_margins(scores, observed), w).smoothed
    assert smoothed[0] == pytest.approx(smoothed[1], rel=1e-9)
    assert smoothed[0] > 0.7


@pytest.mark.parametrize("criterion", ["scale_free", "squared", "smooth"])
def test_parts_of_some_rows_are_those_of_these_rows_alone(criterion):
    """Not of the log loss, whose temperature all rows choose."""
    scores, observed, w = labelled_scores(0)
    parts = criterion_parts(scores[:, None], observed, w, criterion)
    some = np.arange(len(w)) % 3 > 0
    sums = [w[some] @ np.broadcast_to(part, (len(w),))[some] for part in parts]
    expected = criterion_of(scores[some, None], observed[some], w[some], criterion)
    assert criterion_of_sums(sums, criterion) == pytest.approx(float(expected), rel=1e-9)
