"""What held-out scores show of the labels, for any number of classes."""

from __future__ import annotations

import numpy as np

from ._class_stories import class_stories
from ._detection import chance_agreement, is_artefact
from ._noisy_labels import NoisyLabels
from ._record import Stories
from ._two_classes import two_class_stories

FEWEST_ROWS = 10
"""Effective rows below which no accuracy is predicted: five a class show no law of scores."""


def tell_stories(scores, labels: NoisyLabels, *, evidence=None, fixed=False, group=None) -> Stories:
    """Average over what may be wrong with labels, given held-out scores (n,) or (n, K).

    `evidence` are better scores, if there are any, which need not decide. `fixed` decides by the
    sign or the largest of the scores. The accuracies of too few rows are nan; scores that run
    against the labels are worth as much as constant ones.
    """
    same, scores = evidence is scores, _believed(scores, labels)
    evidence = scores if same else None if evidence is None else _believed(evidence, labels)
    find = two_class_stories if scores.ndim == 1 else class_stories
    found = find(scores, labels, evidence=evidence, fixed=fixed, group=group)
    if labels.size < FEWEST_ROWS:
        return found.without_accuracies()
    low, high = found.interval
    chance = chance_agreement(found.predicted, labels, found.prior)
    return found._replace(interval=np.array([low, max(high, chance)]))


def _believed(scores, labels):
    """Return scores, or their mean where they run against the labels."""
    if not is_artefact(scores, labels):
        return scores
    return np.zeros_like(scores) + labels.shares_of_rows @ scores
