"""Real data and mixtures whose labels are made wrong on purpose.

A task is one random split of a set, its features standardised on the training part and its training
labels partly flipped. It depends on nothing but the names and the seed.
"""

import gzip
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from scipy.io import loadmat
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import StandardScaler

from skrmt.datasets import flip_labels, make_noisy_mixture

# (rate of the negative class, rate of the positive class)
BINARY_NOISE = ((0.1, 0.1), (0.1, 0.3), (0.4, 0.1), (0.3, 0.3))
# Training rows of each set; the other rows test.
SETS = {
    "digits 3 v 8": 120,
    "digits 4 v 9": 120,
    "digits 1 v 7": 120,
    "digits 5 v 9": 120,
    "digits even v odd": 400,
    "breast cancer": 200,
    "Toeplitz mixture": 300,
}
EXTRA_SETS = {
    "reviews books": 800,
    "reviews dvd": 800,
    "MNIST 3 v 8": 200,
    "MNIST 4 v 9": 200,
    "MNIST 1 v 7": 200,
    "MNIST 5 v 9": 200,
}
MULTICLASS_SETS = {"digits": 500, "wine": 90}


class Task(NamedTuple):
    """Training rows with wrong labels, the right ones, and clean test rows."""

    X: np.ndarray
    noisy: np.ndarray
    clean: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    noise_matrix: np.ndarray


def extra_folder():
    """Return the folder of the sets that are not bundled with scikit-learn, or None."""
    folder = os.environ.get("SKRMT_DATA")
    return Path(folder) if folder else None


def extra_sets():
    """Return the extra sets whose files are there."""
    folder = extra_folder()
    if folder is None:
        return {}
    found = {"reviews": folder / "amazon_reviews", "MNIST": folder / "mnist"}
    return {name: n for name, n in EXTRA_SETS.items() if found[name.split()[0]].is_dir()}


def symmetric(n_classes, rate):
    """Return the noise matrix of wrong labels uniform over the other classes."""
    spread = np.full((n_classes, n_classes), rate / (n_classes - 1))
    np.fill_diagonal(spread, 1 - rate)
    return spread


def pair_flips(n_classes, rate):
    """Return the noise matrix in which class k is mistaken for class k + 1."""
    return (1 - rate) * np.eye(n_classes) + rate * np.roll(np.eye(n_classes), 1, axis=1)


def binary_matrix(rates):
    """Return the noise matrix of a pair of rates."""
    negative, positive = rates
    return np.array([[1 - negative, negative], [positive, 1 - positive]])


@cache
def _mnist():
    """Return images, in [0, 1], and labels of the MNIST test set."""
    folder = extra_folder() / "mnist"
    images, labels = (
        np.frombuffer(gzip.decompress((folder / name).read_bytes()), np.uint8, offset=offset)
        for name, offset in (("t10k-images-idx3-ubyte.gz", 16), ("t10k-labels-idx1-ubyte.gz", 8))
    )
    return images.reshape(len(labels), -1) / 255, labels


def _pair(X, y, name):
    """Keep the two classes of a name such as "digits 3 v 8"."""
    negative, positive = int(name.split()[-3]), int(name.split()[-1])
    kept = (y == negative) | (y == positive)
    return X[kept], (y[kept] == positive).astype(int)


def _load(name, rng):
    """Return all features and right labels of a set."""
    if name == "Toeplitz mixture":
        X, _, y, _ = make_noisy_mixture(
            2300, 200, mean_norm=1.7, covariance=0.6, noise_rates=None, random_state=rng
        )
        return X, y
    if name.startswith("reviews"):
        content = loadmat(extra_folder() / "amazon_reviews" / f"{name.split()[1]}_400.mat")
        return content["fts"].astype(float), content["labels"].ravel().astype(int)
    if name.startswith("MNIST"):
        return _pair(*_mnist(), name)
    bundled = {"breast cancer": load_breast_cancer, "wine": load_wine}
    X, y = bundled.get(name, load_digits)(return_X_y=True)
    if name == "digits even v odd":
        return X, y % 2
    return _pair(X, y, name) if " v " in name else (X, y)


def draw(name, noise_matrix, seed):
    """Draw a task: a split of a set, and wrong labels."""
    n = (SETS | EXTRA_SETS | MULTICLASS_SETS)[name]
    rng = np.random.RandomState(crc32(f"{name} {seed} {np.round(noise_matrix, 6)}".encode()))
    X, y = _load(name, rng)
    order = rng.permutation(len(y))
    train, test = order[:n], order[n:]
    # Pixels of MNIST that are nearly always black would be blown up.
    scaler = StandardScaler(with_std=not name.startswith("MNIST")).fit(X[train])
    noisy = flip_labels(y[train], noise_matrix, random_state=rng)
    return Task(
        scaler.transform(X[train]),
        noisy,
        y[train],
        scaler.transform(X[test]),
        y[test],
        noise_matrix,
    )
