"""What held-out scores show of the labels, for any number of classes."""

from __future__ import annotations

from ._class_stories import class_stories
from ._noisy_labels import NoisyLabels
from ._record import Stories
from ._two_classes import two_class_stories


def tell_stories(scores, labels: NoisyLabels, *, evidence=None, fixed=False, group=None) -> Stories:
    """Average over what may be wrong with labels, given held-out scores (n,) or (n, K).

    `evidence` are better scores, if there are any, which need not decide. `fixed` decides by the
    sign or the largest of the scores.
    """
    if scores.ndim == 1:
        cut = 0.0 if fixed else None
        return two_class_stories(scores, labels, evidence=evidence, cut=cut, group=group)
    return class_stories(scores, labels, evidence=evidence, fixed=fixed, group=group)
