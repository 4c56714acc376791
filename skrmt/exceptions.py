"""Warnings of skrmt."""

__all__ = ["TheoryWarning"]


class TheoryWarning(UserWarning):
    """What the theory says does not hold, or cannot be said, for these data.

    The numbers concerned are `nan` or replaced by safer ones; the message names which.

    Examples
    --------
    >>> import warnings
    >>> from skrmt.exceptions import TheoryWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", TheoryWarning)
    ...     warnings.warn("the scores are not Gaussian", TheoryWarning)
    """
