"""The version of skrmt in the pickles of its estimators."""

from __future__ import annotations

from typing import Any

from .. import _install
from ..exceptions import InconsistentVersionWarning
from ._warnings import warn

_KEY = "_skrmt_version"
_UNKNOWN = "an unknown version"


class VersionedMixin:
    """Carry the version in pickles, and warn where another one loads them.

    Put it before `BaseEstimator`, whose own check is for classes of scikit-learn alone.

    Examples
    --------
    >>> from skrmt.collapse import NextTokenModel
    >>> from skrmt.utils._pickles import VersionedMixin
    >>> isinstance(NextTokenModel(), VersionedMixin), "_skrmt_version" in vars(NextTokenModel())
    (True, False)
    """

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _KEY: _install.version()}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        saved, present = state.pop(_KEY, _UNKNOWN), _install.version()
        if saved != present:
            warn(
                f"{type(self).__name__} was saved by skrmt {saved} and is loaded by skrmt "
                f"{present}: attributes may be missing or mean something else. Fit it again, or "
                "load it with the version that saved it.",
                InconsistentVersionWarning,
            )
        parent: Any = super()
        parent.__setstate__(state)
