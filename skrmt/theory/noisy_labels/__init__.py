"""Linear classifiers trained on noisy labels: what they reach, and what is best.

Two classes -1/+1 (or K), each Gaussian; n samples of p features, both large with
`aspect_ratio` = p/n. A true label flips with a probability that depends on its class only. All
accuracies are on *clean* labels of fresh points. Rates, loss weights, means and variances that
come in pairs are in class order (negative, positive). Penalties `alpha` are per sample, as in
`sklearn.linear_model.Ridge(alpha=n_samples * alpha)`.

- `lpc`: ridge without intercept, the centre known to be 0; `intercept_ridge`: with one.
- `optimal_shift`, `optimal_perturbation`, `worst_shift`, `optimal_alpha`: its parameters.
- `label_quality`: how much the labels say.
- `gaussian_mixture_ridge`: any means, covariances, number of classes and noise matrix.
- `binary_accuracy`, `best_threshold`: from score moments to accuracy.
- `bayes_accuracy`, `amp_path`: the best that any method can do, and the way there.
- `relabelling_path`: a ridge fit, and at `alpha = inf` fits to posterior means of earlier fits.
- `signal_from_eigenvalue`: the signal that the data reveal without labels.

References
----------
High-dimensional Learning with Noisy Labels, arXiv:2405.14088.
"""

from ._bayes import AMPPath, BayesResult, amp_path, bayes_accuracy, signal_from_eigenvalue
from ._decision import best_threshold, binary_accuracy
from ._gaussian_ridge import GaussianRidgeResult, gaussian_mixture_ridge, optimal_alpha
from ._labels import Perturbation, label_quality, optimal_perturbation, optimal_shift, worst_shift
from ._lpc import InterceptRidgeResult, LPCResult, intercept_ridge, lpc
from ._relabelling import RelabellingPath, relabelling_path

__all__ = [
    "AMPPath",
    "BayesResult",
    "GaussianRidgeResult",
    "InterceptRidgeResult",
    "LPCResult",
    "Perturbation",
    "RelabellingPath",
    "amp_path",
    "bayes_accuracy",
    "best_threshold",
    "binary_accuracy",
    "gaussian_mixture_ridge",
    "intercept_ridge",
    "label_quality",
    "lpc",
    "optimal_alpha",
    "optimal_perturbation",
    "optimal_shift",
    "relabelling_path",
    "signal_from_eigenvalue",
    "worst_shift",
]
