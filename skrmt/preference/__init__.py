"""Losses of preference optimisation, as plain functions of log-probabilities."""

from .. import _install
from ._listwise import listwise_loss
from ._losses import preference_gradient, preference_loss
from ._spin import spin_loss

_install.check()

__all__ = ["listwise_loss", "preference_gradient", "preference_loss", "spin_loss"]
