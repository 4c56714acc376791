"""The demonstration: what it prints and draws, on one small data set or two."""

import warnings

import matplotlib
import matplotlib.image
import matplotlib.pyplot
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegressionCV

from skrmt._cli import _demo
from skrmt._cli._demo import OURS, problems, run_once

SETS = ("digits 3 vs 8", "digits 4 vs 9", "breast cancer", "all ten digits")


@pytest.fixture(scope="module", autouse=True)
def few_penalties():
    """Let the rivals choose among four penalties."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_demo, "PENALTIES", np.logspace(-3, 2, 4))
        yield


@pytest.fixture(scope="module")
def results():
    return [run_once(problem, seed=3) for problem in problems()]


def test_data_sets():
    found = problems()
    assert tuple(problem.name for problem in found) == SETS
    assert [len(problem.y) for problem in found] == [357, 361, 569, 1797]
    digits = found[-1]
    for pair in found[:2]:
        np.testing.assert_array_equal(digits.X[pair.kept], pair.X)
        np.testing.assert_array_equal(digits.y[pair.kept], pair.y)


@pytest.mark.parametrize("k", range(4), ids=SETS)
def test_run(results, k):
    run = results[k]
    assert set(run.accuracies) == {OURS, "RidgeClassifierCV", "LogisticRegressionCV"}
    assert run.accuracies[OURS] > 0.85
    assert run.seconds[OURS] > 0
    np.testing.assert_array_equal(run.problem.y[run.rows], run.truth)
    # Flips are independent: their share has this standard error at most.
    rate = 0.25 if k < 2 else 0.4
    bound = 0.15 + 4 * np.sqrt(0.25 / len(run.rows))
    assert abs(run.wrong.mean() - rate) < bound
    assert run.error == run.model.theoretical_accuracy_ - run.accuracies[OURS]


def test_a_run_is_reproducible(results):
    again = run_once(problems()[0], seed=3)
    assert again.accuracies == results[0].accuracies
    np.testing.assert_array_equal(again.given, results[0].given)


@pytest.fixture
def two_sets(monkeypatch):
    loaded = problems()
    monkeypatch.setattr(_demo, "problems", lambda: [loaded[0], loaded[2]])


@pytest.fixture
def one_set(monkeypatch):
    loaded = problems()
    monkeypatch.setattr(_demo, "problems", lambda: [loaded[0]])


@pytest.mark.usefixtures("two_sets")
def test_output_and_figure(run, tmp_path):
    settings = dict(matplotlib.rcParams)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        code, text, errors = run("demo", "--repeats", 2)
    assert code == 0
    assert errors == ""
    assert [str(item.message) for item in caught] == []
    for title in ("1. How many", "2. How accurate", "3. What do", "4. Was that luck", "5. Which"):
        assert title in text
    for word in ("ClassifierCV", "breast cancer", "malignant", "95% interval", "of 2"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 100 + len(str(tmp_path))
    image = matplotlib.image.imread(tmp_path / "out" / "demo.png")
    assert image.shape[1] > 1000
    assert image[..., :3].min() < 0.2
    assert matplotlib.pyplot.get_fignums() == []
    assert dict(matplotlib.rcParams) == settings


@pytest.mark.usefixtures("one_set")
def test_one_split_needs_no_summary(run):
    _, text, _ = run("demo", "--repeats", 1, "--seed", 5)
    assert "luck" not in text
    assert "4. Which rows" in text


@pytest.mark.usefixtures("one_set")
def test_without_matplotlib_the_tables_are_printed(run, without, tmp_path):
    without("matplotlib")
    code, text, _ = run("demo", "--repeats", 1)
    assert code == 0
    assert "skrmt[cli]" in text
    assert "How accurate" in text
    assert list((tmp_path / "out").iterdir()) == []


def test_the_rivals_warnings_stay_off_the_screen():
    problem = problems()[0]
    model = LogisticRegressionCV(max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _, seconds, notes = _demo.fit_quietly(model, problem.X, problem.y)
    assert caught == []
    assert notes == []
    assert seconds > 0


def test_a_folder_that_cannot_be_made(run, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    code, text, errors = run("demo", "--output", path)
    assert (code, text) == (2, "")
    assert "--output" in errors
