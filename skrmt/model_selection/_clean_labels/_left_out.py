"""What a fit to all rows loses with a row, or with its group."""

from __future__ import annotations

import numpy as np


def gone_with(gradients, observed, weights, part, group=None):
    """Return what goes from the sum of gradients (n, d) with each row, or with its group.

    The other rows of the same labels count for more then, so that every label stays as frequent as
    it is. Where labels are equally frequent, and little else is learned, that of the row left out
    would be the rarest, and each row judged wrongly.
    """
    n_classes = observed.max() + 1
    total = np.bincount(observed, weights)
    whole = np.stack([np.bincount(observed, column) for column in gradients.T], axis=1)
    if group is None:
        gone = part[:, None] * gradients
        own = part * weights / total[observed]
        rest = np.take(whole.T, observed, axis=1).T - gone
        return gone - _made_up_for(own, rest)
    cell, n_groups = group * n_classes + observed, group.max() + 1
    gone = np.stack([np.bincount(cell, x, n_groups * n_classes) for x in gradients.T], axis=1)
    own = np.bincount(cell, weights, len(gone)) / np.tile(np.maximum(total, 1e-300), n_groups)
    rest = np.tile(whole, (n_groups, 1)) - gone
    change = gone - _made_up_for(own, rest)
    return change.reshape(n_groups, n_classes, -1).sum(1)[group]


def _made_up_for(own, rest):
    """Return what the rest gains where a share of its label is left out, nothing without a rest."""
    left = 1.0 - own
    return np.where(left > 1e-9, own / np.maximum(left, 1e-9), 0.0)[:, None] * rest
