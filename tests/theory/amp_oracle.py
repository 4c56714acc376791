"""What the theory of noisy labels predicts, done to data: moments, and message passing.

Two Gaussian classes of means +-mu and of unit variance, whose centre is known to be 0; labels are
-1 and +1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh
from scipy.special import logit

from skrmt.theory.noisy_labels import signal_from_eigenvalue


class Law(NamedTuple):
    """Norm of mu, probability of the class +1, rates of wrong labels (negative, positive)."""

    mean_norm: float
    prior: float
    noise_rates: tuple[float, float]


def draw(rng: np.random.Generator, n: int, p: int, law: Law) -> tuple[np.ndarray, ...]:
    """Return X, noisy labels and true labels; mu is along the first axis."""
    clean = np.where(rng.random(n) < law.prior, 1.0, -1.0)
    X = rng.standard_normal((n, p))
    X[:, 0] += law.mean_norm * clean
    negative, positive = law.noise_rates
    wrong = rng.random(n) < np.where(clean > 0, positive, negative)
    return X, np.where(wrong, -clean, clean), clean


def moments(X: np.ndarray, y: np.ndarray) -> Law:
    """Estimate the law from the top eigenvalue and from means over pairs of different rows.

    The means of y_i x_i.x_j and of y_i y_j x_i.x_j are a b |mu|^2 and a^2 |mu|^2, with
    b = 2 prior - 1 and a the mean product of true and noisy label.
    """
    n, p = X.shape
    gram = X @ X.T if n < p else X.T @ X
    last = len(gram) - 1
    top = eigh(gram, eigvals_only=True, subset_by_index=[last, last])[0] / n
    signal = signal_from_eigenvalue(top, p / n)
    squares = np.einsum("ij,ij->i", X, X)
    cross = (X.sum(axis=0) @ (y @ X) - y @ squares) / (n * (n - 1))
    own = ((y @ X) @ (y @ X) - squares.sum()) / (n * (n - 1))
    a = min(np.sqrt(own / signal), 1.0)
    b = cross / (a * signal)
    negative = 0.5 - (a - y.mean()) / (2.0 * (1.0 - b))
    positive = 0.5 - (a + y.mean()) / (2.0 * (1.0 + b))
    return Law(float(np.sqrt(signal)), 0.5 * (1.0 + b), (max(negative, 0.0), max(positive, 0.0)))


class Message(NamedTuple):
    """An iteration: direction, posterior mean of the classes of the rows, and the law."""

    direction: np.ndarray
    posterior_mean: np.ndarray
    law: Law


def message_passing(
    X: np.ndarray, y: np.ndarray, law: Law, n_iter: int = 15, *, learn: bool = False
) -> list[Message]:
    """Iterate from the labels; `learn` replaces the law from the fourth iteration on, by EM."""
    n, p = X.shape
    half = half_odds(law, y)
    t, w, path = np.tanh(half), np.zeros(p), []
    for iteration in range(n_iter):
        power = np.mean(t**2)
        memory = 1.0 - power if iteration else 0.0
        f = X.T @ t / n - memory * w
        if learn and iteration > 2:
            law = maximise(y, t, f @ f, p / n)
            half = half_odds(law, y)
        gain = 1.0 / (power + p / n / law.mean_norm**2)
        w = gain * f
        t = np.tanh(half + X @ w - p / n * gain * t)
        path.append(Message(w, t, law))
    return path


def half_odds(law: Law, y: np.ndarray) -> np.ndarray:
    """Return half the log-odds of the class +1 given each label."""
    negative, positive = np.clip(law.noise_rates, 1e-12, 1.0)
    says_positive = np.log((1.0 - positive) / negative)
    says_negative = np.log(positive / (1.0 - negative))
    return 0.5 * (np.where(y > 0, says_positive, says_negative) + logit(law.prior))


def maximise(y: np.ndarray, t: np.ndarray, energy: float, ratio: float) -> Law:
    """Return the law that the posterior means t ask for."""
    share, power = 0.5 * (1.0 + t), np.mean(t**2)
    positive = share[y < 0].sum() / share.sum()
    negative = (1.0 - share)[y > 0].sum() / (1.0 - share).sum()
    norm = np.sqrt((energy - ratio * power) / power**2)
    return Law(float(norm), float(share.mean()), (float(negative), float(positive)))
