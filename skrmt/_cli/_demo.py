"""The demonstration: real data with wrong labels, predictions, and what is measured."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.linear_model import LogisticRegressionCV, RidgeClassifierCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from ..datasets import flip_labels
from ..linear_model import NoiseAwareLinearClassifier
from ._demo_figure import save_demo_figure
from ._demo_text import demo_text
from ._fitting import fit_quietly
from ._output import check_free, output_folder
from ._text import paragraph

OURS = "skrmt"
PENALTIES = np.logspace(-4, 3, 29)
BINARY_NOISE = (0.1, 0.4)
SYMMETRIC_NOISE = 0.4


class Problem(NamedTuple):
    """A data set and the noise to add to its labels.

    Attributes
    ----------
    name : str
        What it is called on the screen.
    kept : ndarray of shape (n,)
        Rows of scikit-learn's data set.
    X : ndarray of shape (n, p)
        Features.
    y : ndarray of shape (n,)
        True labels.
    noise : float or tuple of float
        Rate of wrong labels, of every class or of each.
    pictures : bool
        Whether rows are pictures of 8 x 8 pixels.
    """

    name: str
    kept: np.ndarray
    X: np.ndarray
    y: np.ndarray
    noise: Any
    pictures: bool


class Run(NamedTuple):
    """One split of a data set, with new noise.

    Attributes
    ----------
    problem : Problem
        The data set.
    rows : ndarray of shape (n_train,)
        Indices of the training rows in the data set.
    given, truth : ndarray of shape (n_train,)
        Their noisy and their true labels.
    model : NoiseAwareLinearClassifier
        Fitted to the noisy labels.
    notes : list of str
        What the fit warned of.
    accuracies, seconds : dict of str to float
        For each method, the accuracy on clean test labels and the time to fit.
    """

    problem: Problem
    rows: np.ndarray
    given: np.ndarray
    truth: np.ndarray
    model: NoiseAwareLinearClassifier
    notes: list
    accuracies: dict
    seconds: dict

    @property
    def wrong(self):
        """Which training labels are wrong, booleans of shape (n_train,)."""
        return self.given != self.truth

    @property
    def inside(self):
        """Whether the actual accuracy lies in the interval."""
        low, high = self.model.theoretical_accuracy_interval_
        return bool(low <= self.accuracies[OURS] <= high)

    @property
    def error(self):
        """Predicted minus actual accuracy."""
        return self.model.theoretical_accuracy_ - self.accuracies[OURS]


def problems():
    """Load the data sets."""
    digits, tumours = load_digits(), load_breast_cancer()
    pairs = [
        _problem(digits, f"digits {a} vs {b}", BINARY_NOISE, np.isin(digits.target, (a, b)))
        for a, b in ((3, 8), (4, 9))
    ]
    return [
        *pairs,
        _problem(tumours, "breast cancer", BINARY_NOISE),
        _problem(digits, "all ten digits", SYMMETRIC_NOISE),
    ]


def _problem(data, name, noise, kept=True):
    """Return a data set, or some of its rows."""
    index = np.flatnonzero(np.broadcast_to(kept, len(data.target)))
    labels = data.target_names[data.target]
    return Problem(name, index, data.data[index], labels[index], noise, hasattr(data, "images"))


def rivals(n_samples):
    """Return the classifiers that trust the labels."""
    return {
        "RidgeClassifierCV": RidgeClassifierCV(PENALTIES * n_samples),
        "LogisticRegressionCV": LogisticRegressionCV(max_iter=1000, scoring="accuracy"),
    }


def run_once(problem, seed):
    """Split a data set, add noise to the training labels, fit every method and measure it."""
    rows, others = train_test_split(
        np.arange(len(problem.y)), test_size=0.5, random_state=seed, stratify=problem.y
    )
    scaler = StandardScaler().fit(problem.X[rows])
    train, test = scaler.transform(problem.X[rows]), scaler.transform(problem.X[others])
    truth = problem.y[rows]
    given = flip_labels(truth, problem.noise, random_state=seed)
    methods = {OURS: NoiseAwareLinearClassifier(), **rivals(len(rows))}
    accuracies, seconds, messages = {}, {}, []
    for name, method in methods.items():
        _, seconds[name], notes = fit_quietly(method, train, given)
        accuracies[name] = method.score(test, problem.y[others])
        messages += notes
    return Run(problem, rows, given, truth, methods[OURS], messages, accuracies, seconds)


def run_demo(output="skrmt_demo", *, seed=0, repeats=1, force=False):
    """Run the demonstration, print it and draw its figure."""
    path = output_folder(output, force) / "demo.png"
    check_free([path], force)
    # On matrices this small, more threads wait for one another longer than they compute.
    with threadpool_limits(1):
        results = [[run_once(problem, seed + k) for k in range(repeats)] for problem in problems()]
    print(demo_text(results))
    print(_figure_note(results, path, force))
    print(_READ_NEXT)
    return 0


def _figure_note(results, path, force):
    """Draw the figure and return where it is, or what is missing to draw it."""
    try:
        save_demo_figure(results, path, force)
    except ImportError as error:
        return "\n\n" + paragraph(f"No figure was drawn. {error}")
    return f"\n\nThe same in a figure: {path}"


_READ_NEXT = """
What to read next
  python -m skrmt audit FILE.csv --target COLUMN    the same for a table of your own
  python -m skrmt audit --help                      what it accepts and writes
  README.md                                         the same in three lines of Python
  make docs                                         the user guide, with the theory"""
