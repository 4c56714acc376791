"""What a staged fit warns of: rates that are too high, and what makes its claims weak."""

from __future__ import annotations

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ...utils._merging import COPIES
from ...utils._warnings import warn, warn_first

_TOO_FEW_ROWS = (
    "There are fewer than 10 effective rows, `n_effective_samples_`: neither loss nor accuracy is "
    "predicted, and `regime_` is 'too_few_rows'."
)
_FAR_FROM_GAUSSIAN = (
    "The critical learning rate of these rows, `critical_learning_rate_`, differs by more than a "
    "factor of 2 from that of Gaussian features of the same covariance: rows of large norm limit "
    "the rate."
)
_FEW_ROWS_DECIDE = (
    "Few rows decide how large the loss on fresh rows is. Where losses have so heavy a tail that "
    "their mean may be infinite, `theoretical_risk_interval_` has no upper end; where a row far "
    "from all others determines its own score, `theoretical_risk_` is nan."
)
_NOT_SIMULATED = (
    "A learning rate is near the critical one, or above, where only simulation predicts, and that "
    "would take too long: `theoretical_loss_curve_` is nan from there on."
)
_DIVERGED = (
    "The loss diverged: the fit stopped after `n_iter_` steps, with the last finite weights. A "
    "learning rate is near the critical one, `critical_learning_rate_` for the first stage, or "
    "above: lower it, or give it with relative=True."
)
_TOO_FAST = (
    "A learning rate is above the critical one, `critical_learning_rate_` for the first stage: the "
    "mean loss diverges if its stage is long. Lower it, or give it with relative=True; strict=True "
    "makes this an error that names both."
)


def warn_of_fit(rows, schedule, prediction, diverged, fewest_rows):
    """Warn of rates that are too high, and of what makes predictions weak."""
    if diverged:
        # No claim is left that anything else could weaken.
        warn(_DIVERGED, ConvergenceWarning)
        return
    fast = schedule.too_fast() is not None
    if fast:
        warn(_TOO_FAST, ConvergenceWarning)
    causes = [
        (rows.n_effective < fewest_rows, _TOO_FEW_ROWS),
        (bool(np.isnan(prediction.risks).any()), _NOT_SIMULATED),
        (not fast and schedule.far_from_gaussian(), _FAR_FROM_GAUSSIAN),
        (rows.copies, COPIES),
        (not fast and prediction.claim.few_rows_decide, _FEW_ROWS_DECIDE),
    ]
    warn_first([message for applies, message in causes if applies])
