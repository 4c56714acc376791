"""Scores of rows by fits without each, as they would be found without a closed form."""

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import clone


def refits(model, X, y, rows=None, weights=None, *, keep_labels=False):
    """Return decisions on, or predictions of, some rows by fits without each.

    With `keep_labels` the other rows of its label weigh more, so that it is as frequent as it is.
    """
    found, weighs = [], weights is not None or keep_labels
    weights = np.ones(len(y)) if weights is None else weights
    for i in range(len(y)) if rows is None else rows:
        keep, own = np.arange(len(y)) != i, weights.copy()
        if keep_labels:
            label = y == y[i]
            own[label] *= weights[label].sum() / weights[label & keep].sum()
        options = {"sample_weight": own[keep]} if weighs else {}
        fitted = clone(model).fit(X[keep], y[keep], **options)
        score = fitted.decision_function if hasattr(fitted, "classes_") else fitted.predict
        found.append(score(X[i : i + 1])[0])
    return np.array(found)


def centred(scores):
    """Return scores of classes up to a constant a row."""
    return scores - scores.mean(1, keepdims=True) if scores.ndim == 2 else scores


def right(scores, y):
    """Return the share of rows whose class scores predict."""
    return np.mean((scores > 0) == y if scores.ndim == 1 else scores.argmax(1) == y)


def neg_log_loss(scores, y):
    """Return minus the mean log loss of the probabilities that scores make."""
    shares = (
        softmax(scores, 1) if scores.ndim == 2 else np.stack([expit(-scores), expit(scores)], 1)
    )
    return float(np.mean(np.log(shares[np.arange(len(y)), y])))
