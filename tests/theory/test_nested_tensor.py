"""The nested matrix-tensor model against tables, closed forms, limits and simulations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid
from scipy.special import ndtr

from skrmt.theory import nested_tensor as nt
from skrmt.theory.spiked_tensor import noise_density, rank_one_limit

POINTS = [
    (150, 200, 60, 2.0, 1.5),
    (150, 200, 60, 1.0, 3.0),
    (100, 200, 100, 3.0, 2.0),
    (200, 300, 4, 2.0, 1.5),
    (200, 300, 4, 1.0, 2.0),
    (80, 100, 60, 0.4, 3.0),
    (80, 100, 60, 0.3, 6.0),
    (80, 100, 60, 0.2, 14.0),
    (300, 150, 10, 1.5, 1.2),
]
"""n_features, n_samples, n_views, beta_t, beta_m."""

OVERLAPS = [
    (0.6468, 0.7100, 0.9995, 0.7539, 0.7094, 0.9885, 3.8276, 0.7100, 0.9995, 0.7100),
    (0.7826, 0.8853, 0.9973, 0.9087, 0.8846, 0.9845, 3.3324, 0.8853, 0.9974, 0.8854),
    (0.8273, 0.8332, 0.9996, 0.9022, 0.8332, 0.9945, 6.8256, 0.8332, 0.9996, 0.8333),
    (0.6908, 0.6949, 1.0000, 0.7580, 0.6949, 0.9995, 3.8292, 0.6949, 1.0000, 0.6949),
    (0.6983, 0.7241, 0.9999, 0.7841, 0.7239, 0.9985, 2.4975, 0.7241, 0.9999, 0.7241),
    (0.0000, 0.6256, 0.8631, 0.6165, 0.5782, 0.7458, 1.7050, 0.6327, 0.8838, 0.6672),
    (0.1979, 0.8321, 0.8160, 0.8714, 0.8478, 0.9121, 2.1079, 0.8492, 0.9214, 0.8596),
    (0.8191, 0.9381, 0.8887, 0.9532, 0.9428, 0.9666, 2.9867, 0.9428, 0.9669, 0.9446),
    (0.4948, 0.5851, 0.9999, 0.4677, 0.5845, 0.9958, 2.6847, 0.5851, 0.9999, 0.5851),
]
"""Reference values, within the errors of simulations: unfolding, two steps (samples, views), tensor
(features, samples, views, singular value), likelihood (samples, views), oracle."""

EIGENVALUES = [37.0130, 33.6326, 71.3814, 15.9093, 7.5747, 26.2862, 26.2912, 29.3586, 13.5323]
ACCURACIES = [
    (0.9120, 0.9412, 0.9409, 0.9412, 0.9412),
    (0.9711, 0.9973, 0.9972, 0.9973, 0.9973),
    (0.9857, 0.9873, 0.9873, 0.9873, 0.9873),
    (0.9325, 0.9344, 0.9344, 0.9344, 0.9344),
    (0.9359, 0.9474, 0.9473, 0.9474, 0.9474),
    (0.5000, 0.9019, 0.8792, 0.9053, 0.9216),
    (0.6903, 0.9870, 0.9909, 0.9912, 0.9933),
    (0.9833, 1.0000, 1.0000, 1.0000, 1.0000),
    (0.8388, 0.8825, 0.8822, 0.8825, 0.8825),
]
METHODS = (nt.unfolding, nt.two_step, nt.tensor, nt.nested_ml, nt.oracle)
HALF_DIGIT = 5.1e-5


def point(p, n, m, beta_t, beta_m):
    """Return keyword arguments."""
    return dict(n_samples=n, n_features=p, n_views=m, beta_t=beta_t, beta_m=beta_m)


@pytest.fixture
def draw():
    """Return a function that draws the normalised tensor (p, n, m) with its unit vectors."""

    def draw(rng, p, n, m, theta, tau):
        total = n + p + m
        x, y, h = (v / np.linalg.norm(v) for v in map(rng.standard_normal, (p, n, m)))
        y = np.where(y > 0, 1, -1) / np.sqrt(n)
        matrix = theta * np.outer(x, y) + np.sqrt(tau / total) * rng.standard_normal((p, n))
        noise = rng.standard_normal((p, n, m)) / np.sqrt(total)
        return matrix[:, :, None] * h + noise, x, y, h

    return draw


@pytest.mark.parametrize(("where", "expected"), list(zip(POINTS, OVERLAPS, strict=True)))
def test_reference_overlaps(where, expected):
    given = point(*where)
    two, tensor, likelihood = nt.two_step(**given), nt.tensor(**given), nt.nested_ml(**given)
    actual = (
        nt.unfolding(**given).sample_overlap,
        two.sample_overlap,
        two.view_overlap,
        tensor.feature_overlap,
        tensor.sample_overlap,
        tensor.view_overlap,
        tensor.singular_value,
        likelihood.sample_overlap,
        likelihood.view_overlap,
        nt.oracle(**given).sample_overlap,
    )
    np.testing.assert_allclose(actual, expected, rtol=0, atol=HALF_DIGIT)


@pytest.mark.parametrize(
    ("where", "accuracies", "eigenvalue"), list(zip(POINTS, ACCURACIES, EIGENVALUES, strict=True))
)
def test_reference_accuracies_and_eigenvalues(where, accuracies, eigenvalue):
    actual = [method(**point(*where)).accuracy for method in METHODS]
    np.testing.assert_allclose(actual, accuracies, rtol=0, atol=HALF_DIGIT)
    assert nt.unfolding(**point(*where)).eigenvalue == pytest.approx(eigenvalue, abs=HALF_DIGIT)


def test_asymptotic_unfolding():
    result = nt.unfolding(**point(150, 200, 60, 2, 1.5), regime="asymptotic")
    assert result.eigenvalue == pytest.approx(4.395746, abs=1e-6)
    assert result.sample_overlap == pytest.approx(0.691847, abs=1e-6)
    result = nt.unfolding(**point(150, 200, 60, 1, 3), regime="asymptotic")
    assert result.eigenvalue == pytest.approx(3.406157, abs=1e-6)
    assert result.sample_overlap == pytest.approx(0.827551, abs=1e-6)
    few = nt.unfolding(**point(200, 300, 4, 1, 2), regime="asymptotic")
    assert few.sample_overlap == pytest.approx(0.818, abs=5e-4)


def test_exact_unfolding_tends_to_the_asymptotic_one():
    gaps = []
    for size in (1000, 100_000):
        sizes = dict(n_samples=2 * size, n_features=size, n_views=size)
        strengths = dict(beta_t=0.8 * (4 * size) ** 0.25, beta_m=1.5)
        exact = nt.unfolding(**sizes, **strengths)
        limit = nt.unfolding(**sizes, **strengths, regime="asymptotic")
        gaps.append(abs(exact.sample_overlap - limit.sample_overlap))
    assert gaps[1] < gaps[0] / 5 and gaps[1] < 0.01


def test_edge_of_the_asymptotic_bulk_is_that_of_the_exact_one_scaled():
    size = 1_000_000
    given = dict(n_samples=2 * size, n_features=size, n_views=size, beta_m=0.1)
    given["beta_t"] = 0.8 * (4 * size) ** 0.25
    exact = nt.unfolding(**given)
    limit = nt.unfolding(**given, regime="asymptotic")
    assert not exact.detected and not limit.detected
    n, p, m = 2.0 * size, float(size), float(size)
    scaled = ((n + p + m) * exact.eigenvalue - (n + p * m)) / np.sqrt(p * n * m)
    assert scaled == pytest.approx(limit.eigenvalue, abs=0.01)


def test_phases_of_the_tensor_method():
    views = nt.tensor(**point(80, 100, 60, 1.0, 0.8))
    assert views[:2] == (0, 0) and not views.detected and views.accuracy == 0.5
    assert views.view_overlap == pytest.approx(0.8079, abs=HALF_DIGIT)
    both = nt.tensor(**point(80, 100, 60, 0.8, 2.0))
    np.testing.assert_allclose(
        (both.feature_overlap, both.sample_overlap, both.view_overlap),
        (0.7323, 0.6969, 0.9063),
        atol=HALF_DIGIT,
    )
    nothing = nt.tensor(**point(80, 100, 60, 0.3, 0))
    assert nothing[:5] == (0, 0, 0, 0.5, False) and np.isnan(nothing.singular_value)
    pair = point(80, 100, 60, 0.3, 4)
    assert nt.nested_ml(**pair).sample_overlap == pytest.approx(0.6291, abs=HALF_DIGIT)
    assert nt.tensor(**pair).sample_overlap == pytest.approx(0.5935, abs=HALF_DIGIT)


def test_views_alone_have_a_closed_form():
    n, p, m, tau = 100, 80, 60, 1.7
    total, s = n + p + m, (np.sqrt(80) + np.sqrt(100)) / np.sqrt(240)
    c = (m - 1) / total
    expected = (tau**2 * s**2 - c) / (tau * (c + tau * s**2))
    result = nt.tensor(n_samples=n, n_features=p, n_views=m, theta=0.1, tau=tau)
    assert result.view_overlap == pytest.approx(expected, abs=1e-10)
    threshold = np.sqrt(c) / s
    sizes = dict(n_samples=n, n_features=p, n_views=m, theta=0.0)
    assert nt.tensor(**sizes, tau=threshold * 0.999).view_overlap == 0
    assert 0 < nt.tensor(**sizes, tau=threshold * 1.001).view_overlap < 0.01


@pytest.mark.parametrize("theta", [1.9, 2.0, 2.5, 4.0, 20.0])
def test_without_within_class_noise_it_is_a_spiked_tensor(theta):
    given = dict(n_samples=90, n_features=50, n_views=21, theta=theta, tau=0.0)
    unit = np.sqrt(160 / 161)
    value, alignments = rank_one_limit(theta / unit, (50, 90, 20))
    for method in (nt.tensor, nt.nested_ml):
        result = method(**given)
        overlaps = (result.feature_overlap, result.sample_overlap, result.view_overlap)
        np.testing.assert_allclose(overlaps, alignments**2, atol=1e-9)
    assert nt.tensor(**given).singular_value == pytest.approx(unit * value, abs=1e-9)


@pytest.mark.parametrize("seed", range(40))
def test_reduced_equation_is_the_stationary_point(seed):
    rng = np.random.default_rng(seed)
    n, p, m = rng.integers(5, 400, 3)
    theta, tau = 10 ** rng.uniform(0.1, 1.5), 10 ** rng.uniform(-3, 2)
    result = nt.tensor(n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau)
    if not result.detected:
        return
    c1, c2, c3 = np.array([p, n, m - 1]) / (n + p + m)
    a = 1 + tau * result.view_overlap
    g1 = -np.sqrt(c1 * (1 - result.feature_overlap) / a)
    g2 = -np.sqrt(c2 * (1 - result.sample_overlap) / a)
    g3 = -np.sqrt(c3 * (1 - result.view_overlap))
    value = result.singular_value
    scale = 1e-9 * (1 + value)
    assert -c1 / g1 == pytest.approx(value + a * g2 + g3, abs=scale * -c1 / g1)
    assert -c2 / g2 == pytest.approx(value + a * g1 + g3, abs=scale * -c2 / g2)
    if result.view_overlap < 1 - 1e-6:
        overlaps = np.sqrt(result.feature_overlap * result.sample_overlap / result.view_overlap)
        pull = np.sqrt(c3 / (1 - result.view_overlap)) + tau * (g1 + g2) - theta * overlaps
        assert pull == pytest.approx(0, abs=1e-6 * (1 + theta + tau))


@pytest.mark.parametrize("seed", range(40))
def test_order_of_the_methods(seed):
    rng = np.random.default_rng(1000 + seed)
    n, p, m = rng.integers(5, 500, 3)
    theta, tau = 10 ** rng.uniform(-0.5, 1), 10 ** rng.uniform(-3, 2)
    given = dict(n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau)
    best = nt.nested_ml(**given)
    bound = nt.oracle(**given).sample_overlap
    for method in (nt.unfolding, nt.tensor, nt.two_step):
        result = method(**given)
        assert 0 <= result.sample_overlap <= best.sample_overlap + 10 / (n * p) + 1e-9
        assert result.detected == (result.sample_overlap > 0)
    assert best.sample_overlap <= bound + 1e-12
    gap = nt.performance_gap(**given)
    assert gap.bayes >= gap.oracle - 1e-9
    assert gap.gap == gap.tensor - gap.unfolding


def test_nested_ml_is_two_step_without_classes():
    given = dict(n_samples=100, n_features=80, n_views=60, theta=0.0, tau=0.5)
    assert nt.nested_ml(**given).view_overlap == pytest.approx(
        nt.two_step(**given).view_overlap, abs=1e-12
    )


def test_overlap_next_to_one():
    given = dict(n_samples=100_000, n_features=1000, n_views=3, beta_t=300, beta_m=3)
    for method in METHODS:
        assert method(**given).sample_overlap == pytest.approx(0.9008, abs=HALF_DIGIT)
    huge = nt.tensor(n_samples=100, n_features=100, n_views=3, theta=1e12, tau=1e3)
    assert huge.sample_overlap == pytest.approx(1) and huge.accuracy == 1


def test_oracle_is_fixed_weights_of_cosine_one():
    given = point(*POINTS[0])
    assert nt.fixed_weights(**given, view_cosine=-1) == nt.oracle(**given)
    assert not nt.fixed_weights(**given, view_cosine=0).detected


def test_both_forms_of_the_strengths_agree():
    p, n, m, beta_t, beta_m = POINTS[1]
    tau = beta_t**2 * (n + p + m) / (n + p)
    other = dict(n_samples=n, n_features=p, n_views=m, theta=beta_t * beta_m, tau=tau)
    for method in METHODS:
        np.testing.assert_allclose(method(**point(*POINTS[1])), method(**other), rtol=1e-12)


def test_one_view_is_a_matrix():
    given = dict(n_samples=100, n_features=80, n_views=1, theta=3.0, tau=0.4)
    np.testing.assert_allclose(
        nt.unfolding(**given).sample_overlap, nt.oracle(**given).sample_overlap, rtol=1e-12
    )


def test_matrix_spike_and_its_inverse():
    signals = np.array([1.0, 100.0, 400.0, 1e6])
    spike = nt.matrix_spike(signals, 1.0, 100, 50)
    assert spike.sample_overlap[0] == spike.feature_overlap[0] == 0
    assert spike.eigenvalue[0] == pytest.approx((10 + np.sqrt(50)) ** 2)
    np.testing.assert_allclose(
        nt.spike_strength(spike.eigenvalue, 1.0, 100, 50), [0, *signals[1:]], rtol=1e-12
    )
    q_y, q_x = spike.sample_overlap[1:], spike.feature_overlap[1:]
    np.testing.assert_allclose(q_y / (1 - q_y), q_x * signals[1:] / 100, rtol=1e-9)


def test_bayes_reference_values():
    assert nt.bayes_accuracy(1, 2) == pytest.approx(0.722158838, abs=1e-9)
    assert nt.bayes_accuracy(3, 0.5) == pytest.approx(0.891174381, abs=1e-9)
    assert nt.bayes_accuracy(1, 1) == 0.5 and nt.bayes_accuracy(0, 5) == 0.5
    assert 0.5 < nt.bayes_accuracy(1, 1.001) < 0.52
    assert nt.bayes_accuracy(9, 1e6) == pytest.approx(ndtr(3), abs=1e-6)
    assert nt.bayes_accuracy(1e4, 1) == 1


def test_unequal_views_reference_values():
    first = (400, (60, 200, 500), (240, 400, 480), (0.5, 1, 2))
    assert not nt.unequal_views(*first, weights="unit").detected
    result = nt.unequal_views(*first, weights="inverse_variance")
    assert result.sample_overlap == pytest.approx(0.55827, abs=1e-5)
    assert nt.unequal_views(*first).sample_overlap == pytest.approx(0.62930, abs=1e-5)
    second = (300, (50, 50, 400, 20), (150, 90, 600, 60), (0.5, 0.5, 1, 1))
    for weights, expected in (
        ("unit", 0.63399),
        ("inverse_variance", 0.69664),
        ("optimal", 0.70626),
    ):
        actual = nt.unequal_views(*second, weights=weights).sample_overlap
        assert actual == pytest.approx(expected, abs=1e-5)


def test_optimal_weights_are_optimal():
    views = (300, (50, 50, 400, 20), (150, 90, 600, 60), (0.5, 0.5, 1, 1))
    best = nt.unequal_views(*views)
    ratios = np.array([150, 90, 600, 60]) / np.array([0.5, 0.5, 1, 1])
    a, b, q = ratios / 300, ratios / np.array(views[1]), best.sample_overlap
    assert 1 / (1 - q) == pytest.approx((a * b / (1 + b * q)).sum(), rel=1e-9)
    rng = np.random.default_rng(0)
    for _ in range(20):
        weights = best.weights * np.exp(0.3 * rng.standard_normal(4))
        assert nt.unequal_views(*views, weights=weights).sample_overlap <= q + 1e-12
    scaled = nt.unequal_views(*views, weights=7e5 * best.weights)
    assert scaled.sample_overlap == pytest.approx(q, rel=1e-10)


def test_equal_views_are_a_matrix():
    result = nt.unequal_views(200, [100], [300.0], [1.0])
    spike = nt.matrix_spike(300.0, 1.0, 200, 100)
    assert result.sample_overlap == pytest.approx(spike.sample_overlap, rel=1e-10)
    assert result.eigenvalue == pytest.approx(spike.eigenvalue, rel=1e-10)
    below = nt.unequal_views(200, [60, 40], [3.0, 0.0], [1.0, 1.0], weights="unit")
    assert below.eigenvalue == pytest.approx((np.sqrt(200) + 10) ** 2, rel=1e-9)


def test_joint_detection_of_weak_views():
    widths, noises = np.array([100, 200, 300]), np.ones(3)
    signals = np.sqrt(0.5 * 400 * widths)
    assert all(
        not nt.unequal_views(400, [p], [t], [1.0]).detected
        for p, t in zip(widths, signals, strict=True)
    )
    assert nt.unequal_views(400, widths, signals, noises).detected
    at_edge = signals * (1.5**-0.5)
    assert not nt.unequal_views(400, widths, at_edge * 0.999, noises).detected
    assert nt.unequal_views(400, widths, at_edge * 1.001, noises).detected


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        (0.5, (0.8250, 0.9490, 0.9490, 0.9490)),
        (0.3, (0.7878, 0.8780, 0.9449, 0.9507)),
        (0.15, (0.6271, 0.7146, 0.9230, 0.9511)),
    ],
)
def test_imbalanced_reference_values(prior, expected):
    result = nt.imbalanced(n_samples=600, n_features=300, snr=3.24, prior=prior)
    np.testing.assert_allclose(result[:4], expected, atol=HALF_DIGIT)


def test_imbalanced_below_threshold():
    result = nt.imbalanced(n_samples=60, n_features=300, snr=0.1, prior=0.2)
    assert result == (0, 0.5, 0.5, 0.8, False)


@pytest.mark.parametrize(
    ("drop", "weights", "overlap", "overlap_sd", "accuracy", "accuracy_sd"),
    [
        (0.3, "inverse_variance", 0.5766, 0.0015, 0.8333, 0.0008),
        (0.3, "optimal", 0.5807, 0.0014, 0.8342, 0.0008),
        (0.6, "inverse_variance", 0.4380, 0.0039, 0.7665, 0.0017),
        (0.6, "optimal", 0.4609, 0.0033, 0.7720, 0.0016),
    ],
)
def test_missing_views_reference_values(drop, weights, overlap, overlap_sd, accuracy, accuracy_sd):
    rng = np.random.default_rng(0)
    results = []
    for _ in range(16):
        mask = rng.random((500, 5)) > drop
        mask[np.arange(500), rng.integers(0, 5, 500)] = True
        results.append(
            nt.missing_views(
                mask,
                n_features=300,
                signal=2.25,
                noise=np.array([1, 1.5, 2, 2.5, 3]) ** 2,
                within=0.64,
                weights=weights,
            )
        )
    assert np.mean([r.feature_overlap for r in results]) == pytest.approx(
        overlap, abs=5 * np.hypot(overlap_sd, overlap_sd / 4) + 1e-4
    )
    assert np.mean([r.accuracy for r in results]) == pytest.approx(
        accuracy, abs=5 * np.hypot(accuracy_sd, accuracy_sd / 4) + 1e-4
    )


def test_complete_views_are_a_matrix():
    result = nt.missing_views(
        np.ones((400, 2), dtype=bool), n_features=100, signal=1.5, noise=[1, 3], within=0.2
    )
    spike = nt.matrix_spike(400 * 1.5, 0.2 + 0.75, 400, 100)
    assert result.feature_overlap == pytest.approx(spike.feature_overlap, rel=1e-9)
    assert result.accuracy == pytest.approx(nt.overlap_accuracy(spike.sample_overlap), rel=1e-9)


@pytest.mark.parametrize(("n", "p", "m"), [(200, 150, 60), (400, 20, 3), (50, 30, 1)])
def test_density_integrates_to_the_mass_of_the_bulk(n, p, m):
    given = dict(n_samples=n, n_features=p, n_views=m, theta=0.0, tau=1.5)
    edge = nt.unfolding(**given).eigenvalue
    x = np.linspace(0, 1.01 * edge, 4001)[1:]
    density = nt.unfolding_density(x, **given)
    assert trapezoid(density, x) == pytest.approx(min(1, p * m / n), abs=0.01)
    assert (density[x > edge * 1.0001] == 0).all() and (
        density[(x < edge) & (x > 0.99 * edge)] > 0
    ).any()


def test_density_of_white_noise_is_that_of_marchenko_and_pastur():
    n, p = 100, 50
    x = np.linspace(0.1, 3, 30)
    s = 1 / (n + p + 2)
    a, b = s * (np.sqrt(2 * p) - np.sqrt(n)) ** 2, s * (np.sqrt(2 * p) + np.sqrt(n)) ** 2
    expected = np.sqrt(np.clip((b - x) * (x - a), 0, None)) / (2 * np.pi * n * s * x)
    actual = nt.unfolding_density(x, n_samples=n, n_features=p, n_views=2, theta=0, tau=0)
    np.testing.assert_allclose(actual, expected, atol=1e-8)


@pytest.mark.parametrize("cosine", [0.5, 0.9])
def test_fixed_weights_against_simulation(draw, cosine):
    rng = np.random.default_rng(1)
    p, n, m, theta, tau = 300, 400, 5, 2.0, 1.2
    overlaps = []
    for _ in range(20):
        data, _, y, h = draw(rng, p, n, m, theta, tau)
        other = rng.standard_normal(m)
        other -= other @ h * h
        weights = cosine * h + np.sqrt(1 - cosine**2) * other / np.linalg.norm(other)
        vectors = np.linalg.eigh((data @ weights).T @ (data @ weights))[1]
        overlaps.append((vectors[:, -1] @ y) ** 2)
    theory = nt.fixed_weights(
        n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau, view_cosine=cosine
    )
    error = np.std(overlaps) / np.sqrt(len(overlaps))
    assert np.mean(overlaps) == pytest.approx(theory.sample_overlap, abs=4 * error + 1 / p)


def test_eigenvalues_against_simulation(draw):
    rng = np.random.default_rng(2)
    p, n, m, theta, tau = 150, 200, 6, 2.5, 1.0
    given = dict(n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau)
    found = []
    for _ in range(20):
        data, _, _, h = draw(rng, p, n, m, theta, tau)
        flat = np.moveaxis(data, 1, 0).reshape(n, -1)
        views = data.reshape(-1, m)
        core = data @ h
        found.append(
            [np.linalg.eigvalsh(g)[-1] for g in (flat @ flat.T, views.T @ views, core.T @ core)]
        )
    theory = [nt.unfolding(**given).eigenvalue, nt.two_step(**given).eigenvalue]
    theory.append(nt.oracle(**given).eigenvalue)
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - theory) <= 4 * error + np.array(theory) / n).all()


def top_pair(matrix):
    """Return the leading singular vectors of a matrix."""
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    return u[:, 0], v[0]


def view_vectors(data, h, theta, tau):
    """Return the vectors of the views of two steps, of the tensor, from h, and of likelihood."""
    gram = np.einsum("pnk,pnl->kl", data, data)
    two = likely = np.linalg.eigh(gram)[1][:, -1]
    tensor = h
    for _ in range(25):
        u, v = top_pair(data @ tensor)
        tensor = np.einsum("pnk,p,n->k", data, u, v)
        tensor /= np.linalg.norm(tensor)
        u, v = top_pair(data @ likely)
        pull = np.einsum("pnk,p,n->k", data, u, v)
        likely = tau * gram @ likely + theta * np.sign(pull @ likely) * pull
        likely /= np.linalg.norm(likely)
    return two, tensor, likely


@pytest.mark.parametrize("m", [2, 3])
def test_few_views_have_one_direction_of_noise_less(draw, m):
    """1 - view_overlap is m/(m - 1) too large where m directions of noise are counted."""
    p, n, theta, tau, draws = 40, 60, 2.2, 0.2, 60
    rng, lost = np.random.default_rng(m), []
    for _ in range(draws):
        data, _, _, h = draw(rng, p, n, m, theta, tau)
        lost.append([1 - (w @ h) ** 2 for w in view_vectors(data, h, theta, tau)])
    given = dict(n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau)
    theory = [1 - f(**given).view_overlap for f in (nt.two_step, nt.tensor, nt.nested_ml)]
    error = np.std(lost, axis=0, ddof=1) / np.sqrt(draws)
    assert (np.abs(np.mean(lost, axis=0) - theory) <= 4 * error).all()
    assert nt.tensor(**given | {"n_views": 1}).view_overlap == pytest.approx(1, abs=1e-12)


THRESHOLD_METHODS = (nt.unfolding, nt.tensor, nt.two_step, nt.nested_ml, nt.oracle)


@pytest.mark.parametrize("tau", [0.0, 0.05, 1.0, 30.0])
def test_methods_begin_at_their_thresholds(tau):
    sizes = dict(n_samples=100, n_features=80, n_views=12)
    found = nt.thresholds(**sizes, tau=tau)
    for method, theta in zip(THRESHOLD_METHODS, found, strict=True):
        assert not method(**sizes, theta=theta * (1 - 1e-9), tau=tau).detected
        assert method(**sizes, theta=theta * (1 + 1e-9), tau=tau).detected
    assert found.oracle == pytest.approx(np.sqrt(np.sqrt(8000) * (1 + tau) / 192), rel=1e-9)
    several = nt.thresholds(**sizes, tau=[tau, tau + 1])
    assert several.unfolding.shape == (2,) and several.tensor[0] == found.tensor


def test_threshold_of_the_unfolding_is_that_of_the_theorem():
    """In the parameters of the theorem: c1 c2/((1-c3)^2 beta_M^4) + 1/(rho_T A)^2 = 1."""
    n, p, m, tau = 200, 150, 400, 0.7
    theta = nt.thresholds(n_samples=n, n_features=p, n_views=m, tau=tau, regime="asymptotic")
    total = n + p + m
    beta_t = np.sqrt(tau * (n + p) / total)
    beta_m = theta.unfolding / beta_t
    c1, c2, c3 = np.array([p, n, m]) / total
    rho, a = beta_t**2 * total / np.sqrt(float(p) * n * m), beta_m**2 + c2 / (1 - c3)
    assert c1 * c2 / ((1 - c3) ** 2 * beta_m**4) + 1 / (rho * a) ** 2 == pytest.approx(1, rel=1e-9)
    exact = nt.thresholds(n_samples=100 * n, n_features=100 * p, n_views=100 * m, tau=7.0)
    limit = nt.thresholds(
        n_samples=100 * n, n_features=100 * p, n_views=100 * m, tau=7.0, regime="asymptotic"
    )
    assert exact.unfolding == pytest.approx(limit.unfolding, rel=0.02)


@pytest.mark.parametrize("tau", [0.1, 2.0])
def test_thresholds_against_simulation(draw, tau):
    """Below, labels are those of chance; above, the theory of the method holds."""
    p, n, m, draws = 100, 150, 4, 12
    sizes = dict(n_samples=n, n_features=p, n_views=m)
    critical, rng = nt.thresholds(**sizes, tau=tau), np.random.default_rng(5)
    methods = ("unfolding", "two_step", "tensor")
    for factor in (0.6, 1.4):
        for name in methods:
            theta, found = factor * getattr(critical, name), []
            for _ in range(draws):
                data, _, y, h = draw(rng, p, n, m, theta, tau)
                if name == "unfolding":
                    flat = np.moveaxis(data, 1, 0).reshape(n, -1)
                    v = np.linalg.eigh(flat @ flat.T)[1][:, -1]
                else:
                    two, tensor, _ = view_vectors(data, h, theta, tau)
                    v = top_pair(data @ (two if name == "two_step" else tensor))[1]
                found.append((v @ y) ** 2)
            theory = getattr(nt, name)(**sizes, theta=theta, tau=tau).sample_overlap
            error = np.std(found, ddof=1) / np.sqrt(draws)
            # Below a threshold alignments of finite sizes are of order n^(-1/3), not 0.
            slack = n ** (-1 / 3) if factor < 1 else 4 * error + 2 / p
            assert np.mean(found) == pytest.approx(theory, abs=slack), (name, factor)


def test_density_of_the_contracted_tensor(draw):
    """Quantiles of the bulk against a draw, the vectors those of a search from the truth."""
    p, n, m, theta, tau = 120, 150, 60, 3.0, 2.0
    data, _, _, h = draw(np.random.default_rng(0), p, n, m, theta, tau)
    w = view_vectors(data, h, theta, tau)[1]
    u, v = top_pair(data @ w)
    blocks = data @ w, np.einsum("pnk,n->pk", data, v), np.einsum("pnk,p->nk", data, u)
    matrix = np.zeros((p + n + m, p + n + m))
    matrix[:p, p : p + n], matrix[:p, p + n :], matrix[p : p + n, p + n :] = blocks
    values = np.linalg.eigvalsh(matrix + matrix.T)
    given = dict(n_samples=n, n_features=p, n_views=m, theta=theta, tau=tau)
    x = np.linspace(-6, 6, 2401)
    density = nt.contraction_density(x, **given)
    assert trapezoid(density, x) == pytest.approx(1, abs=2e-3)
    np.testing.assert_allclose(density, density[::-1], atol=1e-9)
    for point in (0.3, 0.8, 1.5, 2.5):
        inside = np.abs(x) <= point
        share = np.mean(np.abs(values) <= point)
        assert trapezoid(density[inside], x[inside]) == pytest.approx(share, abs=0.03)
    assert values[-1] > x[density > 0].max()


def test_contraction_without_within_class_noise_is_that_of_a_spiked_tensor():
    x = np.linspace(-1.9, 1.9, 20)
    given = dict(n_samples=100, n_features=80, n_views=60, theta=0.0, tau=0.0)
    np.testing.assert_allclose(
        nt.contraction_density(x, **given), noise_density(x, (80, 100, 60)), atol=1e-9
    )
    given["tau"] = 3.0
    wide = nt.contraction_density(2.2, **given, view_overlap=1.0)
    assert wide > 0 == nt.contraction_density(2.2, **given, view_overlap=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("where", POINTS[5:7])
def test_likelihood_against_simulation(draw, where):
    p, n, m, beta_t, beta_m = where
    total = n + p + m
    theta, tau = beta_t * beta_m, beta_t**2 * total / (n + p)
    rng = np.random.default_rng(3)
    overlaps = []
    for _ in range(30):
        data, _, y, _ = draw(rng, p, n, m, theta, tau)
        gram = np.einsum("pnk,pnl->kl", data, data)
        h = np.linalg.eigh(gram)[1][:, -1]
        for _ in range(100):
            u, _, v = np.linalg.svd(data @ h, full_matrices=False)
            step = (total - total / (1 + tau)) * gram @ h
            step += theta * total / (1 + tau) * np.einsum("pnk,p,n->k", data, u[:, 0], v[0])
            h = step / np.linalg.norm(step)
        overlaps.append((v[0] @ y) ** 2)
    error = np.std(overlaps) / np.sqrt(len(overlaps))
    theory = nt.nested_ml(**point(*where)).sample_overlap
    assert np.mean(overlaps) == pytest.approx(theory, abs=4 * error + 1 / p)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"beta_t": -1.0}, ValueError, "beta_t"),
        ({"beta_m": np.nan}, ValueError, "beta_m"),
        ({"n_samples": 0}, ValueError, "n_samples"),
        ({"n_views": 2.5}, ValueError, "n_views"),
        ({"beta_m": None}, TypeError, "pairs"),
        ({"theta": 1.0, "tau": 1.0}, TypeError, "exactly one"),
        ({"beta_t": None, "beta_m": None}, TypeError, "exactly one"),
        ({"n_features": "many"}, TypeError, "n_features"),
    ],
)
def test_bad_parameters(method, change, error, match):
    with pytest.raises(error, match=match):
        method(**{**point(*POINTS[0]), **change})


@pytest.mark.parametrize(
    "call",
    [
        lambda: nt.unfolding(**point(*POINTS[0]), regime="other"),
        lambda: nt.fixed_weights(**point(*POINTS[0]), view_cosine=1.5),
        lambda: nt.unequal_views(100, [10, 20], [1.0, 2.0, 3.0], [1, 1, 1]),
        lambda: nt.unequal_views(100, [10, 20], [1.0, 2.0], [1, 0]),
        lambda: nt.unequal_views(100, [10, 20], [1.0, 2.0], [1, 1], weights="best"),
        lambda: nt.unequal_views(100, [10, 20], [1.0, 2.0], [1, 1], weights=[0, 0]),
        lambda: nt.imbalanced(n_samples=10, n_features=10, snr=1, prior=1),
        lambda: nt.missing_views(
            [[True, False], [False, False]], n_features=3, signal=1, noise=[1, 1]
        ),
        lambda: nt.missing_views([[True, False]], n_features=3, signal=1, noise=[1]),
        lambda: nt.missing_views([[True]], n_features=3, signal=1, noise=[1], weights="x"),
        lambda: nt.bayes_accuracy(-1, 1),
        lambda: nt.overlap_accuracy(1.5),
        lambda: nt.matrix_spike(1.0, 0.0, 3, 3),
        lambda: nt.spike_strength(-1.0, 1.0, 3, 3),
        lambda: nt.unfolding_density([np.nan], **point(*POINTS[0])),
        lambda: nt.contraction_density([np.nan], **point(*POINTS[0])),
        lambda: nt.contraction_density([1.0], **point(*POINTS[0]), view_overlap=1.5),
        lambda: nt.contraction_density([1.0], **point(*POINTS[0]), view_overlap=[0.5, 0.5]),
        lambda: nt.thresholds(n_samples=10, n_features=10, n_views=3, tau=-1.0),
        lambda: nt.thresholds(n_samples=0, n_features=10, n_views=3, tau=1.0),
        lambda: nt.thresholds(n_samples=10, n_features=10, n_views=3, tau=1.0, regime="x"),
    ],
)
def test_bad_values(call):
    with pytest.raises(ValueError):
        call()
