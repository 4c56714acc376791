"""What the pages of both staged estimators have in common."""

from __future__ import annotations

from inspect import cleandoc

_PARAMETERS = """
stages : "auto" or list of Stage, default="auto"
    The schedule. "auto" is one pass in batches of a hundredth of the rows, from 1 to 32, with
    cosine decay from half the critical rate to 0.
detect_spikes : bool, default=True
    Whether losses are compared with the predicted ones.
rollback : bool, default=True
    Whether a spike makes the fit go back to a snapshot before it and leave out its batches.
max_rollbacks : int, default=5
    Most rollbacks.
snapshot_every : int, default=100
    Steps between snapshots of the weights.
fit_intercept : bool, default=True
    Whether features and targets are centred, by the means of each stage.
strict : bool, default=False
    Whether a rate above the critical one is an error.
device : str, default=None
    Torch device ("cpu", "cuda", "cuda:1") on which NumPy input is computed.
verbose : int, default=0
    1 prints ten lines on progress, 2 one per snapshot.
random_state : int, RandomState instance or None, default=None
    Seed of the batches.
"""

_ATTRIBUTES = """
theoretical_loss_curve_ : ndarray of shape (T,)
    Predicted mean of `loss_curve_`, before each step. From the first stage on of which a rate is
    above .95 of the critical one: its median, inf once that is a million times the loss at the
    start, and nan where too many rows would have to be simulated.
theoretical_risk_ : float
    Predicted mean loss on fresh rows after the last step; inf where the fit is predicted to
    diverge, nan where a row far from all others makes a quarter of it.
theoretical_risk_interval_ : ndarray of shape (2,)
    Its 95 % interval; inf above where the tail of the losses may have no mean, and far above where
    rows far from all others are so few that their losses may be small by luck.
n_effective_samples_ : float
    Number of rows on which predictions rest: ``(sum w)^2 / sum w^2``, copies of a row, or rows of a
    group, taken together.
critical_learning_rate_ : float
    Rate above which the mean loss diverges, for the batch size of the first stage.
critical_batch_size_ : float
    Batch size beyond which a larger one no longer allows a much larger rate.
noise_floor_ : float
    Risk at which the largest rate of the last stage would end; nan in one pass over about as many
    rows as features, or fewer.
tail_index_ : float
    How fast the tails of the weights fall, for batches of one row and features of one variance;
    nan otherwise.
spikes_ : list of (int, float)
    First step of each spike and its p-value.
rollbacks_ : list of (int, int)
    Step at which a spike was noticed, and the one to which the fit went back.
stage_bounds_ : ndarray of shape (n_stages + 1,)
    Steps at which stages begin, and their total number.
n_iter_ : int
    Number of steps that were taken: fewer than there are in the stages where the fit diverged.
n_features_in_ : int
    Number of features.
feature_names_in_ : ndarray of shape (n_features,)
    Names of the features, where X had any.
"""

_WARNINGS = """
Raises
------
ValueError
    If an argument is out of its domain.

Warns
-----
ConvergenceWarning
    If the loss diverged and the fit stopped, or else if a learning rate is above the critical one.
TheoryWarning
    If there are fewer than 10 effective rows; if simulation would take too long; if the critical
    rate differs by more than a factor of 2 from that of Gaussian features; if rows repeat; or if
    few rows decide how large the risk is. The first that applies.
"""

_NOTES = r"""
Notes
-----
If the schedule needs no more rows than there are, and weights and shares are equal, each row is
used once, in random order; the predicted loss is then that on fresh rows. Otherwise rows are drawn
with replacement, in proportion to weight and share, and the predicted loss is that on these rows.
The predicted risk is that on fresh rows either way.
The predicted risk is that on fresh rows either way.
The critical rate is that of the rows themselves: the largest at which
:math:`M \mapsto M-\eta(HM+MH)+\eta^2[(1-1/B)HMH+E(xx^\top Mxx^\top)/B]` has no eigenvalue above 1.
The prediction follows the mean of the weights exactly and the diagonal of their covariance, in
eigenvectors of H, by fourth moments of the rows; leave-one-out residuals make it one for fresh
rows. Of more than 2000 rows, fourth moments are those of the rows of largest norm and a sample of
the others. With momentum the same moments of the velocity are followed too; a critical rate is
always that of the stage's momentum, without its weight decay.

Near the critical rate the mean loss is that of few runs, and above it that of fewer still: from .95
of it on, the median of up to 200 simulated runs is predicted instead. There nothing is a spike, and
a fit whose loss is a million times that at the start for three batches stops; `loss_curve_` is inf
from there on.

The interval of the risk is normal for its logarithm, from the spread of left-out losses over rows
and of the risk over runs, and reaches up to the mean of losses whose largest follow the heaviest
power law that they allow (Hill's estimate, one-sided 95 %). Outliers that the curve leaves out
count in the risk.

Up to three batches in a row are a spike if their losses exceed the predicted ones by a quarter, and
by so much that one fit in a hundred has such a stretch by luck. The law of a loss is chi-square,
its degrees of freedom matched to the variance of the loss over rows. As weights wander, the risk of
the present ones replaces the predicted one if it is larger, up to ten times. Where spikes are
looked for, rows that are off by more than 8 robust standard deviations, a hundredth at most, are
left out of the prediction. A second spike within `snapshot_every` steps halves the rate for as many
steps.

References
----------
.. [1] "Falcon2-11B Technical Report", arXiv:2407.14885.
.. [2] "Homogenization of SGD in high-dimensions: exact dynamics and generalization
   properties", arXiv:2205.07069.
.. [3] "Trajectory of Mini-Batch Momentum: Batch Size Saturation and Convergence in High
   Dimensions", arXiv:2206.01029.
"""


def documented(cls):
    """Fill the parts of a class docstring that staged estimators share; a class decorator."""
    if cls.__doc__ is not None:
        page = cleandoc(cls.__doc__)
        for mark, text in (
            ("{parameters}", "Parameters\n----------\n" + _PARAMETERS.strip()),
            ("{attributes}", _ATTRIBUTES.strip()),
            ("{warnings}", _WARNINGS.strip()),
            ("{notes}", _NOTES.strip()),
        ):
            page = page.replace(mark, text)
        cls.__doc__ = page
    return cls
