"""Next-token models, whose collapse under recursive training is known in advance."""

from .. import _install
from ._collapse_forecaster import CollapseForecaster
from ._forecast import AtRiskToken
from ._next_token import NextTokenModel

_install.check()

__all__ = ["AtRiskToken", "CollapseForecaster", "NextTokenModel"]
