"""Stochastic gradient descent in stages: its mean risk step by step, known in advance.

- `Stage`, which is `skrmt.linear_model.Stage`: steps, batch size, learning rates, and changes
  of the data.
- `risk_curve`, `volterra_curve`: mean risk on fresh rows, exact for Gaussian features.
- `multi_pass_risk_curve`: mean training risk when rows are drawn again and again.
- `noise_amplification`, `critical_learning_rate`, `critical_batch_size`, `noise_floor`: which
  rates are stable, and where a constant one ends.
- `spike_p_value`, `tail_index`: spikes by luck, and by too high a rate.
- `plan_stages`: the best schedule of a sample budget.
"""

from ._curve import multi_pass_risk_curve, risk_curve, volterra_curve
from ._plan import StagePlan, plan_stages
from ._spikes import spike_p_value, tail_index
from ._stability import (
    critical_batch_size,
    critical_learning_rate,
    noise_amplification,
    noise_floor,
)
from ._stages import Stage as Stage

__all__ = [
    "StagePlan",
    "critical_batch_size",
    "critical_learning_rate",
    "multi_pass_risk_curve",
    "noise_amplification",
    "noise_floor",
    "plan_stages",
    "risk_curve",
    "spike_p_value",
    "tail_index",
    "volterra_curve",
]
