"""Mean risk, stability and spikes of staged stochastic gradient descent."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy import stats

from skrmt.theory import sgd
from skrmt.theory.sgd import Stage

P50, P60, P100 = (np.full(p, p**-0.5) for p in (50, 60, 100))


def spectrum(p, alpha):
    lam = (1.0 + np.arange(p)) ** -alpha
    return lam / lam.mean()


TABLE = [
    (50, 1, 0, 0.25, 0.5, 0.0384615, 0.490196, 0.245192, {50: 0.389041, 200: 0.253007}),
    (50, 4, 1, 0.25, 0.5, 0.0990438, 0.362288, 0.196013, {50: 0.231396, 200: 0.196614}),
    (100, 8, 1, 0.1, 0.7, 0.0766016, 0.454568, 0.091670, {37: 0.156581, 150: 0.094686}),
    (100, 1, 0.5, 0, 0.4, 0.0194052, 0.392716, 0, {75: 0.227972, 300: 0.036779}),
]


@pytest.mark.parametrize(
    ("p", "B", "alpha", "variance", "part", "rate", "kappa", "floor", "R"), TABLE
)
def test_reference_values_of_one_stage(p, B, alpha, variance, part, rate, kappa, floor, R):
    lam = spectrum(p, alpha)
    critical = sgd.critical_learning_rate(lam, B)
    # The last digit of the references is rounded.
    assert critical == pytest.approx(rate, abs=5.1e-8)
    assert sgd.noise_amplification(lam, part * critical, B) == pytest.approx(kappa, abs=1e-6)
    assert sgd.noise_floor(lam, variance, part * critical, B) == pytest.approx(floor, abs=1e-6)
    stages = [Stage(max(R), B, part, relative=True)]
    curve = sgd.risk_curve(lam, np.full(p, p**-0.5), variance, stages)
    assert curve[list(R)] == pytest.approx(list(R.values()), abs=1e-6)


@pytest.mark.parametrize(
    ("B", "alpha", "T", "shift", "rate", "floor", "R"),
    [
        (4, 1, 120, 0, 0.0508819, 0.161321, (0.310743, 0.238297, 0.170354, 0.161921)),
        (2, 0.5, 160, 0.5, 0.0372624, 0.175848, (0.394139, 0.302863, 0.209465, 0.176087)),
    ],
)
def test_reference_values_of_two_stages(B, alpha, T, shift, rate, floor, R):
    lam = spectrum(60, alpha)
    eta = 0.6 * sgd.critical_learning_rate(lam, B)
    assert eta == pytest.approx(rate, abs=1e-7)
    assert sgd.noise_floor(lam, 0.25, eta, 2 * B) == pytest.approx(floor, abs=1e-6)
    stages = [Stage(T, B, eta), Stage(T, 2 * B, eta, displacement=shift * P60)]
    curve = sgd.risk_curve(lam, P60, 0.25, stages)
    assert curve[[T // 4, T, 5 * T // 4, 2 * T]] == pytest.approx(R, abs=1e-6)


def whole_moments(lam, start, variance, steps):
    """Propagate E d d' as a matrix, weight decay and all, from weights 0."""
    mean, M, target = start.copy(), np.outer(start, start), -start
    H, eye = np.diag(lam), np.eye(len(lam))
    risks = [(np.trace(H @ M) + variance) / 2]
    for rate, B, decay, move in steps:
        if move is not None:
            M = M + np.outer(mean, move) + np.outer(move, mean) + np.outer(move, move)
            mean, target = mean + move, target - move
        A = eye - rate * (H + decay * eye)
        pull = rate * decay * target
        noise = H @ M @ H + H * (np.trace(H @ M) + variance)
        cross = A @ np.outer(mean, pull)
        M = A @ M @ A - cross - cross.T + np.outer(pull, pull) + rate**2 / B * noise
        mean = A @ mean - pull
        risks.append((np.trace(H @ M) + variance) / 2)
    return np.array(risks)


def test_recursion_is_that_of_the_whole_matrix(rng):
    lam, start, move = rng.uniform(0.1, 2, 7), rng.standard_normal(7), rng.standard_normal(7)
    stages = [
        Stage(20, 3, 0.2, "cosine"),
        Stage(15, 5, 0.1, "warmup", weight_decay=0.3, displacement=move),
        Stage(10, 2, rng.uniform(0, 0.2, 10)),
        Stage(10, 2, 0.2, "linear", displacement=-move),
    ]
    steps = [
        (rate, stage.batch_size, stage.weight_decay, stage.displacement if t == 0 else None)
        for stage in stages
        for t, rate in enumerate(stage.learning_rates())
    ]
    expected = whole_moments(lam, start, 0.4, steps)
    np.testing.assert_allclose(sgd.risk_curve(lam, start, 0.4, stages), expected, rtol=1e-11)


def test_eigenvalues_and_noise_change_with_the_stage():
    lam, new, start = np.array([2.0, 1, 0.5]), np.array([1.0, 3, 0.1]), np.array([1.0, -1, 2])
    first = sgd.risk_curve(lam, start, 0.5, [(3, 2, 0.1)])
    both = sgd.risk_curve(
        lam, start, 0.5, [(3, 2, 0.1), Stage(1, 2, 0.0, eigenvalues=new, noise_variance=2.0)]
    )
    squares = whole_squares(lam, start**2, 0.5, 3, 0.1, 2)
    np.testing.assert_allclose(both[:4], first, rtol=1e-14)
    assert both[4] == pytest.approx((new @ squares + 2.0) / 2, rel=1e-12)


def whole_squares(lam, squares, variance, steps, rate, B):
    for _ in range(steps):
        q = lam @ squares
        noise = lam**2 * squares + lam * (q + variance)
        squares = (1 - rate * lam) ** 2 * squares + rate**2 / B * noise
    return squares


def test_recursion_in_fifty_digits():
    lam, start, variance, B = [2, 1, 0.5], [1, -1, 2], 0.5, 2
    with mpmath.workdps(50):
        m = [mpmath.mpf(d) ** 2 for d in start]
        values = [mpmath.mpf(x) for x in lam]
        eta = mpmath.mpf(0.1)
        for _ in range(300):
            q = sum(x * s for x, s in zip(values, m, strict=True))
            m = [
                (1 - eta * x) ** 2 * s + eta**2 / B * (x**2 * s + x * (q + variance))
                for x, s in zip(values, m, strict=True)
            ]
        expected = (sum(x * s for x, s in zip(values, m, strict=True)) + variance) / 2
    curve = sgd.risk_curve(lam, start, variance, [(300, B, 0.1)])
    assert curve[-1] == pytest.approx(float(expected), rel=1e-10)


def test_small_exact_check():
    second = Stage(3, 4, 0.05, displacement=[0.5, 0, 0], noise_variance=0.2)
    curve = sgd.risk_curve([2, 1, 0.5], [1, -1, 2], 0.5, [Stage(3, 2, 0.1), second])
    expected = [2.75, 2.2934375, 1.94529219, 1.67549085, 2.01508301, 1.78533569, 1.59085781]
    assert curve == pytest.approx(expected, abs=5.1e-9)
    assert sgd.critical_learning_rate([2, 1, 0.5], 2) == pytest.approx(0.462158705, abs=5.1e-10)
    assert sgd.noise_amplification([2, 1, 0.5], 0.1, 2) == pytest.approx(0.0988375694, abs=5e-11)


@pytest.mark.parametrize("B", [1, 3, 20])
def test_volterra_curve_is_the_recursion(B, rng):
    lam, start = rng.uniform(0.05, 1, 9), rng.standard_normal(9)
    rate = 0.6 * sgd.critical_learning_rate(lam, B)
    expected = sgd.risk_curve(lam, start, 0.3, [(150, B, rate)])
    actual = sgd.volterra_curve(lam, start, 0.3, rate, B, 150)
    np.testing.assert_allclose(actual, expected, rtol=1e-11)


def test_isotropic_formulas():
    p, B = 30, np.array([1, 2, 17, 400])
    np.testing.assert_allclose(
        sgd.critical_learning_rate(np.ones(p), B), 2 * B / (B + p + 1), rtol=1e-12
    )
    assert sgd.critical_batch_size(3 * np.ones(p)) == p
    assert sgd.critical_learning_rate([0.5, 4.0], np.inf) == 0.5


@pytest.mark.parametrize("B", [1, 7, 1e6])
def test_critical_rate_in_fifty_digits(B, rng):
    lam = rng.uniform(1e-3, 3, 12)
    critical = sgd.critical_learning_rate(lam, B)
    with mpmath.workdps(50):
        size, top = mpmath.mpf(B), max(lam)

        def excess(eta):
            parts = [mpmath.mpf(x) / (2 - eta * mpmath.mpf(x) * (1 + 1 / size)) for x in lam]
            return eta / size * sum(parts) - 1

        bracket = (mpmath.mpf(0), 2 / (top * (1 + 1 / size)) * (1 - mpmath.mpf(10) ** -40))
        root = mpmath.findroot(excess, bracket, solver="anderson", tol=1e-60, maxsteps=400)
    assert critical == pytest.approx(float(root), rel=1e-10)


def test_risk_converges_below_the_critical_rate_and_diverges_above():
    lam = spectrum(20, 1)
    ends = {}
    for part in (0.97, 1.03):
        curve = sgd.risk_curve(lam, np.ones(20), 0.1, [Stage(6000, 2, part, relative=True)])
        ends[part] = curve[-1]
    floor = sgd.noise_floor(lam, 0.1, 0.97 * sgd.critical_learning_rate(lam, 2), 2)
    assert ends[0.97] == pytest.approx(floor, rel=1e-6)
    assert ends[1.03] > 100 * floor
    assert sgd.noise_floor(lam, 0.1, 1.03 * sgd.critical_learning_rate(lam, 2), 2) == np.inf


def test_a_curve_that_overflows_is_infinite():
    curve = sgd.risk_curve([1.0, 1e-8], [1.0, 1.0], 0.0, [(5000, 1, 5.0)])
    assert curve[-1] == np.inf and not np.isnan(curve).any()
    assert np.isinf(sgd.multi_pass_risk_curve([3.0, 1.0], [1.0, 1.0], [(5000, 1, 9.0)])[-1])


def test_several_passes_small_exact_check():
    curve = sgd.multi_pass_risk_curve([2, 1, 0.5, 0], np.sqrt([1, 1, 1, 2]), [(10, 2, 0.3)])
    assert curve[[1, 5, 10]] == pytest.approx([0.5396875, 0.39828256, 0.36373888], abs=5.1e-9)


def test_several_passes_converge_below_their_critical_rate():
    spectrum_, residual = np.array([2, 1, 0.5, 0]), np.array([1.0, 1, 1, 0])
    for B in (1, 4):
        below, above = (
            sgd.multi_pass_risk_curve(spectrum_, residual, [Stage(4000, B, part, relative=True)])[
                -1
            ]
            for part in (0.95, 1.05)
        )
        assert below < 1e-6 and above > 1


def simulate(lam, start, variance, stages, runs, rng):
    """Return mean risks and their standard errors over runs of fresh Gaussian rows."""
    d, best = np.tile(start, (runs, 1)), -np.array(start)
    velocity, risks = np.zeros_like(d), [(d**2 @ lam + variance) / 2]
    for stage in stages:
        if stage.displacement is not None:
            d, best = d + stage.displacement, best - stage.displacement
        velocity = velocity if stage.momentum else np.zeros_like(d)
        for rate in stage.learning_rates():
            x = rng.standard_normal((runs, stage.batch_size, lam.size)) * np.sqrt(lam)
            noise = np.sqrt(variance) * rng.standard_normal((runs, stage.batch_size))
            residual = np.einsum("rbp,rp->rb", x, d) - noise
            gradient = np.einsum("rbp,rb->rp", x, residual) / stage.batch_size
            velocity = stage.momentum * velocity + gradient
            d = d - rate * stage.weight_decay * (d + best) - rate * velocity
            risks.append((d**2 @ lam + variance) / 2)
    risks = np.array(risks)
    return risks.mean(axis=1), risks.std(axis=1, ddof=1) / np.sqrt(runs)


def test_momentum_and_weight_decay_against_simulation(rng):
    lam, start = spectrum(10, 1), np.cos(np.arange(10.0))
    stages = [
        Stage(25, 2, 0.03, momentum=0.8, weight_decay=0.3),
        Stage(15, 4, 0.06, "cosine", momentum=0.5, weight_decay=0.1, displacement=0.4 * start),
        Stage(5, 2, 0.05, weight_decay=0.2),
        Stage(15, 1, 0.01, momentum=0.9),
    ]
    mean, error = simulate(lam, start, 0.25, stages, 4000, rng)
    assert (np.abs(mean - sgd.risk_curve(lam, start, 0.25, stages)) <= 4.5 * error + 1e-12).all()


@pytest.mark.parametrize("name", ["momentum", "weight_decay"])
def test_no_momentum_and_no_weight_decay_are_limits(name):
    lam, start = spectrum(12, 1), np.cos(np.arange(12.0))
    for other in ({}, {"weight_decay": 0.2} if name == "momentum" else {"momentum": 0.7}):
        limit, least = (
            sgd.risk_curve(lam, start, 0.3, [Stage(40, 2, 0.05, **other, **{name: value})])
            for value in (0.0, 1e-17)
        )
        np.testing.assert_allclose(least, limit, rtol=1e-12)
    for value in (0.0, 1e-17):
        critical = sgd.critical_learning_rate(lam, [1, 8], momentum=value)
        np.testing.assert_allclose(critical, sgd.critical_learning_rate(lam, [1, 8]), rtol=1e-12)
        floor = sgd.noise_floor(lam, 0.3, 0.05, 2, momentum=value)
        np.testing.assert_allclose(floor, sgd.noise_floor(lam, 0.3, 0.05, 2), rtol=1e-12)


@pytest.mark.parametrize(("B", "momentum"), [(1, 0.9), (8, 0.5), (64, 0.95)])
def test_momentum_moves_critical_rate_and_floor(B, momentum):
    lam = spectrum(15, 1)
    critical = sgd.critical_learning_rate(lam, B, momentum=momentum)
    kappa = sgd.noise_amplification(lam, critical, B, momentum=momentum)
    assert kappa == pytest.approx(1, rel=1e-10)
    ends = {}
    for part in (0.97, 1.03):
        stage = Stage(8000, B, part, relative=True, momentum=momentum)
        ends[part] = sgd.risk_curve(lam, np.ones(15), 0.1, stage)[-1]
    floor = sgd.noise_floor(lam, 0.1, 0.97 * critical, B, momentum=momentum)
    assert ends[0.97] == pytest.approx(floor, rel=1e-6)
    assert ends[1.03] > 100 * floor
    whole = sgd.critical_learning_rate(lam, np.inf, momentum=momentum)
    assert whole == pytest.approx(2 * (1 + momentum) / lam.max(), rel=1e-12)


def test_slow_momentum_is_a_larger_rate():
    lam, start = spectrum(10, 1), np.ones(10)
    plain = sgd.noise_amplification(lam, 1e-4, 2)
    assert sgd.noise_amplification(lam, 1e-5, 2, momentum=0.9) == pytest.approx(plain, rel=1e-3)
    slow = sgd.risk_curve(lam, start, 0.1, Stage(20_000, 2, 1e-5, momentum=0.9))[-1]
    fast = sgd.risk_curve(lam, start, 0.1, Stage(20_000, 2, 1e-4))[-1]
    # The first 1 / (1 - momentum) steps are slower.
    assert slow == pytest.approx(fast, rel=2e-3)


def test_risk_curve_against_simulation(rng):
    lam, start = spectrum(12, 1), np.full(12, 12**-0.5)
    stages = [
        Stage(30, 2, 0.5 * sgd.critical_learning_rate(lam, 2)),
        Stage(20, 4, 0.08, "cosine", displacement=0.5 * start),
    ]
    mean, error = simulate(lam, start, 0.25, stages, 4000, rng)
    assert (np.abs(mean - sgd.risk_curve(lam, start, 0.25, stages)) <= 4.5 * error + 1e-12).all()


@pytest.mark.slow
def test_risk_curve_against_long_simulation(rng):
    lam = spectrum(60, 0.5)
    rate = 0.5 * sgd.critical_learning_rate(lam, 2)
    stages = [Stage(160, 2, rate), Stage(160, 4, rate, displacement=0.5 * P60)]
    mean, error = simulate(lam, P60, 0.25, stages, 2000, rng)
    assert (np.abs(mean - sgd.risk_curve(lam, P60, 0.25, stages)) <= 4.5 * error + 1e-12).all()


def test_several_passes_against_simulation(rng):
    n, p, runs = 150, 60, 300
    A = rng.standard_normal((n, p))
    b = A @ rng.standard_normal(p) / np.sqrt(p) + 0.5 * rng.standard_normal(n)
    values, vectors = np.linalg.eigh(A @ A.T / n)
    stage = Stage(150, 2, 0.5, relative=True)
    curve = sgd.multi_pass_risk_curve(np.maximum(values, 0), vectors.T @ b, [stage])
    rate, w = curve_rate(values, 2), np.zeros((runs, p))
    for _ in range(150):
        rows = rng.integers(n, size=(runs, 2))
        x = A[rows]
        residual = np.einsum("rbp,rp->rb", x, w) - b[rows]
        w -= rate / 2 * np.einsum("rbp,rb->rp", x, residual)
    risks = ((w @ A.T - b) ** 2).sum(axis=1) / (2 * n)
    error = risks.std(ddof=1) / np.sqrt(runs)
    # The recursion neglects unequal leverages: an error of order n^-1/2.
    assert abs(risks.mean() - curve[-1]) < 4 * error + curve[-1] / np.sqrt(n)


def curve_rate(values, B):
    """Return half the critical rate of several passes."""
    values = np.maximum(values, 0)
    grid = np.linspace(0, 2 / (values.max() * (1 - 1 / B)), 200_001)[1:-1]
    kappa = sum(grid * s / (2 - grid * s * (1 - 1 / B)) for s in values) / B
    return grid[np.searchsorted(kappa, 1)] / 2


def test_spike_p_values_are_uniform(rng):
    B, risk = 6, 0.7
    losses = (np.sqrt(2 * risk) * rng.standard_normal((100_000, B))) ** 2
    p = sgd.spike_p_value(losses.mean(axis=1) / 2, risk, B)
    assert stats.kstest(p, "uniform").pvalue > 1e-4
    for level in (0.05, 0.01, 0.001):
        error = np.sqrt(level * (1 - level) / len(p))
        assert abs((p < level).mean() - level) < 4 * error
    assert sgd.spike_p_value(0.0, 0.0, 3) == 1 and sgd.spike_p_value(1.0, 0.0, 3) == 0
    assert sgd.spike_p_value(np.inf, 1.0, 3) == 0


@pytest.mark.parametrize(
    ("rate", "p", "k", "tolerance"),
    [(0.1, 10, 12.83, 5e-3), (0.14, 10, 6.060, 5e-4), (1 / 6, 10, 2, 1e-10), (0.3, 3, 3.845, 5e-4)],
)
def test_tail_index_reference_values(rate, p, k, tolerance):
    assert sgd.tail_index(rate, p) == pytest.approx(k, abs=tolerance)


@pytest.mark.parametrize("p", [1, 2, 40, 10_000])
def test_tail_index_is_two_at_the_critical_rate(p):
    assert sgd.tail_index(2 / (p + 2), p) == pytest.approx(2, abs=1e-7)


def test_tail_index_solves_its_equation_for_four():
    # E rho^2 = 1 is a polynomial in the rate; its root has index 4.
    p = 7
    u2, c = [1, 1, 3, 15, 105], [1, p - 1, (p - 1) * (p + 1)]

    def second(eta):
        a = [1, -4 * eta, 4 * eta**2 + 2 * eta**2, -4 * eta**3, eta**4]
        plain = sum(x * m for x, m in zip(a, u2, strict=True))
        mixed = 2 * eta**2 * (u2[1] - 2 * eta * u2[2] + eta**2 * u2[3]) * c[1]
        return plain + mixed + eta**4 * u2[2] * c[2] - 1

    eta = float(mpmath.findroot(second, (0.05, 2 / (p + 2)), solver="anderson"))
    assert sgd.tail_index(eta, p) == pytest.approx(4, abs=1e-8)
    assert sgd.tail_index(1e-3, p) == np.inf and sgd.tail_index(50.0, p) == 0


@pytest.mark.parametrize(
    ("p", "alpha", "variance", "budget", "B"),
    [(30, 1, 0.25, 2000, 4), (50, 0.7, 0.01, 1000, 2), (200, 1.2, 1.0, 3000, 8)],
)
def test_plan_beats_the_usual_schedules(p, alpha, variance, budget, B):
    lam, start = spectrum(p, alpha), np.full(p, p**-0.5)
    plan = sgd.plan_stages(lam, variance, budget, batch_size=B)
    used = sum(stage.n_steps * stage.batch_size for stage in plan.stages)
    assert budget - 3 * 2 * B < used <= budget
    assert plan.risk == sgd.risk_curve(lam, start, variance, plan.stages)[-1]
    T = budget // B
    for part in np.geomspace(0.02, 0.9, 6):
        for stages in (
            [Stage(T, B, part, relative=True)],
            [Stage(T, B, part, "cosine", relative=True)],
            [Stage(T // 2, B, part, relative=True), Stage(T // 4, 2 * B, part, relative=True)],
        ):
            assert plan.risk <= sgd.risk_curve(lam, start, variance, stages)[-1]


def test_tuples_and_dicts_are_stages():
    expected = sgd.risk_curve([1.0], [1.0], 0.1, [Stage(3, 1, 0.1, "linear")])
    for stages in (
        [(3, 1, 0.1, "linear")],
        [Stage(3, 1, 0.1, "linear")],
        Stage(3, 1, 0.1, "linear"),
    ):
        np.testing.assert_array_equal(sgd.risk_curve([1.0], [1.0], 0.1, stages), expected)
    given = {"n_steps": 3, "batch_size": 1, "learning_rate": 0.1, "schedule": "linear"}
    np.testing.assert_array_equal(sgd.risk_curve([1.0], [1.0], 0.1, [given]), expected)


def test_schedules():
    np.testing.assert_allclose(
        Stage(4, 1, 2.0, "cosine").learning_rates(), 1 + np.cos(np.pi * np.arange(4) / 4)
    )
    assert Stage(4, 1, 2.0, "warmup").learning_rates().tolist() == [0.5, 1, 1.5, 2]
    assert Stage(2, 1, "auto").learning_rates(3.0).tolist() == [1.5, 1.5]
    assert Stage(2, 1, 0.2, relative=True).learning_rates(3.0) == pytest.approx([0.6, 0.6])
    with pytest.raises(ValueError, match="critical_rate"):
        Stage(2, 1, "auto").learning_rates()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_steps": -1}, "n_steps must be 1 or more, got -1"),
        ({"n_steps": 2.5}, "n_steps must be a whole number"),
        ({"batch_size": 0}, "batch_size must be 1"),
        ({"learning_rate": -0.1}, "learning_rate must lie"),
        ({"learning_rate": np.nan}, "learning_rate must lie"),
        ({"learning_rate": "fast"}, "'auto'"),
        ({"learning_rate": [0.1, 0.2]}, "shape"),
        ({"schedule": "step"}, "schedule must be one of"),
        ({"weight_decay": -1}, "weight_decay"),
        ({"momentum": 1.0}, "momentum must lie"),
        ({"momentum": -0.1}, "momentum must lie"),
        ({"noise_variance": -1}, "noise_variance"),
        ({"mixture": {"a": 0.5, "b": 0.6}}, "sum to 1.1"),
        ({"mixture": [0.5, 0.5]}, "dict"),
    ],
)
def test_stages_that_make_no_sense(arguments, message):
    given = {"n_steps": 3, "batch_size": 2, "learning_rate": 0.1} | arguments
    with pytest.raises((ValueError, TypeError), match=message):
        Stage(**given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sgd.risk_curve([1, -1], [1, 1], 0.1, [(1, 1, 0.1)]), "eigenvalues must lie"),
        (lambda: sgd.risk_curve([0, 0], [1, 1], 0.1, [(1, 1, 0.1)]), "all 0"),
        (lambda: sgd.risk_curve([1, 1], [1], 0.1, [(1, 1, 0.1)]), "displacement has shape"),
        (lambda: sgd.risk_curve([1, 1], [1, np.nan], 0.1, [(1, 1, 0.1)]), "finite"),
        (lambda: sgd.risk_curve([1], [1], [0.1], [(1, 1, 0.1)]), "one number"),
        (lambda: sgd.risk_curve([1], [1], 0.1, []), "stages is empty"),
        (lambda: sgd.risk_curve([1], [1], 0.1, "auto"), "list of Stage"),
        (lambda: sgd.risk_curve([1], [1], 0.1, [3]), "must hold Stage"),
        (lambda: sgd.risk_curve([1], [1], 0.1, [Stage(1, 1, 0.1, mixture={"a": 1})]), "mixture"),
        (lambda: sgd.multi_pass_risk_curve([1], [1], [Stage(1, 1, 0.1, weight_decay=1)]), "decay"),
        (lambda: sgd.multi_pass_risk_curve([1], [1], [Stage(1, 1, 0.1, momentum=0.5)]), "momentum"),
        (lambda: sgd.noise_floor([1], -1, 0.1, 1), "noise_variance"),
        (lambda: sgd.noise_floor([1], 1, 0.1, 1, momentum=1), "momentum must lie"),
        (lambda: sgd.critical_learning_rate([1], 1, momentum=1), "momentum must lie"),
        (lambda: sgd.critical_learning_rate([1], 0), "batch_size"),
        (lambda: sgd.critical_learning_rate([[1]], 1), "vector"),
        (lambda: sgd.spike_p_value(-1, 1, 1), "loss"),
        (lambda: sgd.tail_index(0, 3), "learning_rate"),
        (lambda: sgd.plan_stages([1], 0.1, 3), "four batches"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
