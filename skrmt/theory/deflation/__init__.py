r"""Several correlated components in a noise tensor: what deflation and joint fits make of them.

The model is :math:`T = \sum_j\beta_j\,x_j^{(1)}\circ\cdots\circ x_j^{(d)} + W/\sqrt N`, of
order 3 or more: unit vectors of sizes `dims` with Gram matrices `grams`, noise entries of variance
1/N, N the *sum* of the sizes. Raw data Y with noise of standard deviation :math:`\sigma` are
brought to it by :math:`T = Y/(\sigma\sqrt N)`.

- `hotelling`: subtract the best rank one and start again; spurious components included.
- `orthogonalized`, `optimal_gamma`: project one mode off the estimate, and how strongly.
- `joint_cp`: the least-squares fit of all components, the most accurate of these.
- `estimate_from_hotelling`, `estimate_from_orthogonalized`, `estimate_from_joint`: from what a fit
  shows back to the signal, and with it the accuracy of the fit.
- `joint_cosines`, `optimal_coefficients`: how the components found are best weighted.

References
----------
On the Accuracy of Hotelling-Type Asymmetric Tensor Deflation, arXiv:2310.18717.
Hotelling Deflation on Large Symmetric Spiked Tensors, arXiv:2304.10248.
Optimizing Orthogonalized Tensor Deflation via Random Tensor Theory, arXiv:2302.05798.
"""

from ._gamma import optimal_gamma
from ._inverse import estimate_from_hotelling, estimate_from_orthogonalized
from ._joint import JointLimit, joint_cp
from ._joint_inverse import SignalEstimate, estimate_from_joint
from ._shrinkage import joint_cosines, optimal_coefficients
from ._steps import DeflationLimit, hotelling, orthogonalized

__all__ = [
    "DeflationLimit",
    "JointLimit",
    "SignalEstimate",
    "estimate_from_hotelling",
    "estimate_from_joint",
    "estimate_from_orthogonalized",
    "hotelling",
    "joint_cosines",
    "joint_cp",
    "optimal_coefficients",
    "optimal_gamma",
    "orthogonalized",
]
