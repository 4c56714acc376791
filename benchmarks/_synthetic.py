"""Real data with a few real rows and many of a Gaussian generator, labels partly wrong."""

from typing import NamedTuple
from zlib import crc32

import numpy as np
from _data import _load, extra_folder
from sklearn.datasets import load_digits

from skrmt.datasets import GaussianGenerator

FLIPS = ((0.0, 1.0, 1.0), (0.3, 1.0, 1.0), (0.3, 0.9, 0.1))
# Name: (features, real, generator and synthetic rows per class, cells).
DIGITS = {
    f"digits, 10 classes, {n} real": (None, n // 10, 40, 100, (*FLIPS, (0.6, 1.0, 1.0)))
    for n in (50, 60, 100, 300)
}
PAIRS = {
    f"digits {a} v {b}, {n} real": ((a, b), n // 2, 60, 250, (*FLIPS, (0.45, 1.0, 1.0)))
    for a, b in ((3, 8), (1, 7), (4, 9), (5, 8))
    for n in (20, 60, 100)
}
SAME = {
    "digits, 10 classes, 50 real": (None, 5, 0, 100, ((0, 1, 1), (0.3, 1, 1), (0.6, 1, 1))),
    "digits 3 v 8, 20 real": ((3, 8), 10, 0, 250, ((0, 1, 1), (0.3, 1, 1))),
}
REVIEWS = {
    f"reviews books, {n} real": (
        "reviews books",
        n // 2,
        300,
        1000,
        ((0.2, 1, 1), (0.2, 1, 0), (0.4, 1, 1), (0.6, 1, 1)),
    )
    for n in (200, 600)
}


class MixTask(NamedTuple):
    """Real rows, synthetic rows before pruning, and test rows."""

    X: np.ndarray
    y: np.ndarray
    X_synthetic: np.ndarray
    y_synthetic: np.ndarray
    keep: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class NoisyGenerator:
    """A Gaussian generator behind label noise and a verifier; labels are 0, ..., K - 1."""

    def __init__(self, noise, correct, wrong, n_classes):
        self.noise, self.correct, self.wrong = noise, correct, wrong
        self.n_classes = n_classes

    def __call__(self, X, y, n, random_state):
        """Return rows, noisy labels and whether the verifier keeps them."""
        rng = np.random.RandomState(random_state)
        made, right = GaussianGenerator()(X, y, n, rng)
        wrong = rng.random_sample(n) < self.noise
        seen = np.where(wrong, (right + rng.randint(1, self.n_classes, n)) % self.n_classes, right)
        kept = rng.random_sample(n) < np.where(wrong, self.wrong, self.correct)
        return made, seen, kept


def settings():
    """Return every setting of an external generator for which the data are there."""
    reviews = REVIEWS if extra_folder() is not None else {}
    return DIGITS | PAIRS | reviews


def features(kind):
    """Return all rows and labels 0, ..., K - 1 of a setting."""
    if isinstance(kind, str):
        X, y = _load(kind, np.random.RandomState(0))
        return (X - X.mean(0)) / np.maximum(X.std(0), 1e-9), y
    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    if kind is None:
        return X, y
    kept = np.isin(y, kind)
    return X[kept], (y[kept] == kind[1]).astype(int)


def draw_mix(name, setting, cell, seed, same=False):
    """Draw a task, and its generator: split, generate, flip and prune."""
    kind, n_real, n_fit, n_made, _ = setting
    rng = np.random.RandomState(crc32(f"{name} {cell} {seed} {same}".encode()))
    X, y = features(kind)
    classes = np.unique(y)
    parts = [rng.permutation(np.flatnonzero(y == k)) for k in classes]
    real = np.concatenate([part[:n_real] for part in parts])
    fit = np.concatenate([part[n_real : n_real + n_fit] for part in parts])
    test = np.concatenate([part[n_real + n_fit :] for part in parts])
    generator = NoisyGenerator(*cell, len(classes))
    source = real if same else fit
    made = generator(X[source], y[source], n_made * len(classes), rng.randint(2**31 - 1))
    return MixTask(X[real], y[real], *made, X[test], y[test]), generator
