"""Phase diagrams: theory against Monte Carlo, chunks, devices, bad input."""

import joblib
import numpy as np
import pytest

from skrmt.inspection import PhaseDiagramDisplay
from skrmt.inspection._phase_cells import (
    rank_one_cells,
    ridge_cells,
    sgd_cells,
    spiked_matrix_cells,
)
from skrmt.inspection._phase_models import SUBJECTS

AWAY = {
    "noisy-labels": ([0.8, 2.0], [0.05, 0.3]),
    "synthetic-mix": ([0.5, 4.0], [0.1, 0.5]),
    "collapse": ([20.0, 100.0], [3.0, 20.0]),
    "tensor-deflation": ([2.5, 3.5], [0.8, 1.5]),
    "multi-view": ([2.5, 3.5], [0.5, 1.5]),
    "encoder-matching": ([0.5, 0.8], [0.5, 2.0]),
    "preference": ([1.0, 6.0], [0.05, 0.3]),
    "self-play": ([0.8, 2.5], [0.0, 0.6]),
    "staged-sgd": ([0.1, 0.4], [1.0, 8.0]),
}
"""Parameters away from thresholds."""


@pytest.mark.parametrize("subject", SUBJECTS)
def test_simulation_agrees_with_theory(subject):
    """Within 4 standard errors and 1/size, what finite sizes may add."""
    x, y = AWAY[subject]
    size = 30 if subject in ("tensor-deflation", "staged-sgd") else 60
    display = PhaseDiagramDisplay.from_simulation(
        subject, x=x, y=y, size=size, n_draws=40, random_state=1
    )
    gap = np.abs(display.simulated - display.theory)
    assert (gap < 4 * display.standard_error + 1.0 / size).all()
    assert len(display.axes_) == len(display.images_) == 2


@pytest.mark.parametrize("subject", SUBJECTS)
def test_theory_covers_its_range(subject):
    x, y = (np.linspace(*ends, 11) for ends in PhaseDiagramDisplay.ranges(subject))
    display = PhaseDiagramDisplay.from_theory(subject, x=x, y=y, size=20)
    assert display.theory.shape == (len(display.y), len(display.x))
    assert np.isfinite(display.theory).mean() > 0.9
    assert display.axes_[0].get_xlabel() == SUBJECTS[subject].axes[0]
    assert display.subjects()[subject] == SUBJECTS[subject].title


def test_the_grid_covers_the_range_by_default():
    display = PhaseDiagramDisplay.from_theory("self-play")
    for grid, ends in zip((display.x, display.y), display.ranges("self-play"), strict=True):
        np.testing.assert_allclose(grid, np.linspace(*ends, 61))
    assert np.isfinite(display.theory).mean() > 0.9


@pytest.mark.parametrize("subject", SUBJECTS)
def test_results_depend_on_neither_memory_nor_jobs(subject):
    """Every line of the map has a seed of its own, whoever computes it and in what blocks."""
    x, y = AWAY[subject]
    given = {"x": x, "y": y, "size": 10, "n_draws": 6}
    expected = PhaseDiagramDisplay.from_simulation(subject, **given)
    with joblib.parallel_config("threading"):
        for options in ({"memory": 20_000.0}, {"n_jobs": 2}, {"n_jobs": 2, "memory": 1.0}):
            found = PhaseDiagramDisplay.from_simulation(subject, **given, **options)
            for part in ("simulated", "standard_error"):
                np.testing.assert_allclose(
                    getattr(found, part), getattr(expected, part), rtol=1e-9, atol=1e-12
                )


def test_a_map_tells_how_far_it_is(capsys):
    x, y = AWAY["noisy-labels"]
    PhaseDiagramDisplay.from_simulation("noisy-labels", x=x, y=y, size=8, n_draws=3, verbose=1)
    printed = capsys.readouterr()
    assert "Done" in printed.out + printed.err


@pytest.mark.torch
@pytest.mark.parametrize("subject", [s for s in SUBJECTS if s not in ("collapse", "self-play")])
def test_torch_gives_the_same(subject):
    pytest.importorskip("torch")
    x, y = AWAY[subject]
    given = {"x": x, "y": y, "size": 8, "n_draws": 3}
    expected = PhaseDiagramDisplay.from_simulation(subject, **given)
    found = PhaseDiagramDisplay.from_simulation(subject, **given, device="cpu")
    np.testing.assert_allclose(found.simulated, expected.simulated, rtol=1e-9, atol=1e-10)


def test_cells_are_those_of_a_loop(rng):
    X, t = rng.standard_normal((4, 7, 3)), rng.standard_normal((4, 7))
    penalties = np.array([0.1, 1.0, 2.0, 10.0])
    loop = [
        np.linalg.solve(x.T @ x + a * np.eye(3), x.T @ b)
        for x, b, a in zip(X, t, penalties, strict=True)
    ]
    np.testing.assert_allclose(ridge_cells(X, t, penalties), loop, rtol=1e-9)
    left, right = spiked_matrix_cells(X)
    for found_left, found_right, x in zip(left, right, X, strict=True):
        U, _, V = np.linalg.svd(x)
        assert abs(found_left @ U[:, 0]) == pytest.approx(1.0, abs=1e-9)
        assert abs(found_right @ V[0]) == pytest.approx(1.0, abs=1e-9)
    a, b, c = (rng.standard_normal(k) for k in (3, 4, 5))
    T = np.einsum("i,j,k->ijk", a, b, c)[None]
    for found, truth in zip(rank_one_cells(T), (a, b, c), strict=True):
        assert abs(found[0] @ truth) == pytest.approx(np.linalg.norm(truth), rel=1e-9)


def test_sgd_cells_are_those_of_a_loop(rng):
    batches, noises = rng.standard_normal((5, 2, 3, 4)), rng.standard_normal((5, 2, 3))
    rates = np.array([0.1, 0.3])
    found = sgd_cells(list(batches), list(noises), rates)
    for cell in range(2):
        w = np.zeros(4)
        for step in range(5):
            X, e = batches[step, cell], noises[step, cell]
            w = w + rates[cell] * X.T @ (e - X @ w) / 3
            assert found[step, cell] == pytest.approx(w @ w, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PhaseDiagramDisplay.from_theory("chess"), "subject='chess' is not known"),
        (lambda: PhaseDiagramDisplay.ranges("chess"), "subject='chess' is not known"),
        (lambda: PhaseDiagramDisplay.from_theory("collapse", size=1), "size=1 must be"),
        (lambda: PhaseDiagramDisplay.from_theory("collapse", x=[[1.0]]), r"x=\[\[1.0\]\] must be"),
        (lambda: PhaseDiagramDisplay.from_theory("collapse", y=[np.nan]), "y=.nan. must be"),
        (
            lambda: PhaseDiagramDisplay.from_simulation("collapse", n_draws=1),
            "n_draws=1 must be",
        ),
        (
            lambda: PhaseDiagramDisplay.from_simulation("collapse", memory=0),
            "memory=0 must be",
        ),
        (
            lambda: PhaseDiagramDisplay.from_theory("collapse").largest_deviation(),
            "Nothing was simulated",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
