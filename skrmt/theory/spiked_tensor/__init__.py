r"""One spike in a noise tensor of order 3 or more: what its best rank-one approximation is.

The model is :math:`T = \beta\,x^{(1)}\circ\cdots\circ x^{(d)} + W/\sqrt N`: unit vectors of
sizes `dims`, noise entries of variance 1/N, N the *sum* of the sizes. Raw data Y with noise of
standard deviation :math:`\sigma` are brought to it by :math:`T = Y/(\sigma\sqrt N)`.

- `rank_one_limit`: from the signal to the value and the alignments of the best rank one.
- `signal_strength`: the inverse, from the observed value to the signal.
- `thresholds`: where a spike is detectable, globally optimal, and found by a spectral start.
- `required_signal`: the signal that a wanted alignment takes, and whether it can be computed.
- `noise_density`: the bulk of a contracted noise tensor.

References
----------
When Random Tensors meet Random Matrices, arXiv:2112.12348.
"""

from ._density import noise_density
from ._limits import RankOneLimit, rank_one_limit, signal_strength
from ._thresholds import RequiredSignal, SpikedThresholds, required_signal, thresholds

__all__ = [
    "RankOneLimit",
    "RequiredSignal",
    "SpikedThresholds",
    "noise_density",
    "rank_one_limit",
    "required_signal",
    "signal_strength",
    "thresholds",
]
