"""Whether held-out scores follow the labels, or run against them."""

from __future__ import annotations

import numpy as np

from ._label_evidence import class_posterior
from ._ties import tied_ranks

_DETECTED = 1.645
"""Standard errors by which scores must follow the labels: 5 % of pure noise passes."""

_ARTEFACT = 3.0
"""Standard errors by which scores run against the labels where chance does so once in a thousand.

Rows alike predict each other's labels the right way round. Left out of a fit that learns nothing,
each row makes its own class the rarer one: scores then follow all other labels but its own.
"""


def is_detected(scores, labels):
    """Return whether held-out scores follow the observed labels."""
    return _association(scores, labels, _own(labels)) > _DETECTED


def is_artefact(scores, labels):
    """Return whether held-out scores run against what labels say of the classes, beyond chance."""
    if labels.likelihood is None:
        wanted = _own(labels)
    else:
        # Labels that are mostly wrong, and known to be, say the opposite.
        wanted = class_posterior(labels.likelihood, labels.implied_prior())
    return _association(scores, labels, wanted) < -_ARTEFACT


def _own(labels):
    """Return which class each observed label is, of two classes whether it is the second."""
    return np.eye(labels.n_classes)[:, 0 if labels.n_classes > 2 else 1 :][labels.observed]


def _association(scores, labels, wanted):
    """Return the rank correlation of scores and what is wanted in standard errors.

    What is wanted has a column for each class, or for the second of two.
    """
    columns = scores.reshape(len(scores), -1)
    many = labels.n_classes > 2
    wanted = wanted[:, wanted.shape[1] - columns.shape[1] :]
    columns = columns - columns.mean(1, keepdims=True) if many else columns
    share = labels.shares_of_rows
    # Ranks: one far score must not decide, nor the order of the rows among equal ones.
    ranks = tied_ranks(columns)
    ranks -= share @ ranks
    wanted = wanted - share @ wanted
    power = np.sqrt((share @ ranks**2) * (share @ wanted**2))
    correlation = (share @ (ranks * wanted)) / np.where(power > 0, power, np.inf)
    return float(correlation.mean() * np.sqrt(labels.size * len(power)))


def chance_agreement(predicted, labels, prior=None):
    """Return the agreement of decisions with classes, the observed ones by default, by chance."""
    frequencies = np.bincount(predicted, labels.shares_of_rows, labels.n_classes)
    return float(frequencies @ (labels.shares if prior is None else prior))
