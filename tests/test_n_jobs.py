"""Whatever takes `n_jobs` gives the same on any number of jobs, in threads and in processes."""

from __future__ import annotations

import importlib
import inspect

import joblib
import numpy as np
import pytest
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits

from skrmt.cluster import NestedTensorClustering
from skrmt.collapse import CollapseForecaster
from skrmt.datasets import (
    make_nested_views,
    make_paired_encoders,
    make_spiked_tensor,
)
from skrmt.decomposition import TensorDeflation
from skrmt.inspection import PhaseDiagramDisplay
from skrmt.matching import EncoderMatcher, cka_matrix, cka_test, quadratic_assignment
from skrmt.model_selection import GeneralizationReport
from skrmt.utils._compare import assert_same, fitted_state
from skrmt.utils._discovery import public_subpackages

KNOWN, N_ITEMS = 30, 60


def _pairs():
    """Return embeddings of the same items by two encoders."""
    return make_paired_encoders(N_ITEMS, random_state=0)[:2]


def _graphs():
    """Return two matrices alike up to the order of their items."""
    rng = np.random.default_rng(0)
    A = rng.standard_normal((30, 30))
    order = rng.permutation(30)
    B = A + 0.8 * rng.standard_normal((30, 30))
    return A + A.T, (B + B.T)[np.ix_(order, order)]


def cluster(n_jobs):
    """Cluster views, with an interval by bootstrap."""
    X = make_nested_views(60, 20, separation=3.0, random_state=0).X
    model = NestedTensorClustering(n_bootstrap=6, n_jobs=n_jobs, random_state=0)
    return fitted_state(model.fit(X))


def report(n_jobs):
    """Report on a classifier, by folds, with fits to parts of the rows."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    X = rng.standard_normal((60, 3)) + y[:, None]
    found = GeneralizationReport(GaussianNB(), n_jobs=n_jobs).fit(X, y)
    return fitted_state(found) | {"scores_": found.theoretical_scores_, "page_": found.to_html()}


def decompose(n_jobs):
    """Decompose a tensor, from several starts."""
    X = make_spiked_tensor((8, 9, 10), [6.0, 4.0], random_state=0).X
    model = TensorDeflation(2, n_init=8, n_jobs=n_jobs, random_state=0)
    return fitted_state(model.fit(X))


def forecast(n_jobs):
    """Forecast a collapse, and draw several blocks of chains."""
    counts = np.random.default_rng(0).integers(1, 9, (6, 5))
    model = CollapseForecaster(n_generations=4, n_jobs=n_jobs, random_state=0).fit(counts)
    return fitted_state(model), model.simulate(600)._asdict()


def match(n_jobs):
    """Match encoders by scores and by quadratic assignment from several starts."""
    X, Y = _pairs()
    found = []
    for options in ({"method": "local_cka"}, {"method": "qap", "n_init": 4}):
        model = EncoderMatcher(**options, cv=3, n_jobs=n_jobs, random_state=0)
        model.fit(X[:KNOWN], Y[:KNOWN])
        matching = model.match(X[KNOWN:], Y[KNOWN:])
        expected = model.predict_accuracy(X[KNOWN:], Y[KNOWN:])
        found.append([fitted_state(model), matching._asdict(), expected])
    return found


def assign(n_jobs):
    """Follow several starts of a quadratic assignment."""
    A, B = _graphs()
    options = {"n_init": 6, "polish": True, "n_jobs": n_jobs, "random_state": 0}
    return quadratic_assignment(A, B, **options)._asdict()


def draw_pairings(n_jobs):
    """Test a CKA against several lots of random pairings."""
    X, Y = _pairs()
    options = {"n_permutations": 99, "n_jobs": n_jobs, "random_state": 0}
    return cka_test(X, Y[::-1], **options)._asdict()


def compare_encoders(n_jobs):
    """Compare several encoders with one another, and with others."""
    X, Y = _pairs()
    sides = {"X": X, "Y": Y, "half": X[:, ::2]}
    alone, crossed = cka_matrix(sides, n_jobs=n_jobs), cka_matrix(sides, [Y], n_jobs=n_jobs)
    return alone._asdict(), crossed._asdict()


def draw_phases(n_jobs):
    """Simulate the cells of a phase diagram."""
    pytest.importorskip("matplotlib")
    display = PhaseDiagramDisplay.from_simulation(
        "noisy-labels", x=[1.0, 2.0], y=[0.1, 0.2, 0.3], size=8, n_draws=4, n_jobs=n_jobs
    )
    return display.simulated, display.standard_error


CASES = {
    "CollapseForecaster": forecast,
    "EncoderMatcher": match,
    "GeneralizationReport": report,
    "NestedTensorClustering": cluster,
    "PhaseDiagramDisplay": draw_phases,
    "TensorDeflation": decompose,
    "cka_matrix": compare_encoders,
    "cka_test": draw_pairings,
    "quadratic_assignment": assign,
}
"""What exercises every public function, class or method with a parameter `n_jobs`, by its name."""


def takes_n_jobs(function):
    """Tell whether a function has a parameter `n_jobs`."""
    try:
        return "n_jobs" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def public_names_with_jobs():
    """Yield the public names of every subpackage that take `n_jobs`, methods by their class."""
    for package in public_subpackages():
        module = importlib.import_module(package)
        for name in module.__all__:
            member = getattr(module, name)
            parts = [member]
            if inspect.isclass(member):
                parts += [part for key, part in vars(member).items() if key[0] != "_"]
            parts = [getattr(part, "__func__", part) for part in parts]
            if any(callable(part) and takes_n_jobs(part) for part in parts):
                yield name


def test_every_public_name_with_jobs_has_a_case():
    found = set(public_names_with_jobs())
    assert not found ^ set(CASES), "add these to CASES, or remove them"


@pytest.fixture(scope="module")
def serial():
    """Return what a case gives on one job, computed once."""
    results = {}

    def result(name):
        if name not in results:
            with threadpool_limits(1):
                results[name] = CASES[name](1)
        return results[name]

    return result


@pytest.mark.parametrize("backend", ["threading", "loky"])
@pytest.mark.parametrize("name", CASES)
def test_the_result_does_not_depend_on_jobs(name, backend, serial):
    options = {"inner_max_num_threads": 1} if backend == "loky" else {}
    with threadpool_limits(1), joblib.parallel_config(backend, **options):
        assert_same(CASES[name](2), serial(name), what=name)


@pytest.mark.parametrize("name", CASES)
def test_none_is_one_job(name, serial):
    with threadpool_limits(1):
        assert_same(CASES[name](None), serial(name), what=name)


def test_joblib_prints_progress_where_it_is_asked(capsys):
    X, Y = _pairs()
    with joblib.parallel_config(verbose=10):
        EncoderMatcher("ridge", random_state=0).fit(X, Y)
    printed = capsys.readouterr()
    assert "55 out of  55" in printed.out + printed.err
