"""Losses of pairs: pinned values, 40 digits, gradients, minimisers, extremes, refusals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_expit

from skrmt.preference import preference_gradient, preference_loss
from skrmt.preference.losses._losses import margin_derivatives
from skrmt.preference.losses._table import LOSSES, MARGIN_LOSSES
from skrmt.theory.preference import population_margin

ALIASES = {
    "dpo": ("sigmoid",),
    "cdpo": (),
    "robust": ("rdpo", "robust_dpo"),
    "hinge": (),
    "ipo": (),
    "exo": ("exo_pair",),
    "nca": ("nca_pair", "safe_nca"),
    "bco": ("bco_pair",),
    "sppo": ("sppo_hard",),
    "apo_zero": (),
    "apo_down": (),
    "aot": (),
    "aot_unpaired": ("aot_pair",),
    "discopop": (),
    "sigmoid_norm": ("dpo_norm", "length_normalized_dpo"),
    "sft": (),
    "kto": (),
    "simpo": (),
    "cpo": (),
    "orpo": (),
    "slic": ("slic_hf",),
}

PINNED = {
    "sigmoid": 0.4778641506,
    "hinge": 0.5100000000,
    "ipo": 0.0002040816,
    "cdpo": 0.5268641506,
    "robust": 0.4166141506,
    "exo_pair": 0.2760600005,
    "nca_pair": 1.2769320383,
    "bco_pair": 1.1565649146,
    "sppo_hard": 0.2704081633,
    "apo_zero": 0.8781458665,
    "apo_down": 0.9322014772,
    "discopop": 0.6126189218,
    "sigmoid_norm": 0.4778641506,
}
OPTIONS = {
    "discopop": {"tau": 0.3},
    "kto": {"k": 0.4, "desirable_weight": 1.3, "undesirable_weight": 0.7},
    "simpo": {"gamma": 0.9},
    "cpo": {"weight": 0.6},
    "orpo": {"weight": 0.25},
    "slic": {"delta": 2.0, "weight": 0.3},
}
NAMES = tuple(ALIASES)
SMOOTHED = ("cdpo", "robust", "exo", "exo_pair", "aot", "aot_unpaired")


def smoothing(name, value):
    """Return the noise for the losses that read it."""
    return {"label_smoothing": value} if name in SMOOTHED else {}


def draw(rng, n=7, scale=4.0):
    """Return log-probabilities, reference, and lengths of random pairs."""
    logps = -scale * (0.2 + rng.random((4, n)))
    lengths = rng.integers(1, 6, (2, n))
    return logps, {"chosen_lengths": lengths[0], "rejected_lengths": lengths[1]}


def test_every_name_has_a_formula():
    assert set(LOSSES) == set(ALIASES)


@pytest.mark.parametrize(("name", "value"), PINNED.items())
def test_pinned_values(name, value, backend):
    c, r, zero = (backend.asarray([x]) for x in (0.3, -0.4, 0.0))
    found = preference_loss(
        name,
        c,
        r,
        zero,
        zero,
        beta=0.7,
        **smoothing(name, 0.1),
        chosen_lengths=1,
        rejected_lengths=1,
    )
    assert backend.is_native(found)
    # Half a unit of the last printed digit.
    np.testing.assert_allclose(backend.to_numpy(found), [value], rtol=0, atol=5.1e-11)


def exact_loss(name, lw, ll, rw, rl, nw, nl, mean_nw, beta, eps, options):
    """Each formula in mpmath, in the plainest form."""
    log, exp = mpmath.log, mpmath.exp

    def sigma(u):
        return 1 / (1 + exp(-u))

    c, r = lw - rw, ll - rl
    z = beta * (c - r)
    sft = -lw / mean_nw
    half = 1 / (2 * beta)
    if name == "discopop":
        g = sigma(z / options["tau"])
        return -log(sigma(z)) * (1 - g) + exp(-z) * g
    if name == "kto":
        k = options["k"]
        good = options["desirable_weight"] * (1 - sigma(beta * (c - k)))
        return good + options["undesirable_weight"] * (1 - sigma(beta * (k - r)))
    if name == "orpo":
        odds = [exp(x / n) / (1 - exp(x / n)) for x, n in ((lw, nw), (ll, nl))]
        return sft - options["weight"] * log(sigma(log(odds[0]) - log(odds[1])))
    if name == "slic":
        return max(mpmath.mpf(0), options["delta"] - lw + ll) + options["weight"] * sft
    return {
        "dpo": lambda: -log(sigma(z)),
        "cdpo": lambda: -(1 - eps) * log(sigma(z)) - eps * log(sigma(-z)),
        "robust": lambda: (-(1 - eps) * log(sigma(z)) + eps * log(sigma(-z))) / (1 - 2 * eps),
        "hinge": lambda: max(mpmath.mpf(0), 1 - z),
        "ipo": lambda: (c / nw - r / nl - half) ** 2,
        "exo": lambda: sigma(z) * log(sigma(z) / (1 - eps)) + sigma(-z) * log(sigma(-z) / eps),
        "nca": lambda: -log(sigma(beta * c)) - (log(sigma(-beta * c)) + log(sigma(-beta * r))) / 2,
        "bco": lambda: -log(sigma(beta * c)) - log(sigma(-beta * r)),
        "sppo": lambda: (c - half) ** 2 + (r + half) ** 2,
        "apo_zero": lambda: 1 - sigma(beta * c) + sigma(beta * r),
        "apo_down": lambda: sigma(beta * c) + 1 - sigma(z),
        "sigmoid_norm": lambda: -log(sigma(beta * (c / nw - r / nl))),
        "sft": lambda: sft,
        "simpo": lambda: -log(sigma(beta * (lw / nw - ll / nl) - options["gamma"])),
        "cpo": lambda: -log(sigma(beta * (lw - ll))) + options["weight"] * sft,
    }[name]()


@pytest.mark.parametrize("name", [name for name in NAMES if not LOSSES[name].batch])
def test_values_to_forty_digits(name, rng):
    logps, lengths = draw(rng)
    options, mpf = OPTIONS.get(name, {}), mpmath.mpf
    found = preference_loss(name, *logps, beta=0.7, **smoothing(name, 0.15), **lengths, **options)
    mean = mpf(float(np.mean(lengths["chosen_lengths"])))
    with mpmath.workdps(40):
        for i, value in enumerate(found):
            numbers = [mpf(float(x)) for x in logps[:, i]]
            tokens = [mpf(int(lengths[f"{side}_lengths"][i])) for side in ("chosen", "rejected")]
            exact = {key: mpf(x) for key, x in options.items()}
            expected = exact_loss(name, *numbers, *tokens, mean, mpf(0.7), mpf(0.15), exact)
            assert value == pytest.approx(float(expected), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("name", ["aot", "aot_unpaired"])
def test_losses_of_ranks_to_forty_digits(name, rng):
    logps, _ = draw(rng)
    found = preference_loss(name, *logps, beta=0.7, label_smoothing=0.15)
    lw, ll, rw, rl = logps
    sides = (lw - ll, rw - rl) if name == "aot" else (lw - rw, ll - rl)
    order = np.argsort(sides[0])
    with mpmath.workdps(40):
        for i, high, low in zip(order, np.sort(sides[0]), np.sort(sides[1]), strict=True):
            z = mpmath.mpf(0.7) * (mpmath.mpf(float(high)) - mpmath.mpf(float(low)))
            ahead, behind = (mpmath.log(1 + mpmath.exp(u)) for u in (-z, z))
            expected = (1 - mpmath.mpf(0.15)) * ahead + mpmath.mpf(0.15) * behind
            assert found[i] == pytest.approx(float(expected), rel=1e-12)


def test_aot_of_an_indifferent_reference_is_cdpo(rng):
    logps, _ = draw(rng)
    logps[3] = logps[2]
    settings = {"beta": 0.7, "label_smoothing": 0.15}
    # A reference of equal log-ratios has no order: every rank meets the same number.
    np.testing.assert_allclose(
        preference_loss("aot", *logps, **settings),
        preference_loss("cdpo", *logps, **settings),
        rtol=1e-12,
    )


def test_aot_unpaired_does_not_know_the_pairs(rng):
    logps, _ = draw(rng)
    settings = {"beta": 0.7, "reduction": "mean"}
    expected = preference_loss("aot_unpaired", *logps, **settings)
    logps[1::2] = logps[1::2, ::-1]
    found = preference_loss("aot_unpaired", *logps, **settings)
    assert found == pytest.approx(expected, rel=1e-14)
    assert preference_loss("dpo", *logps, **settings) != pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_by_differences(name, rng):
    logps, lengths = draw(rng)
    settings = {"beta": 0.7, **smoothing(name, 0.15), **lengths, **OPTIONS.get(name, {})}
    found = preference_gradient(name, *logps, **settings)
    h = 1e-6
    for side in (0, 1):
        for i in range(logps.shape[1]):
            step = np.zeros(logps.shape)
            step[side, i] = h
            up = preference_loss(name, *(logps + step), **settings)
            down = preference_loss(name, *(logps - step), **settings)
            # Truncation h^2 and rounding 1e-16 / h, times a few.
            change = (up - down).sum() / (2 * h)
            assert change == pytest.approx(found[side][i], rel=1e-7, abs=2e-9)


@pytest.mark.parametrize("name", NAMES)
def test_torch_agrees_and_differentiates(name, rng):
    torch = pytest.importorskip("torch")
    logps, lengths = draw(rng)
    settings = {"beta": 0.7, **smoothing(name, 0.15), **lengths, **OPTIONS.get(name, {})}
    tensors = [torch.tensor(row, requires_grad=i < 2) for i, row in enumerate(logps)]
    losses = preference_loss(name, *tensors, **settings)
    expected = preference_loss(name, *logps, **settings)
    np.testing.assert_allclose(losses.detach().numpy(), expected, rtol=1e-12, atol=1e-14)
    losses.sum().backward()
    closed = preference_gradient(name, *(tensor.detach() for tensor in tensors), **settings)
    for tensor, gradient in zip(tensors[:2], closed, strict=True):
        grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        np.testing.assert_allclose(grad.numpy(), gradient.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_extremes_stay_finite(name, backend):
    far = np.array([-1000.0, -1000.0, -1e-13, -30.0, -1e-9])
    near = np.array([-1e-13, -1000.0, -1000.0, -1e-9, -1e-9])
    zero = np.zeros(5)
    lengths = {"chosen_lengths": 1, "rejected_lengths": 1}
    arrays = [backend.asarray(x) for x in (far, near, zero, zero)]
    for beta in (1e-3, 1.0, 30.0):
        settings = {"beta": beta, **smoothing(name, 0.1), **lengths}
        if backend.name == "torch":
            arrays[0] = arrays[0].detach().requires_grad_()
        losses = preference_loss(name, *arrays, **settings)
        assert np.isfinite(backend.to_numpy(losses)).all()
        if backend.name == "torch":
            losses.sum().backward()
            assert bool(arrays[0].grad.isfinite().all())
        closed = preference_gradient(name, *arrays, **settings)
        assert all(np.isfinite(backend.to_numpy(gradient)).all() for gradient in closed)


@pytest.mark.parametrize("name", MARGIN_LOSSES)
def test_derivatives_in_the_margin(name):
    d, h = np.linspace(-5, 5, 24), 1e-6
    options = OPTIONS.get(name, {})
    settings = {"beta": 0.8, **smoothing(name, 0.2), **options}
    value, first, second = margin_derivatives(name, d, **settings)
    up, down = (margin_derivatives(name, d + s, **settings) for s in (h, -h))
    np.testing.assert_allclose((up[0] - down[0]) / (2 * h), first, rtol=1e-7, atol=2e-9)
    np.testing.assert_allclose((up[1] - down[1]) / (2 * h), second, rtol=1e-7, atol=2e-9)
    zero = np.zeros(24)
    lengths = {"chosen_lengths": 1, "rejected_lengths": 1}
    np.testing.assert_array_equal(
        value, preference_loss(name, d, zero, zero, zero, **settings, **lengths)
    )


def test_robust_is_convex_and_linear_in_its_noise():
    d = np.linspace(-8, 8, 41)
    dpo = margin_derivatives("dpo", d, beta=0.7)
    robust = margin_derivatives("robust", d, beta=0.7, label_smoothing=0.2)
    np.testing.assert_allclose(robust[0], dpo[0] - 0.2 / 0.6 * 0.7 * d, rtol=1e-13, atol=1e-14)
    np.testing.assert_array_equal(robust[2], dpo[2])
    assert (robust[2] > 0).all()
    assert (margin_derivatives("exo", d, beta=0.7, label_smoothing=0.2)[2] < 0).any()


def test_robust_is_unbiased_under_flips(rng):
    logps, _ = draw(rng)
    swapped = logps[[1, 0, 3, 2]]
    settings = {"beta": 0.7, "label_smoothing": 0.2}
    mixed = 0.8 * preference_loss("robust", *logps, **settings)
    mixed += 0.2 * preference_loss("robust", *swapped, **settings)
    np.testing.assert_allclose(mixed, preference_loss("dpo", *logps, beta=0.7), rtol=1e-13)


def expected_loss(name, p, first, second, **settings):
    """Return the mean loss where the first of two responses is preferred with probability p."""
    zero = np.zeros(np.shape(first))
    ahead = preference_loss(name, first, second, zero, zero, **settings)
    return p * ahead + (1 - p) * preference_loss(name, second, first, zero, zero, **settings)


@pytest.mark.parametrize(
    "name", ["dpo", "cdpo", "robust", "hinge", "ipo", "exo", "sppo", "bco", "nca"]
)
@pytest.mark.parametrize("p", [0.35, 0.8])
def test_minimum_is_the_population_margin(name, p):
    """The first of two responses is chosen with probability p, both equally often drawn."""
    settings = {"beta": 0.6, **smoothing(name, 0.1)}

    def expected(ratios):
        return expected_loss(name, p, ratios[:1], ratios[1:], **settings)[0]

    found = minimize(expected, [0.1, -0.1], method="Nelder-Mead", options={"xatol": 1e-9}).x
    first = population_margin(name, p, beta=0.6, noise_rate=0.1)
    if name in ("sppo", "bco", "nca"):
        second = population_margin(name, 1 - p, beta=0.6)
        np.testing.assert_allclose(found, [first, second], atol=2e-5)
    else:
        assert found[0] - found[1] == pytest.approx(first, abs=2e-5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("discopop", {}),
        ("discopop", {"tau": 1.0}),
        ("simpo", {}),
        ("simpo", {"gamma": -1.0}),
        ("sft", {}),
        ("cpo", {}),
        ("cpo", {"weight": 0.0}),
        ("orpo", {}),
        ("orpo", {"weight": 2.0}),
        ("slic", {}),
        ("slic", {"weight": 0.1}),
        ("slic", {"weight": 4.0, "delta": 0.3}),
    ],
)
@pytest.mark.parametrize("p", [0.1, 0.45, 0.8])
@pytest.mark.parametrize("beta", [0.6, 1.7])
def test_population_margin_has_the_least_loss_of_a_grid(name, options, p, beta):
    """The margin is free with a reference or by simpo, else that of two responses alone."""
    d = np.linspace(-12.0, 12.0, 240_001)
    alone = name in ("sft", "cpo", "orpo", "slic")
    sides = (log_expit(d), log_expit(-d)) if alone else (d / 2, -d / 2)
    settings = {"beta": beta, "chosen_lengths": 1, "rejected_lengths": 1, **options}
    found = d[np.argmin(expected_loss(name, p, *sides, **settings))]
    theory = population_margin(name, p, beta=beta, **options)
    # Half a step of the grid; a smooth minimum is flat to rounding within 3e-8 / sqrt(curvature).
    assert theory == pytest.approx(found, abs=1.01e-4)


@pytest.mark.parametrize("name", ["cpo", "orpo", "simpo", "slic", "discopop"])
def test_policies_trained_on_drawn_pairs_reach_the_population_margin(name, rng):
    """The share of n pairs is off by sqrt(p (1 - p) / n): five times that at most."""
    n, p, beta = 4000, 0.7, 0.8
    won = rng.random(n) < p
    alone = name in ("cpo", "orpo", "slic")

    def objective(d):
        first, second = (log_expit(d), log_expit(-d)) if alone else (d / 2, -d / 2)
        chosen, rejected = np.where(won, first, second), np.where(won, second, first)
        lengths = {"chosen_lengths": 1, "rejected_lengths": 1}
        zero = np.zeros(n)
        return preference_loss(
            name, chosen, rejected, zero, zero, beta=beta, reduction="mean", **lengths
        )

    found = minimize_scalar(objective, bounds=(0.05, 6), method="bounded").x
    spread = 5 * np.sqrt(p * (1 - p) / n)
    low, high = population_margin(name, [p - spread, p + spread], beta=beta)
    assert low - 1e-5 <= found <= high + 1e-5


@pytest.mark.parametrize("name", ["kto", "apo_zero", "apo_down"])
def test_the_loss_falls_all_the_way_to_infinite_margins(name):
    far = np.linspace(0.0, 60.0, 121)
    drift = -2 * far if name == "apo_down" else 0.0
    for p, sign in ((0.8, 1.0), (0.3, -1.0)):
        losses = expected_loss(name, p, drift + sign * far, drift - sign * far, beta=0.5)
        assert (np.diff(losses) <= 1e-15).all()
        assert losses[-1] == pytest.approx(expected_loss_at_infinity(name, p), abs=1e-12)
        assert population_margin(name, p, beta=0.5) == sign * np.inf


def expected_loss_at_infinity(name, p):
    """Return the least loss: that of the minority."""
    return min(p, 1 - p) * (1 if name == "apo_down" else 2)


def test_weights_decide_the_side_of_kto():
    options = {"desirable_weight": 1.0, "undesirable_weight": 3.0}
    assert population_margin("kto", [0.7, 0.75, 0.8], beta=1.0, **options).tolist() == [
        -np.inf,
        0.0,
        np.inf,
    ]
    h = np.linspace(-20, 20, 41)
    for p, best in ((0.7, -20.0), (0.8, 20.0)):
        chosen = preference_loss("kto", h, None, 0 * h, beta=1.0, **options)
        rejected = preference_loss("kto", None, h, None, 0 * h, beta=1.0, **options)
        assert h[np.argmin(p * chosen + (1 - p) * rejected)] == best


@pytest.mark.parametrize("name", NAMES)
def test_aliases_and_case(name, rng):
    logps, lengths = draw(rng)
    settings = {**smoothing(name, 0.1), **lengths}
    expected = preference_loss(name, *logps, **settings)
    for alias in (*ALIASES[name], name.upper().replace("_", "-")):
        np.testing.assert_array_equal(preference_loss(alias, *logps, **settings), expected)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in SMOOTHED])
def test_smoothing_that_would_be_ignored_is_refused(name, rng):
    logps, lengths = draw(rng)
    for function in (preference_loss, preference_gradient):
        with pytest.raises(ValueError, match=f"label_smoothing=0.2 with {name}, which does not"):
            function(name, *logps, label_smoothing=0.2, **lengths)
        function(name, *logps, label_smoothing=0.0, **lengths)


def test_smoothed_labels_of_one_pair():
    """Labels smoothed by 0.2 at a margin of -1: 1.3133 of dpo less 0.2 of the difference."""
    found = preference_loss("cdpo", -1.0, 0.0, 0.0, 0.0, beta=1.0, label_smoothing=0.2)
    assert float(found) == pytest.approx(np.log1p(np.e) - 0.2, rel=1e-14)
    assert round(float(found), 4) == 1.1133


@pytest.mark.parametrize("name", NAMES)
def test_reductions(name, rng, backend):
    logps, lengths = draw(rng)
    arrays = [backend.asarray(row) for row in logps]
    settings = {**smoothing(name, 0.1), **lengths}
    losses = backend.to_numpy(preference_loss(name, *arrays, **settings))
    for reduction, expected in (("mean", losses.mean()), ("sum", losses.sum())):
        found = preference_loss(name, *arrays, reduction=reduction, **settings)
        assert float(found) == pytest.approx(expected, rel=1e-14)
        assert found.shape == ()


def test_likelihood_counts_tokens(rng):
    logps, lengths = draw(rng)
    tokens = lengths["chosen_lengths"]
    mean = preference_loss("sft", logps[0], None, chosen_lengths=tokens, reduction="mean")
    assert mean == pytest.approx(-logps[0].sum() / tokens.sum(), rel=1e-14)
    np.testing.assert_array_equal(preference_loss("sft", logps[0], None), -logps[0])
    # orpo, too, without its odds; of means over tokens each response counts the same.
    settings = {"weight": 0.0, "reduction": "mean"}
    assert preference_loss("orpo", *logps[:2], **lengths, **settings) == pytest.approx(
        mean, rel=1e-14
    )
    ones = {side: 1 for side in lengths}
    means = logps[0] / tokens, logps[1] / lengths["rejected_lengths"]
    assert preference_loss("orpo", *means, **ones, **settings) == pytest.approx(
        -means[0].mean(), rel=1e-14
    )


def test_kto_sides(rng):
    logps, _ = draw(rng)
    settings = {"beta": 0.5, **OPTIONS["kto"]}
    good = preference_loss("kto", logps[0], None, logps[2], **settings)
    bad = preference_loss("kto", None, logps[1], None, logps[3], **settings)
    np.testing.assert_allclose(preference_loss("kto", *logps, **settings), good + bad, rtol=1e-14)
    assert preference_gradient("kto", logps[0], None, logps[2], **settings)[1] is None
    below = preference_loss("kto", *logps, beta=0.5, k=-3.0)
    np.testing.assert_array_equal(below, preference_loss("kto", *logps, beta=0.5, k=np.array([0])))


def test_kto_estimate_has_no_gradient_torch(rng):
    torch = pytest.importorskip("torch")
    logps, _ = draw(rng)
    k = torch.tensor(0.3, requires_grad=True)
    chosen = torch.tensor(logps[0], requires_grad=True)
    others = [torch.tensor(row) for row in logps[1:]]
    preference_loss("kto", chosen, *others, k=k, reduction="sum").backward()
    assert k.grad is None
    assert chosen.grad.abs().min() > 0


@pytest.mark.parametrize("name", NAMES)
def test_float32(name, rng, backend):
    logps, lengths = draw(rng)
    single = logps.astype(np.float32)
    settings = {"beta": 0.7, **smoothing(name, 0.1), **lengths}
    found = preference_loss(name, *(backend.asarray(row, np.float32) for row in single), **settings)
    assert str(found.dtype).endswith("float32")
    expected = preference_loss(name, *single.astype(float), **settings)
    np.testing.assert_allclose(backend.to_numpy(found), expected, rtol=1e-4, atol=1e-5)


def test_half_precision_is_computed_in_single_torch(rng):
    torch = pytest.importorskip("torch")
    logps, _ = draw(rng)
    tensors = [torch.tensor(row, dtype=torch.bfloat16) for row in logps]
    found = preference_loss("dpo", *tensors)
    assert found.dtype == torch.bfloat16
    expected = preference_loss("dpo", *(tensor.double().numpy() for tensor in tensors))
    # bfloat16 keeps 8 bits.
    np.testing.assert_allclose(found.double().numpy(), expected, rtol=2**-8)


def test_mixed_input_goes_to_torch(rng):
    torch = pytest.importorskip("torch")
    logps, _ = draw(rng)
    found = preference_loss("dpo", torch.tensor(logps[0]), *logps[1:])
    np.testing.assert_allclose(found.numpy(), preference_loss("dpo", *logps), rtol=1e-14)
    integer = torch.tensor([-3, -4])
    assert preference_loss("dpo", integer, integer, integer, integer).dtype == torch.float64


def test_shapes_numbers_and_untouched_input(rng):
    logps, _ = draw(rng, n=6)
    before = logps.copy()
    logps.flags.writeable = False
    flat = preference_loss("nca", *logps)
    square = preference_loss("nca", *logps.reshape(4, 2, 3))
    np.testing.assert_array_equal(square.ravel(), flat)
    np.testing.assert_array_equal(logps, before)
    assert float(preference_loss("dpo", 0.3, -0.4, 0, 0, beta=0.7)) == pytest.approx(
        PINNED["sigmoid"], abs=5.1e-11
    )
    assert preference_loss("dpo", [-1], [-2], [-1], [-2])[0] == pytest.approx(np.log(2))


REFUSED = [
    ({"name": "nothing"}, ValueError, "'nothing' is not known"),
    ({"name": None}, TypeError, "loss must be the name"),
    ({"beta": 0.0}, ValueError, "beta must lie in"),
    ({"beta": float("nan")}, ValueError, "beta must lie in"),
    ({"beta": "1"}, TypeError, "beta must be a real number"),
    ({"label_smoothing": 0.5}, ValueError, "label_smoothing must lie in"),
    ({"label_smoothing": -0.1}, ValueError, "label_smoothing must lie in"),
    ({"name": "exo"}, ValueError, "exo needs it above 0"),
    ({"name": "sigmoid", "label_smoothing": 0.2}, ValueError, "cdpo is dpo, TRL's sigmoid"),
    ({"reduction": "max"}, ValueError, "reduction='max' is not known"),
    ({"rejected": [-1.0]}, ValueError, "one shape"),
    ({"chosen": [-1.0, np.nan]}, ValueError, "chosen_logps must be finite"),
    ({"rejected": [-1.0, -np.inf]}, ValueError, "rejected_logps must be finite"),
    ({"chosen": ["a", "b"]}, TypeError, "chosen_logps must be a real number"),
    ({"ref_chosen": None}, ValueError, "dpo needs ref_chosen_logps"),
    ({"rejected": None}, ValueError, "dpo needs rejected_logps"),
    ({"gamma": 1.0}, TypeError, "dpo has no option 'gamma'"),
    ({"name": "simpo", "gamma": np.inf}, ValueError, "gamma must lie in"),
    ({"name": "discopop", "tau": 0.0}, ValueError, "tau must lie in"),
    ({"name": "kto", "k": [0.1, 0.2]}, TypeError, "k must be a real number"),
    ({"name": "kto", "chosen": None, "rejected": None}, ValueError, "None for both"),
    ({"name": "simpo"}, ValueError, "simpo needs chosen_lengths"),
    ({"name": "sigmoid_norm", "chosen_lengths": 1}, ValueError, "needs rejected_lengths"),
    ({"name": "ipo", "chosen_lengths": 3}, ValueError, "or neither"),
    (
        {"name": "ipo", "chosen_lengths": [1, 0], "rejected_lengths": 1},
        ValueError,
        "chosen_lengths must lie in",
    ),
    (
        {"name": "ipo", "chosen_lengths": [1, 2, 3], "rejected_lengths": 1},
        ValueError,
        "chosen_lengths must have the shape",
    ),
    (
        {"name": "orpo", "chosen": [1.0, -1.0], "chosen_lengths": 1, "rejected_lengths": 1},
        ValueError,
        "above 0",
    ),
]


@pytest.mark.parametrize(("changes", "error", "match"), REFUSED)
def test_refused(changes, error, match):
    given = {
        "name": "dpo",
        "chosen": [-1.0, -2.0],
        "rejected": [-2.0, -2.0],
        "ref_chosen": [-1.0, -1.0],
        "ref_rejected": [-1.0, -1.0],
    } | changes
    order = ("name", "chosen", "rejected", "ref_chosen", "ref_rejected")
    arguments = [given.pop(key) for key in order]
    with pytest.raises(error, match=match):
        preference_loss(*arguments, **given)


def test_empty_and_margin_refusals():
    empty = np.empty(0)
    with pytest.raises(ValueError, match="one pair or more"):
        preference_loss("dpo", empty, empty, empty, empty)
    with pytest.raises(ValueError, match="'nca' is not known here"):
        margin_derivatives("nca", [0.1], beta=1.0)
