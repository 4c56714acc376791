"""Preference optimisation: losses as plain functions, and policies fitted by them."""

from .. import _install
from ._frontier import SafetyUtilityFrontier
from ._listwise import listwise_loss
from ._losses import preference_gradient, preference_loss
from ._preference_policy import PreferencePolicy
from ._self_play_policy import SelfPlayPolicy
from ._spin import spin_loss
from ._trainer import SelfPlayTrainer, TrainingLog, response_logps, sample_responses

_install.check()

__all__ = [
    "PreferencePolicy",
    "SafetyUtilityFrontier",
    "SelfPlayPolicy",
    "SelfPlayTrainer",
    "TrainingLog",
    "listwise_loss",
    "preference_gradient",
    "preference_loss",
    "response_logps",
    "sample_responses",
    "spin_loss",
]
