"""Deflation: tables, the printed equations in loops, limits in closed form, refusals."""

import numpy as np
import pytest

from skrmt.theory.deflation import hotelling, optimal_gamma, orthogonalized
from skrmt.theory.deflation._equations import step_problem
from skrmt.theory.deflation._signal import check_signal, contractions, coordinates
from skrmt.theory.deflation._steps import solve_steps
from skrmt.theory.spiked_tensor import rank_one_limit, signal_strength, thresholds

THREE = [[1.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.0]]
SIGNALS = {
    "pair": ([6.0, 4.0], 0.5, (90, 90, 90)),
    "unequal": ([5.0, 4.0], [0.7, 0.5, 0.3], (60, 80, 100)),
    "three": ([8.0, 6.0, 4.5], THREE, (80, 80, 80)),
    "order 4": ([6.0, 4.0], 0.6, (30, 30, 40, 40)),
    "negative": ([5.0, 3.0], [-0.4, 0.3, 0.2], (50, 60, 70)),
}


def test_hotelling_table():
    limit = hotelling([6, 4], 0.5, (90, 90, 90))
    np.testing.assert_allclose(limit.singular_values, [6.89552, 3.07085], atol=1e-4)
    want = [[0.96515, 0.69695], [0.23342, 0.94100]]
    np.testing.assert_allclose(
        limit.alignments, np.array(want)[:, :, None] + np.zeros(3), atol=1e-4
    )
    np.testing.assert_allclose(limit.cross_alignments[1, 0], 0.46079, atol=1e-4)
    limit = hotelling([5, 4], [0.7, 0.5, 0.3], (60, 80, 100))
    np.testing.assert_allclose(limit.singular_values, [5.97931, 2.82364], atol=1e-4)
    np.testing.assert_allclose(limit.alignments[1, 1], [0.97295, 0.85574, 0.86674], atol=1e-4)
    np.testing.assert_allclose(limit.cross_alignments[1, 0], [0.76802, 0.35136, 0.26224], atol=1e-4)
    limit = hotelling([6, 4], 0.6, (30, 30, 40, 40))
    np.testing.assert_allclose(limit.singular_values, [6.85510, 3.19565], atol=1e-4)
    np.testing.assert_allclose(limit.cross_alignments[0, 1, [0, 2]], [0.58875, 0.58647], atol=1e-4)


def test_hotelling_table_of_three_and_of_a_spurious_component():
    limit = hotelling([8, 6, 4.5], THREE, (80, 80, 80))
    np.testing.assert_allclose(limit.singular_values, [9.71465, 4.42384, 3.81786], atol=1e-4)
    # The second step finds the third component.
    found = limit.alignments[[0, 1, 2], [0, 2, 1], 0]
    np.testing.assert_allclose(found, [0.93335, 0.97471, 0.92388], atol=1e-4)
    limit = hotelling([6, 4], 0.5, (80, 80, 80), n_steps=3)
    assert limit.singular_values[2] == pytest.approx(1.87840, abs=1e-4)
    assert limit.singular_values[2] > thresholds((80, 80, 80)).noise_norm
    np.testing.assert_allclose(np.abs(limit.alignments[2, :, 0]), [0.69476, 0.17394], atol=1e-4)


@pytest.mark.parametrize(
    ("gamma", "grams", "dims", "value", "alignments"),
    [
        (0.8, 0.6, (80, 80, 80), 2.20351, (0.75572, 0.92646, 0.92646)),
        (0.62, 0.6, (80, 80, 80), 2.68738, (0.97992, 0.98747, 0.98747)),
        (1.0, [0.6, 0.7, 0.4], (60, 90, 90), 2.39026, (0.48526, 0.92626, 0.66422)),
    ],
)
def test_orthogonalized_table(gamma, grams, dims, value, alignments):
    limit = orthogonalized([5, 4.5], grams, dims, gamma)
    assert limit.singular_values[1] == pytest.approx(value, abs=1e-4)
    np.testing.assert_allclose(limit.alignments[1, 1], alignments, atol=1e-4)


def naive_step(problem, vectors, traces, earlier, chosen_modes):
    """One evaluation of the printed equations with loops, from the definitions."""
    mean, projection, share = problem.mean, problem.projection, problem.share
    seen, gammas = chosen_modes
    order, done = len(share), len(earlier)
    letters = "abcdef"[:order]
    filtered = vectors.copy()
    filtered[0] = projection.T @ vectors[0]
    overlaps = np.array([[seen[k][m] @ filtered[m] for m in range(order)] for k in range(done)])
    variances = np.ones(order)
    if gammas is not None:
        variances[0] = 1 - vectors[0] @ vectors[0] + filtered[0] @ filtered[0]
    solved, free = [], []
    for a in range(order):
        rest = [b for b in range(order) if b != a]
        gram = np.prod([[[x[b] @ y[b] for y in seen] for x in seen] for b in rest], axis=0)
        right = np.array([np.prod(overlaps[k, rest]) for k in range(done)])
        solved.append(np.linalg.solve(gram, right) if done else right)
        free.append(np.prod(variances[rest]) - right @ solved[a])
    images, scales, values = [], [], []
    for m in range(order):
        operands = ",".join(letters[b] for b in range(order) if b != m)
        image = np.einsum(f"{letters},{operands}->{letters[m]}", mean, *np.delete(vectors, m, 0))
        value = 0.0
        for a in range(order):
            if a == m:
                continue
            both = [b for b in range(order) if b not in (m, a)]
            value -= traces[a] * np.prod(variances[both])
            for k in range(done):
                along = projection @ seen[k][0] if m == 0 else earlier[k][m]
                image = image + traces[a] * solved[a][k] * np.prod(overlaps[k, both]) * along
            if m == 0:
                moved = projection @ filtered[0] - vectors[0]
                image = image - traces[a] * np.prod(variances[both]) * moved
        images.append(image)
        scales.append(np.sqrt(image @ image + share[m] * free[m]))
        values.append(scales[m] + value)
    return np.array(images), np.array(scales), np.array(values)


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("gammas", [None, [1.0, 0.8, 0.9]])
def test_solutions_satisfy_the_printed_equations(name, gammas):
    signal = check_signal(*SIGNALS[name])
    strengths = None if gammas is None else np.array(gammas)
    steps = solve_steps(signal, signal.rank + 1, strengths)
    assert len(steps) >= signal.rank
    for index, step in enumerate(steps):
        problem, _ = step_problem(signal, steps[:index], strengths)
        size = signal.rank + index
        earlier = np.zeros((index, signal.order, size))
        for k, before in enumerate(steps[:index]):
            known = before.projections
            earlier[k, :, : signal.rank + k] = known
            earlier[k, :, signal.rank + k] = np.sqrt(np.maximum(1 - (known**2).sum(axis=1), 0))
        seen, applied = earlier.copy(), np.eye(size)
        for k in range(index):
            seen[k, 0] = applied.T @ earlier[k, 0]
            if gammas is not None:
                direction = earlier[k, 0]
                applied = (np.eye(size) - gammas[k] * np.outer(direction, direction)) @ applied
        np.testing.assert_allclose(problem.projection, applied, atol=1e-13)
        images, scales, values = naive_step(
            problem, step.projections, step.traces, earlier, (seen, gammas)
        )
        np.testing.assert_allclose(images / scales[:, None], step.projections, atol=1e-10)
        np.testing.assert_allclose(-signal.share / scales, step.traces, atol=1e-10)
        np.testing.assert_allclose(values, step.singular_value, rtol=1e-9)


@pytest.mark.parametrize("name", SIGNALS)
def test_conditional_mean_keeps_earlier_estimates_critical(name):
    signal = check_signal(*SIGNALS[name])
    steps = solve_steps(signal, signal.rank)
    problem, _ = step_problem(signal, steps, None)
    # Hotelling deflation hands the earlier estimates over as they are. Contracted with estimate k
    # the tensor of step k + 1 vanishes; what is left comes from the later subtractions.
    earlier = problem.filtered
    got = contractions(problem.mean, earlier)
    for k in range(len(steps)):
        want = np.zeros_like(got[k])
        for later in range(k + 1, len(steps)):
            cosines = (earlier[k] * earlier[later]).sum(axis=1)
            for mode in range(signal.order):
                others = np.delete(cosines, mode).prod()
                want[mode] -= steps[later].singular_value * others * earlier[later, mode]
        np.testing.assert_allclose(got[k], want, atol=1e-8)


@pytest.mark.parametrize("dims", [(50, 50, 50), (30, 60, 90), (20, 30, 40, 50)])
@pytest.mark.parametrize("beta", [1.45, 2.0, 7.0, 1e6, 1e15])
def test_one_component_is_the_rank_one_limit(dims, beta):
    value, alignments = rank_one_limit(beta, dims)
    for limit in (hotelling([beta], 0.0, dims), orthogonalized([beta], 0.0, dims, 0.5)):
        np.testing.assert_allclose(limit.singular_values, [value], rtol=1e-9)
        np.testing.assert_allclose(limit.alignments[0, 0], alignments, rtol=1e-9)


def test_one_component_near_its_threshold():
    dims = (50, 50, 50)
    edge = thresholds(dims).signal
    above = rank_one_limit(edge * (1 + 1e-5), dims)
    limit = hotelling([edge * (1 + 1e-5)], 0.0, dims)
    np.testing.assert_allclose(limit.singular_values[0], above.singular_value, rtol=1e-6)
    np.testing.assert_allclose(limit.alignments[0, 0], above.alignments, rtol=1e-6)
    below = hotelling([edge * (1 - 1e-5)], 0.0, dims)
    assert np.isnan(below.singular_values).all()
    assert np.all(below.alignments == 0)


def test_orthogonal_components_do_not_see_one_another():
    dims = (40, 60, 80)
    betas = [3.0, 2.0, 5.0]
    value, alignments = rank_one_limit(np.sort(betas)[::-1], dims)
    for limit in (hotelling(betas, 0.0, dims), orthogonalized(betas, 0.0, dims, 0.7)):
        np.testing.assert_allclose(limit.singular_values, value, rtol=1e-9)
        found = limit.alignments[[0, 1, 2], [2, 0, 1]]
        np.testing.assert_allclose(found, alignments, rtol=1e-9)
        np.testing.assert_allclose(limit.cross_alignments[[0, 0, 1], [1, 2, 2]], 0, atol=1e-9)


def test_components_orthogonal_in_one_mode_are_found_as_if_alone():
    dims = (60, 60, 60)
    limit = hotelling([5.0, 3.0], [0.0, 0.0, 0.8], dims)
    np.testing.assert_allclose(signal_strength(limit.singular_values, dims), [5.0, 3.0], rtol=1e-9)


def test_identical_components_are_one():
    dims = (50, 60, 70)
    limit = hotelling([3.0, 2.0], 1.0, dims)
    value, alignments = rank_one_limit(5.0, dims)
    np.testing.assert_allclose(limit.singular_values, [value, np.nan], rtol=1e-9)
    np.testing.assert_allclose(limit.alignments[0], [alignments, alignments], rtol=1e-9)


def test_order_of_components_and_modes_is_immaterial():
    betas, dims = np.array([5.0, 4.0, 3.0]), np.array([50, 70, 90])
    grams = np.array(
        [
            [[1, a, b], [a, 1, c], [b, c, 1]]
            for a, b, c in [(0.7, 0.3, 0.2), (0.5, 0.4, 0.3), (0.2, 0.6, 0.5)]
        ]
    )
    base = hotelling(betas, grams, dims)
    components, modes = [2, 0, 1], [1, 2, 0]
    turned = hotelling(
        betas[components], grams[:, components][:, :, components][modes], dims[modes]
    )
    np.testing.assert_allclose(turned.singular_values, base.singular_values, rtol=1e-9)
    want = np.abs(base.alignments[:, components][:, :, modes])
    np.testing.assert_allclose(np.abs(turned.alignments), want, rtol=1e-7, atol=1e-8)


def test_forms_of_grams():
    dims = (60, 60, 60)
    full = np.array([[[1, 0.4], [0.4, 1]]] * 3)
    for grams in (0.4, [0.4, 0.4, 0.4], full[0], full):
        limit = hotelling([4, 3], grams, dims)
        np.testing.assert_allclose(limit[0], hotelling([4, 3], full, dims)[0], rtol=1e-12)
    root = coordinates(full)
    np.testing.assert_allclose(root @ root.transpose(0, 2, 1), full, atol=1e-14)


@pytest.mark.parametrize("name", SIGNALS)
def test_signs_of_an_estimate_follow_its_main_component(name):
    betas, grams, dims = SIGNALS[name]
    limit = hotelling(betas, grams, dims)
    for step in limit.alignments:
        main = np.argmax(np.array(betas) * step.prod(axis=1))
        assert np.all(step[main] > 0)


def test_weak_projection_finds_the_first_estimate_again():
    limit = orthogonalized([5, 4.5], 0.6, (80, 80, 80), gamma=0.3)
    first = limit.singular_values[0]
    assert limit.singular_values[1] == pytest.approx(0.7 * first, rel=1e-9)
    np.testing.assert_allclose(limit.cross_alignments[1, 0], 1.0, rtol=1e-7)
    np.testing.assert_allclose(limit.alignments[1], limit.alignments[0], rtol=1e-7)
    again = orthogonalized([5, 4.5], 0.6, (80, 80, 80), gamma=0.0, n_steps=3)
    np.testing.assert_allclose(again.singular_values, first, rtol=1e-7)


def test_full_projection_empties_mode_one():
    limit = orthogonalized([8, 6, 4.5], THREE, (80, 80, 80), gamma=1.0)
    off = limit.cross_alignments[:, :, 0] - np.eye(3)
    np.testing.assert_allclose(off, 0, atol=1e-9)


def test_strengths_apply_after_their_steps():
    arguments = ([8, 6, 4.5], THREE, (80, 80, 80))
    mixed = orthogonalized(*arguments, gamma=[0.8, 1.0])
    same = orthogonalized(*arguments, gamma=0.8)
    np.testing.assert_allclose(mixed.singular_values[:2], same.singular_values[:2], rtol=1e-12)
    assert abs(mixed.singular_values[2] - same.singular_values[2]) > 1e-3
    np.testing.assert_allclose(mixed.cross_alignments[2, 1, 0], 0, atol=1e-9)


def test_steps_after_the_last_one_found_are_empty():
    limit = hotelling([6, 4], 0.5, (80, 80, 80), n_steps=6)
    assert np.isfinite(limit.singular_values[:3]).all()
    assert np.isnan(limit.singular_values[3:]).all()
    assert np.all(limit.alignments[3:] == 0)
    np.testing.assert_array_equal(limit.cross_alignments[4, :, 0], np.eye(6)[4])
    np.testing.assert_allclose(
        limit.cross_alignments, limit.cross_alignments.transpose(1, 0, 2), atol=0
    )


@pytest.mark.slow
def test_optimal_gamma_is_the_best_of_a_grid():
    signal = ([5, 4.5], 0.6, (80, 80, 80))
    gamma = optimal_gamma(*signal)
    assert gamma == pytest.approx(0.62, abs=0.011)
    best = orthogonalized(*signal, gamma)
    first = best.singular_values[0]
    assert best.singular_values[1] >= 1.02 * (1 - gamma) * first
    grid = [round(0.05 * k, 2) for k in range(21)]
    for other in grid:
        limit = orthogonalized(*signal, other)
        if limit.singular_values[1] >= 1.02 * (1 - other) * first:
            assert limit.alignments[1, 1].prod() <= best.alignments[1, 1].prod() + 1e-6


def test_optimal_gamma_follows_the_stronger_component():
    dims = (80, 80, 80)
    assert optimal_gamma([4.5, 5], 0.6, dims) == pytest.approx(0.62, abs=0.011)
    assert optimal_gamma([5, 4], 0.0, dims) == 1.0
    assert np.isnan(optimal_gamma([1.0, 0.5], 0.0, dims))


@pytest.mark.parametrize("function", [hotelling, lambda *a: orthogonalized(*a, 0.5)])
@pytest.mark.parametrize(
    ("betas", "grams", "dims", "message"),
    [
        ([5, 4], 0.5, (50, 50), "dims must be a sequence of three"),
        ([5, 0], 0.5, (50, 50, 50), "betas must lie in .*got 0"),
        ([5, -4], 0.5, (50, 50, 50), "betas must lie in .*got -4"),
        ([5, np.nan], 0.5, (50, 50, 50), "betas must lie in .*got nan"),
        ([5, 1e200], 0.5, (50, 50, 50), "betas must lie in .*got 1e\\+200"),
        (5.0, 0.5, (50, 50, 50), "betas must be a sequence"),
        ([], 0.5, (50, 50, 50), "betas must be a sequence"),
        ([[5, 4]], 0.5, (50, 50, 50), "betas must be a sequence"),
        ([5, 4], np.nan, (50, 50, 50), "grams must be finite"),
        ([5, 4], [0.5, 0.5], (50, 50, 50), "grams must be a number or have shape"),
        ([5, 4], np.eye(3), (50, 50, 50), "grams must be a number or have shape"),
        ([5, 4], 1.5, (50, 50, 50), "grams must be positive semi-definite"),
        ([5, 4, 3], -0.9, (50, 50, 50), "grams must be positive semi-definite"),
        ([5, 4], [[1, 0.5], [0.4, 1]], (50, 50, 50), "grams must be symmetric"),
        ([5, 4], [[2, 0.5], [0.5, 1]], (50, 50, 50), "ones on the diagonal, got 2"),
    ],
)
def test_bad_signals(function, betas, grams, dims, message):
    with pytest.raises(ValueError, match=message):
        function(betas, grams, dims)


@pytest.mark.parametrize("steps", [0, -1, 1.5, np.nan, np.inf, [2]])
def test_bad_steps(steps):
    with pytest.raises(ValueError, match="n_steps must be an integer"):
        hotelling([5, 4], 0.5, (50, 50, 50), steps)


@pytest.mark.parametrize("gamma", [-0.1, 1.1, np.nan])
def test_bad_strengths(gamma):
    with pytest.raises(ValueError, match="gamma must lie in"):
        orthogonalized([5, 4], 0.5, (50, 50, 50), gamma)


def test_other_refusals():
    with pytest.raises(ValueError, match="gamma must be a number or have shape"):
        orthogonalized([5, 4], 0.5, (50, 50, 50), [0.5, 0.5])
    with pytest.raises(ValueError, match="two norms or more"):
        optimal_gamma([5], 0.0, (50, 50, 50))
    with pytest.raises(TypeError, match="betas"):
        hotelling(["a", "b"], 0.5, (50, 50, 50))
    with pytest.raises(TypeError, match="grams"):
        hotelling([5, 4], "half", (50, 50, 50))
