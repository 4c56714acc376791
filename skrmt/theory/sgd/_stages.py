"""Stages of a schedule: steps, batch size, learning rates, and what the data are meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .._checks import FloatArray, in_range

SCHEDULES = ("constant", "cosine", "linear", "warmup")


@dataclass(frozen=True, eq=False)
class Stage:
    r"""A stretch of training with its own batch size, learning rates and data.

    Parameters
    ----------
    n_steps : int
        Number T of steps, 1 or more.
    batch_size : int
        Rows a step, 1 or more.
    learning_rate : float, "auto" or array-like of shape (n_steps,)
        Factor of the mean gradient of half the squared residual. "auto" is half the critical rate
        of this batch size; an array gives the rate of every step, and leaves `schedule` unused.
    schedule : {"constant", "cosine", "linear", "warmup"}, default="constant"
        The rate of step t = 0, ..., T - 1, over `learning_rate`: 1,
        :math:`(1+\cos(\pi t/T))/2`, :math:`1-t/T` or :math:`(t+1)/T`.
    relative : bool, default=False
        Whether `learning_rate` is a fraction of the critical rate of this batch size.
    mixture : dict of hashable to float, default=None
        For estimators: share of each source of rows, by its id, summing to 1; all rows equally if
        None.
    weight_decay : float, default=0.0
        Decoupled penalty: a step multiplies the weights by 1 - learning rate * weight decay, apart
        from the gradient, which is that of the loss alone.
    displacement : array-like of shape (p,), default=None
        For the theory: what is added, at the beginning of the stage, to the weights less the best
        ones, because the best ones move; in eigenvector coordinates.
    noise_variance : float, default=None
        For the theory: variance of the noise from here on; that of before if None.
    eigenvalues : array-like of shape (p,), default=None
        For the theory: eigenvalues from here on, in the order of the same eigenvectors.
    momentum : float, default=0.0
        Part of the last step that is repeated (heavy ball), in [0, 1): a step moves the weights
        against learning rate times velocity, and the velocity is the gradient plus `momentum` times
        the velocity of before. It is 0 at the start and after a stage without momentum.

    Raises
    ------
    ValueError
        If a number is out of range, shares do not sum to 1, or the schedule is unknown.
    TypeError
        If an argument is not a number where one is needed.

    See Also
    --------
    risk_curve : What a list of stages leads to.

    Examples
    --------
    >>> from skrmt.theory.sgd import Stage
    >>> stage = Stage(4, batch_size=8, learning_rate=0.1, schedule="linear")
    >>> stage.learning_rates()
    array([0.1  , 0.075, 0.05 , 0.025])
    """

    n_steps: int
    batch_size: int
    learning_rate: Any
    schedule: str = "constant"
    relative: bool = False
    mixture: Any = None
    weight_decay: float = 0.0
    displacement: Any = None
    noise_variance: Any = None
    eigenvalues: Any = None
    momentum: float = 0.0

    def __post_init__(self) -> None:
        """Check what can be checked without data."""
        _check_count("n_steps", self.n_steps)
        _check_count("batch_size", self.batch_size)
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"schedule must be one of {', '.join(SCHEDULES)}, got {self.schedule!r}."
            )
        in_range("weight_decay", self.weight_decay, 0, np.inf, "left", "It is a penalty.")
        in_range("momentum", self.momentum, 0, 1, "left", "From 1 on the velocity does not fade.")
        if self.noise_variance is not None:
            in_range("noise_variance", self.noise_variance, 0, np.inf, "left")
        if not _is_auto(self.learning_rate):
            _check_rate(self.learning_rate, self.n_steps)
        _check_mixture(self.mixture)

    def __repr__(self) -> str:
        """Show what is not default."""
        extra = [
            f"{name}={value!r}"
            for name, value, default in (
                ("schedule", self.schedule, "constant"),
                ("relative", self.relative, False),
                ("mixture", self.mixture, None),
                ("weight_decay", self.weight_decay, 0.0),
                ("momentum", self.momentum, 0.0),
            )
            if value != default
        ]
        extra += [
            f"{name}=..."
            for name in ("displacement", "noise_variance", "eigenvalues")
            if getattr(self, name) is not None
        ]
        shown = [str(self.n_steps), str(self.batch_size), f"{self.learning_rate!r}", *extra]
        return f"Stage({', '.join(shown)})"

    @property
    def needs_critical_rate(self) -> bool:
        """Whether the rates depend on the critical one."""
        return self.relative or _is_auto(self.learning_rate)

    def learning_rates(self, critical_rate: float | None = None) -> FloatArray:
        """Return the learning rate of every step.

        Parameters
        ----------
        critical_rate : float, default=None
            Critical rate of this batch size, which "auto" and relative rates need.

        Returns
        -------
        ndarray of shape (n_steps,)
            The rates.

        Raises
        ------
        ValueError
            If the critical rate is needed and missing.
        """
        scale = 1.0
        if self.needs_critical_rate:
            if critical_rate is None:
                raise ValueError(
                    f"learning_rate={self.learning_rate!r} with relative={self.relative} is in "
                    "units of the critical rate: pass critical_rate."
                )
            scale = float(critical_rate)
        rate = np.asarray(0.5 if _is_auto(self.learning_rate) else self.learning_rate, dtype=float)
        if rate.ndim == 1:
            return scale * rate
        return scale * rate * schedule_factors(self.schedule, self.n_steps)


def schedule_factors(schedule: str, n_steps: int) -> FloatArray:
    """Return the rate of each step over the largest one."""
    time = np.arange(n_steps)
    if schedule == "cosine":
        return np.asarray((1 + np.cos(np.pi * time / n_steps)) / 2)
    if schedule == "linear":
        return 1 - time / n_steps
    if schedule == "warmup":
        return (time + 1) / n_steps
    return np.ones(n_steps)


def as_stages(stages: Any) -> list[Stage]:
    """Return a list of stages, of which tuples and dicts are made."""
    if isinstance(stages, Stage):
        return [stages]
    if isinstance(stages, str) or not isinstance(stages, Sequence):
        raise TypeError(f"stages must be a list of Stage, got {stages!r}.")
    if not stages:
        raise ValueError("stages is empty: give one Stage or more.")
    return [_as_stage(stage) for stage in stages]


def _as_stage(stage: Any) -> Stage:
    """Return one stage."""
    if isinstance(stage, Stage):
        return stage
    if isinstance(stage, dict):
        return Stage(**stage)
    if isinstance(stage, tuple | list) and len(stage) >= 3:
        return Stage(*stage)
    raise TypeError(
        f"stages must hold Stage(n_steps, batch_size, learning_rate, ...), got {stage!r}."
    )


def _is_auto(rate: Any) -> bool:
    return isinstance(rate, str) and rate == "auto"


def _check_count(name: str, value: Any) -> None:
    """Refuse what is not a whole number of 1 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}.")
    if value < 1:
        raise ValueError(f"{name} must be 1 or more, got {value}.")


def _check_rate(rate: ArrayLike, n_steps: int) -> None:
    """Refuse negative and infinite rates, and arrays of another length."""
    remedy = "Give a rate of 0 or more, or 'auto'."
    if isinstance(rate, str):
        raise ValueError(f"learning_rate must be a number or 'auto', got {rate!r}.")
    values = in_range("learning_rate", rate, 0, np.inf, "left", remedy)
    if values.ndim and values.shape != (n_steps,):
        raise ValueError(
            f"learning_rate has shape {values.shape}: give one number, or one a step, ({n_steps},)."
        )


def _check_mixture(mixture: Any) -> None:
    """Refuse shares that are negative or do not sum to 1."""
    if mixture is None:
        return
    if not isinstance(mixture, dict) or not mixture:
        raise TypeError(f"mixture must be a dict of source to share, got {mixture!r}.")
    shares = in_range("mixture", list(mixture.values()), 0, 1, "both", "Shares sum to 1.")
    if abs(shares.sum() - 1) > 1e-8:
        raise ValueError(
            f"mixture has shares that sum to {shares.sum():g}, not to 1: divide them by their sum."
        )
