"""Warnings of skrmt."""

__all__ = ["InconsistentVersionWarning", "TheoryWarning"]


class InconsistentVersionWarning(UserWarning):
    """An estimator was saved by another version of skrmt than the one that loads it.

    Its attributes may be missing, or mean something else.

    Examples
    --------
    >>> import pickle, warnings
    >>> from skrmt.collapse import NextTokenModel
    >>> from skrmt.exceptions import InconsistentVersionWarning
    >>> saved = pickle.dumps(NextTokenModel())
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("error", InconsistentVersionWarning)
    ...     pickle.loads(saved)
    NextTokenModel()
    """


class TheoryWarning(UserWarning):
    """The theory does not hold, or makes no prediction, for these data.

    The numbers concerned are `nan` or replaced by safer ones; the message names which.

    Examples
    --------
    >>> import warnings
    >>> from skrmt.exceptions import TheoryWarning
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", TheoryWarning)
    ...     warnings.warn("the scores are not Gaussian", TheoryWarning)
    """
